"""A package that is installed and cannot be imported counts as absent."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

# As in a torchvision built for CUDA, beside a torch for the CPU.
BROKEN_TORCHVISION = """
import torch
torch._C._dispatch_has_kernel_for_dispatch_key("torchvision::nms", "Meta")
"""
DEMO = str(resources.files("texlens") / "demo" / "02-euler.png")
READ = f"""
import transformers
assert transformers.utils.is_torchvision_available()  # as a notebook may have asked before
from texlens.diagnosis import extra_finding, torchvision_findings
(finding,) = torchvision_findings()
assert not finding.works
print(finding.detail)
assert extra_finding("model", "read by torch", ("torch", "transformers", "peft")).works
from texlens.reading import Reader
reader = Reader(backend="torch")
print(type(reader.backend).__name__, reader.read({DEMO!r}).latex)
"""


def run(code: str, packages: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(packages), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_torch_reads_beside_a_torchvision_for_another_torch(tmp_path: Path) -> None:
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(BROKEN_TORCHVISION)
    (tmp_path / "torchvision-0.28.0.dist-info").mkdir()
    (tmp_path / "torchvision-0.28.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: torchvision\nVersion: 0.28.0\n"
    )
    done = run(READ, tmp_path)
    assert done.returncode == 0, done.stderr
    detail, reading = done.stdout.splitlines()
    assert "RuntimeError: operator torchvision::nms does not exist" in detail
    assert reading == r"TorchBackend e^{i\pi} + 1 = 0"


@pytest.mark.parametrize("package", ["torch", "transformers"])
def test_onnxruntime_reads_where_torch_is_broken(tmp_path: Path, package: str) -> None:
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("raise OSError('libcudart.so.13: not found')\n")
    code = f"""
from texlens.reading import Reader
reader = Reader()
print(type(reader.backend).__name__, reader.read({DEMO!r}).latex)
"""
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "OnnxBackend e^{i\\pi} + 1 = 0\n"

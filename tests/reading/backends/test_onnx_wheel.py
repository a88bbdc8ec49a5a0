"""The wheel with the extra `read`, in an empty environment: it reads, and torch is not there."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_wheel_reads_without_torch(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(REPOSITORY)],
        check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("texlens-*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / "bin"
    constraints = str(REPOSITORY / "constraints.txt")
    subprocess.run(
        [str(programs / "python"), "-m", "pip", "install", "-q", "-c", constraints, f"{wheel}[read]"],
        check=True, capture_output=True, timeout=600,
    )  # fmt: skip
    code = "import importlib.util as u; print([u.find_spec(m) for m in ('torch', 'transformers')])"
    absent = subprocess.run(
        [str(programs / "python"), "-c", code], capture_output=True, text=True, check=True
    )
    assert absent.stdout.strip() == "[None, None]"
    picture = REPOSITORY / "src" / "texlens" / "demo" / "01-quadratic.png"
    result = subprocess.run(
        [str(programs / "texlens"), "read", str(picture)],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("x = \\frac")

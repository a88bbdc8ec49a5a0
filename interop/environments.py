"""Virtual environments for the cases, kept in a cache folder.

A case names its packages in a header of inline script metadata (PEP 723), in exact versions;
`texlens` stands for this checkout. TexLens's own environment prepares what the cases share.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
_HEADER = re.compile(r"(?m)^# /// script\n((?:#.*\n)+?)# ///$")


def dependencies(script: Path) -> list[str]:
    """The packages that a script names in its header."""
    header = _HEADER.search(script.read_text(encoding="utf-8"))
    if header is None:
        raise ValueError(f"{script} has no header that names its packages")
    packages: list[str] = tomllib.loads(re.sub(r"(?m)^# ?", "", header[1]))["dependencies"]
    return packages


def open_environment(cache: Path, packages: Sequence[str]) -> Path:
    """The interpreter of an environment with these packages, installed if it is not there yet."""
    pins = (ROOT / "constraints.txt").read_text() if any(map(_is_texlens, packages)) else ""
    digest = hashlib.sha256("\n".join([*packages, pins, str(ROOT)]).encode()).hexdigest()
    folder = cache / "environments" / digest[:12]
    python, mark = folder / "bin" / "python", folder / "installed"
    if mark.is_file():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    run([sys.executable, "-m", "venv", folder])
    options = ["-c", f"{ROOT / 'constraints.txt'}"] if pins else []
    if index := os.environ.get("TORCH_INDEX"):
        options += ["--extra-index-url", index]
    for one in packages:  # editable, so that the environment has this checkout as it is now
        options += ["-e", one.replace("texlens", str(ROOT), 1)] if _is_texlens(one) else [one]
    run([python, "-m", "pip", "install", "--quiet", *options])
    _mend_torch(python)
    mark.touch()
    return python


def versions(python: Path, packages: Sequence[str]) -> str:
    """The installed versions of these packages, for the table."""
    names = [re.split(r"[\[=]", one)[0] for one in packages if not _is_texlens(one)]
    code = "import sys, importlib.metadata as m; [print(n, m.version(n)) for n in sys.argv[1:]]"
    return ", ".join(run([python, "-c", code, *names]).splitlines())


def run(command: Sequence[str | Path]) -> str:
    """The output of a command. Raises RuntimeError, with the end of its output, when it fails."""
    result = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode:
        raise RuntimeError(f"{command} ended with {result.returncode}:\n{result.stdout[-2000:]}")
    return result.stdout


def _is_texlens(package: str) -> bool:
    return package.startswith("texlens")


def _mend_torch(python: Path) -> None:
    """Let torchvision and its kin from PyPI, built for CUDA, be imported beside a torch for CPUs.

    What can be imported stays as it is. Else torchvision gets the names of its operators, without
    code, an empty package stands in for torchaudio, and torchcodec is removed. No case uses them.
    """
    packages = Path(
        run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip()
    )
    for name in ("torchvision", "torchaudio", "torchcodec"):
        probe = f"import importlib.util as u; u.find_spec('{name}') and __import__('{name}')"
        if subprocess.run([python, "-c", probe], capture_output=True).returncode == 0:
            continue
        if name == "torchvision":
            shutil.copy(HERE / "torchvision_operators.py", packages)
            (packages / "torchvision_operators.pth").write_text("import torchvision_operators\n")
        else:
            run([python, "-m", "pip", "uninstall", "--quiet", "--yes", name])
        if name == "torchaudio":
            (packages / name).mkdir()
            (packages / name / "__init__.py").touch()

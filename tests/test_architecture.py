"""The arrows between the parts: import-linter holds the layers of pyproject.toml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
MAX_MODULE_LINES = 520


def test_layers_are_respected() -> None:
    result = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_no_module_outgrows_reading() -> None:
    lengths = {
        str(path.relative_to(REPOSITORY)): len(path.read_text().splitlines())
        for path in (REPOSITORY / "src").rglob("*.py")
    }
    assert {name: n for name, n in lengths.items() if n > MAX_MODULE_LINES} == {}


def test_the_package_imports_nothing_heavy() -> None:
    """`import texlens` and its command line must stay light: no numpy, torch, scipy, engine."""
    code = (
        "import sys, texlens, texlens.cli;"
        "heavy = {'numpy', 'torch', 'scipy', 'PIL', 'py_mini_racer', 'transformers'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    assert result.stdout.strip() == "[]", result.stdout + result.stderr

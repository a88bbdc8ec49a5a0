"""The wheel installs without extras in an empty environment outside the checkout, and scores."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_wheel_scores_a_pair_without_extras(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(REPOSITORY)],
        check=True,
        capture_output=True,
        timeout=300,
    )
    (wheel,) = tmp_path.glob("texlens-*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run(
        [
            str(python),
            "-m",
            "pip",
            "install",
            "-q",
            "-c",
            str(REPOSITORY / "constraints.txt"),
            str(wheel),
        ],
        check=True,
        capture_output=True,
        timeout=600,
    )
    code = (
        "import json, texlens, importlib.util as u;"
        "assert u.find_spec('torch') is None;"
        "s = texlens.score([('x^2 + 1', 'x ^ { 2 } + 1'), (r'\\frac{a}{b}', r'\\frac{b}{a}')]);"
        "print(json.dumps({k: v.value for k, v in s.items()}))"
    )
    result = subprocess.run(
        [str(python), "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    values = json.loads(result.stdout)
    assert values["exact"] == 0.5
    assert 0.5 < values["cdm"] < 1.0
    assert 0.5 <= values["layout"] < 1.0

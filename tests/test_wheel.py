"""The wheel in empty environments outside the checkout: alone it reads, with `score` it scores."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PICTURE = REPOSITORY / "src" / "texlens" / "demo" / "01-quadratic.png"
MOST_BYTES = 360_000_000  # of a plain installation, without pip
NOT_NEEDED = [
    "torch",
    "transformers",
    "tokenizers",
    "scipy",
    "rapidfuzz",
    "huggingface_hub",
    "nltk",
]
SCORE = """
import json, texlens
scores = texlens.score([('x^2 + 1', 'x ^ { 2 } + 1'), (r'\\frac{a}{b}', r'\\frac{b}{a}')])
print(json.dumps({key: score.value for key, score in scores.items()}))
"""


class Environment:
    """A virtual environment, with what its programs give in an empty folder."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder / "venv", with_pip=True)
        self.folder, self.programs = folder, folder / "venv" / "bin"

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.programs / program), *arguments],
            cwd=self.folder, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    def install(self, requirement: str) -> None:
        constraints = str(REPOSITORY / "constraints.txt")
        done = self.run("python", "-m", "pip", "install", "-q", "-c", constraints, requirement)
        assert done.returncode == 0, done.stderr

    def bytes(self) -> int:
        """The size of what is installed, with its compiled files, and without pip and setuptools."""
        (packages,) = (self.folder / "venv" / "lib").glob("python*/site-packages")
        files = (path for path in packages.rglob("*") if path.is_file())
        return sum(
            path.stat().st_size
            for path in files
            if not path.relative_to(packages).parts[0].startswith(("pip", "setuptools", "pkg_res"))
        )


@pytest.mark.slow
def test_the_wheel_reads_alone_and_scores_with_its_extra(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(REPOSITORY)],
        check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("texlens-*.whl")
    environment = Environment(tmp_path)
    environment.install(str(wheel))
    assert environment.bytes() < MOST_BYTES

    absent = f"import importlib.util as u; print([m for m in {NOT_NEEDED} if u.find_spec(m)])"
    assert environment.run("python", "-c", absent).stdout.strip() == "[]"
    reading = environment.run("texlens", "read", str(PICTURE))
    assert reading.returncode == 0, reading.stderr
    assert reading.stdout.startswith("x = \\frac")
    demo = environment.run("texlens", "demo")
    assert demo.returncode == 0, demo.stderr
    assert "readings are exactly their reference" in demo.stdout

    refused = environment.run("texlens", "score", "--gt", "x", "--pred", "y")
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    assert "pip install 'texlens[score]'" in refused.stderr
    for command in ("evaluate --data x.parquet", "hub pull me/model", "data audit x"):
        done = environment.run("texlens", *command.split(), "--out", "out")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "pip install 'texlens[" in done.stderr
    findings = json.loads(environment.run("texlens", "doctor", "--json").stdout)
    works = {found["what"]: found["works"] for found in findings}
    assert works["read pictures"]
    assert not works["score predictions"]

    environment.install(f"{wheel}[score]")
    lines = "".join(f'{{"id": "{n}", "gt": "x", "pred": "{n}"}}\n' for n in "xyz")
    (tmp_path / "a.jsonl").write_text(lines)
    compared = environment.run("texlens", "compare", "a.jsonl", "b=a.jsonl", "--out", "compared")
    assert compared.returncode == 0, compared.stderr
    scored = environment.run("python", "-c", SCORE)
    assert scored.returncode == 0, scored.stderr
    values = json.loads(scored.stdout)
    assert values["exact"] == 0.5
    assert 0.5 < values["cdm"] < 1.0
    assert 0.5 <= values["layout"] < 1.0

"""The data of the two reports, in one command, from the hub and from local copies."""

from __future__ import annotations

import json
from pathlib import Path

import layouts
import pytest
from click.testing import CliRunner
from fake_hub import COMMIT, FakeHub, fake_hub

from texlens.cli.data import data
from texlens.data.parquet import read_examples
from texlens.data.reports import REPORTS
from texlens.errors import InputError
from texlens.latex import normalize
from texlens.train.config import load_recipe
from texlens.train.sft.settings import SftConfig

__all__ = ["fake_hub"]


def run(*arguments: object) -> str:
    result = CliRunner().invoke(data, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return result.stdout


@pytest.fixture
def corpora(fake_hub: FakeHub, tmp_path: Path) -> Path:
    """The corpora of both reports: three on the hub, HME100K beside."""
    layouts.latex_formulas(tmp_path / "latex-formulas", rows=40)
    layouts.linxy(tmp_path / "linxy", (110, 2, 2))
    layouts.unimer_zip(tmp_path / "unimer")
    layouts.unsloth(tmp_path / "unsloth")
    fake_hub.repositories |= {
        "OleehyO/latex-formulas": tmp_path / "latex-formulas",
        "linxy/LaTeX_OCR": tmp_path / "linxy",
        "wanderkid/UniMER_Dataset": tmp_path / "unimer",
        "unsloth/LaTeX_OCR": tmp_path / "unsloth",
    }
    layouts.hme100k_as_distributed(tmp_path / "HME100K", train=120, test=2, first=300)
    return tmp_path


def test_qwen_ocr_fills_the_folders_that_its_recipes_name(corpora: Path) -> None:
    out = corpora / "data"
    arguments = ("prepare", "qwen-ocr", "--out", out, "--from", f"hme100k={corpora / 'HME100K'}")
    text = run(*arguments)
    assert "of 53000 asked for" in text
    assert f"from OleehyO/latex-formulas at commit {COMMIT}" in text
    assert "Where this differs from the report" in text
    assert set(REPORTS["qwen-ocr"].sets) == {path.name for path in out.iterdir()}
    for name in ("sft_printed_3b", "sft_handwritten_3b"):
        recipe = load_recipe(name, SftConfig)
        for one in (*recipe.data, *recipe.dev):
            assert (corpora / one.parquet).is_file(), one.parquet
    printed = json.loads((out / "printed" / "dataset.json").read_text())
    assert printed["counts"] == {"train": 32, "validation": 4, "test": 4}
    assert printed["hub"] == [{"repository": "OleehyO/latex-formulas", "commit": COMMIT}]
    assert printed["order"] == "qwen_ocr_printed"
    latex = [one.latex_formula for one in read_examples(out / "printed" / "train.parquet")]
    assert not any("align" in text for text in latex)  # of one line: unwrapped
    handwritten = json.loads((out / "handwritten" / "dataset.json").read_text())
    assert handwritten["counts"] == {"train": 30, "validation": 100, "test": 100}
    assert handwritten["sources"] == {
        "crohme": {"train": 10, "validation": 50, "test": 50},
        "hme100k": {"train": 20, "validation": 50, "test": 50},
    }
    screen = list(read_examples(out / "screen" / "test.parquet"))
    assert {(one.kind, one.source) for one in screen} == {("screen", "unimer-sce")}

    # What is finished is kept; what is missing is made.
    before = (out / "printed" / "dataset.json").stat().st_mtime_ns
    (out / "screen" / "dataset.json").unlink()
    run(*arguments)
    assert (out / "printed" / "dataset.json").stat().st_mtime_ns == before
    assert (out / "screen" / "dataset.json").is_file()


def test_a_revision_of_each_corpus_is_fetched_and_its_commit_recorded(corpora: Path) -> None:
    out = corpora / "data"
    hme100k = ("--from", f"hme100k={corpora / 'HME100K'}")
    for name in ("latex-formulas", "crohme", "unimer"):
        with pytest.raises(InputError, match="has no revision 'v9'"):
            run("prepare", "qwen-ocr", "--out", out, *hme100k, "--revision", f"{name}=v9")
    assert not out.exists()
    run("prepare", "qwen-ocr", "--out", out, *hme100k, "--revision", f"crohme={COMMIT}")
    handwritten = json.loads((out / "handwritten" / "dataset.json").read_text())
    assert handwritten["hub"] == [{"repository": "linxy/LaTeX_OCR", "commit": COMMIT}]
    with pytest.raises(InputError, match="has no revision 'v9'"):
        run("prepare", "latex-ocr", "--out", out, "--revision", "v9")


def test_latex_ocr_takes_its_test_items_from_the_authors_test(corpora: Path) -> None:
    documents = json.loads(run("prepare", "latex-ocr", "--out", corpora / "data", "--json"))
    assert documents["latex-ocr"]["counts"] == {"validation": 8, "test": 4}
    test = corpora / "data" / "latex-ocr" / "test.parquet"
    assert {one.latex_formula for one in read_examples(test)} == {
        normalize(layouts.formula(n)) for n in range(8, 12)
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("qwen-ocr",), "HME100K is not on the hub"),
        (("qwen-ocr", "--from", "HME100K"), "'HME100K' is not NAME=PATH with a name among latex-"),
        (("qwen-ocr", "--from", "hme100k=gone"), "There is no 'gone'"),
        (("latex-ocr", "--from", "hme100k=."), "with a name among latex-ocr"),
        (
            ("qwen-ocr", "--revision", "main"),
            "'main' is not NAME=REVISION with a name among latex-",
        ),
        (("qwen-ocr", "--revision", "hme100k=main"), "HME100K is not on the hub"),
        (("latex-ocr", "--revision", "unimer=v1"), "NAME=REVISION with a name among latex-ocr"),
        (("im2latex", "--revision", "a", "--revision", "b"), "--revision can be given once"),
        (("latex-ocr", "--sizes", "1/2/3"), "--sizes is not for a report's data"),
    ],
)
def test_wrong_arguments_are_one_sentence(
    corpora: Path, arguments: tuple[str, ...], words: str
) -> None:
    out = corpora / "data"
    result = CliRunner().invoke(data, ["prepare", *arguments, "--out", str(out)])
    text = str(result.exception) if isinstance(result.exception, InputError) else result.stderr
    assert words in text
    assert not out.exists()

"""Recognisers of others: what they need, and what happens when they fail."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from texlens.cli.evaluate import evaluate as command
from texlens.data.parquet import write_examples
from texlens.errors import InputError, TexlensError
from texlens.evaluate.recognisers import Recogniser, load_recogniser, recognise
from texlens.evaluate.run import evaluate
from texlens.images import encode_png
from texlens.metrics.batches import ScoringConfig
from texlens.reading import Reader
from texlens.reading.sources import Item
from texlens.records import Example

SHADES = range(0, 200, 20)


class Shades:
    """Reads a grey picture as its shade, `batch` pictures at a time; fails on some shades."""

    def __init__(self, batch: int = 1, fails: tuple[int, ...] = ()) -> None:
        self.batch, self.fails = batch, fails

    def read_many(self, pictures: Iterable[Image.Image]) -> Iterator[str]:
        waiting: list[Image.Image] = []
        for picture in pictures:
            waiting.append(picture)
            if len(waiting) == self.batch:
                yield from self._read(waiting)
                waiting = []
        yield from self._read(waiting)

    def _read(self, pictures: list[Image.Image]) -> list[str]:
        shades = [int(np.asarray(picture)[0, 0, 0]) for picture in pictures]
        for shade in shades:
            if shade in self.fails:
                raise ValueError(f"no {shade},\nplease")
        return [str(shade) for shade in shades]


def shade(value: int) -> bytes:
    return encode_png(Image.new("L", (8, 8), value))


def items() -> list[Item]:
    made = [Item(f"i{value}", shade(value)) for value in SHADES]
    return [Item("broken", b"no picture"), *made, Item("last", b"")]


def test_a_reader_is_a_recogniser(model_folder: Path) -> None:
    recogniser: Recogniser = Reader(model_folder, device="cpu", max_new_tokens=4)
    assert len(list(recogniser.read_many([Image.new("RGB", (40, 20), "white")]))) == 1


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_only_the_guilty_picture_fails(batch: int) -> None:
    found = list(recognise(Shades(batch, fails=(40, 60, 180)), items()))
    assert [one.id for one in found] == [item.name for item in items()]
    errors = {one.id: one.error for one in found if one.error}
    assert set(errors) == {"broken", "i40", "i60", "i180", "last"}
    assert errors["i40"] == "The recogniser failed: ValueError: no 40, please."
    assert "not a picture" in str(errors["broken"])
    right = [one for one in found if not one.error]
    assert all(one.prediction == one.id[1:] for one in right)
    assert len(right) == len(SHADES) - 3


def test_one_that_does_not_work_at_all_ends() -> None:
    with pytest.raises(TexlensError, match="failed on each of the first 8 pictures"):
        list(recognise(Shades(fails=tuple(SHADES)), items()))


class Counts:
    def __init__(self, count: int) -> None:
        self.count = count

    def read_many(self, pictures: Iterable[Image.Image]) -> list[str]:
        list(pictures)
        return ["x"] * self.count


class Numbers:
    def read_many(self, pictures: Iterable[Image.Image]) -> Iterator[int]:
        return map(len, map(str, pictures))


@pytest.mark.parametrize(
    ("recogniser", "message"),
    [
        (Counts(9), "fewer predictions than pictures"),
        (Counts(11), "more predictions than pictures"),
        (Numbers(), "gave a int as a prediction"),
    ],
)
def test_what_it_gives_is_checked(recogniser: object, message: str) -> None:
    with pytest.raises(TexlensError, match=message):
        list(recognise(recogniser, items()))  # type: ignore[arg-type]


def test_an_evaluation_records_the_failures(tmp_path: Path) -> None:
    data = tmp_path / "data.parquet"
    write_examples(data, [Example(f"i{value}", shade(value), str(value)) for value in SHADES])
    config = ScoringConfig(("exact",), cache=False)
    document = evaluate(Shades(4, fails=(60,)), data, tmp_path / "out", config, quiet=True)
    assert document["metrics"]["exact"]["value"] == 0.9
    assert document["run"]["model"] == "Shades"
    lines = [
        json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().split("\n")[:-1]
    ]  # fmt: skip
    assert [line["pred"] for line in lines] == ["" if v == 60 else str(v) for v in SHADES]
    assert "no 60, please" in lines[3]["error"]
    assert "1 of them could not be read" in (tmp_path / "out" / "report.html").read_text()


def test_it_is_named_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "my_reader.py").write_text(
        "class Always:\n"
        "    name = 'always x'\n"
        "    def read_many(self, pictures):\n"
        "        return ['x' for _ in pictures]\n"
        "def broken():\n"
        "    raise RuntimeError('no weights')\n"
        "def nothing():\n"
        "    return 3\n"
    )
    write_examples(tmp_path / "data.parquet", [Example("a", shade(0), "x")])
    arguments = ["--data", "data.parquet", "--out", "out", "--metrics", "exact", "--json"]
    result = CliRunner().invoke(
        command, [*arguments, "--recogniser", "my_reader:Always"], catch_exceptions=False
    )
    assert json.loads(result.stdout)["run"]["model"] == "always x"
    for reference, message in (
        ("my_reader", "named as module:factory"),
        ("absent_module:f", "No module named"),
        ("my_reader:absent", "has no attribute"),
        ("my_reader:broken", "RuntimeError: no weights"),
        ("my_reader:nothing", "no method read_many"),
    ):
        with pytest.raises(InputError, match=message):
            load_recogniser(reference)
    wrong = CliRunner().invoke(command, [*arguments, "--recogniser", "a:b", "--model", "c"])
    assert isinstance(wrong.exception, InputError)

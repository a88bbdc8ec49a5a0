"""Evaluating a model over a data set."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from texlens.data.parquet import write_examples
from texlens.errors import InputError
from texlens.evaluate.run import DataSet, evaluate
from texlens.metrics.batches import ScoringConfig
from texlens.reading import Reader
from texlens.records import Example, Reading

PLAN = ScoringConfig(("exact", "edit_tokens", "empty", "unfinished"), cache=False)


@pytest.fixture(scope="module")
def reader(model_folder: Path) -> Reader:
    return Reader(model_folder, device="cpu", batch_size=4, max_new_tokens=8)


def picture(words: str) -> bytes:
    image = Image.new("L", (160, 40), 255)
    ImageDraw.Draw(image).text((5, 5), words, font=ImageFont.load_default(size=16), fill=0)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def examples() -> list[Example]:
    made = [
        Example(f"a/{n}.png", picture(f"x + {n}"), f"x + {n}", "ours", "printed") for n in range(9)
    ]
    made.append(Example("broken", b"no picture", "y ^ { 2 }", "ours", "screen"))
    made.append(Example("hostile", picture("z"), r"</script><script>alert(1)</script>", "ours"))
    return made


@pytest.fixture
def data(tmp_path: Path) -> DataSet:
    write_examples(tmp_path / "set.parquet", examples())
    return DataSet(tmp_path / "set.parquet")


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_item_is_read_and_scored(reader: Reader, data: DataSet, tmp_path: Path) -> None:
    out = tmp_path / "out"
    document = evaluate(reader, data, out, PLAN, quiet=True)
    predictions = lines(out / "predictions.jsonl")
    assert [line["id"] for line in predictions] == [example.id for example in examples()]
    assert [line["gt"] for line in predictions] == [e.latex_formula for e in examples()]
    broken = predictions[9]
    assert broken["pred"] == ""
    assert "not a picture" in str(broken["error"])
    assert [line["id"] for line in lines(out / "items.jsonl")] == [e.id for e in examples()]
    assert document == json.loads((out / "metrics.json").read_text())
    assert document["metrics"]["exact"]["n"] == len(examples())
    assert set(document["breakdown"]) == {"length", "lines", "arrays", "source", "kind"}
    assert {kind: group["n"] for kind, group in document["breakdown"]["kind"].items()} == {
        "printed": 10,
        "screen": 1,
    }
    assert document["run"]["prompt_config"] == reader.prompt_config.model_dump()
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.count("<article") == len(examples())
    assert page.count("data:image/png") == len(examples()) - 1
    assert "<script>alert" not in page


def test_a_reading_equals_the_readers_own(reader: Reader, data: DataSet, tmp_path: Path) -> None:
    evaluate(reader, data, tmp_path / "out", PLAN, quiet=True)
    for line, example in zip(
        lines(tmp_path / "out" / "predictions.jsonl"), examples(), strict=True
    ):
        if "error" not in line:
            reading = reader.read(example.image)
            assert line["pred"] == reading.normal
            assert line["warnings"] == list(reading.warnings)


def test_a_killed_run_goes_on_and_ends_the_same(
    reader: Reader, data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    evaluate(reader, data, whole, PLAN, quiet=True)

    def dies(self: Reader, pictures: object) -> Iterator[Reading]:
        for place, reading in enumerate(original(self, pictures)):  # type: ignore[arg-type]
            if place == 5:
                raise KeyboardInterrupt
            yield reading

    original = Reader.read_many
    monkeypatch.setattr(Reader, "read_many", dies)
    with pytest.raises(KeyboardInterrupt):
        evaluate(reader, data, cut, PLAN, quiet=True)
    monkeypatch.setattr(Reader, "read_many", original)
    assert not (cut / "metrics.json").exists()
    begun = cut / "predictions.jsonl"
    assert len(lines(begun)) == 5
    begun.write_bytes(begun.read_bytes() + b'{"id": "a/5.png", "gt": "x')  # a torn line
    document = evaluate(reader, data, cut, PLAN, quiet=True)
    assert document["speed"]["pictures"] == len(examples()) - 5

    def timeless(path: Path) -> list[dict[str, object]]:
        return [{**line, "seconds": 0} for line in lines(path / "predictions.jsonl")]

    assert timeless(cut) == timeless(whole)
    assert (cut / "items.jsonl").read_bytes() == (whole / "items.jsonl").read_bytes()


def test_results_are_not_overwritten_or_mixed(
    reader: Reader, model_folder: Path, data: DataSet, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    evaluate(reader, data, out, PLAN, quiet=True)
    with pytest.raises(InputError, match="finished result"):
        evaluate(reader, data, out, PLAN, quiet=True)
    (out / "metrics.json").unlink()
    other = Reader(model_folder, device="cpu", max_new_tokens=5)
    with pytest.raises(InputError, match="another max_new_tokens"):
        evaluate(other, data, out, PLAN, quiet=True)
    with pytest.raises(InputError, match="another limit"):
        evaluate(reader, DataSet(data.path, 3), out, PLAN, quiet=True)
    document = evaluate(other, data, out, PLAN, force=True, quiet=True)
    assert document["run"]["max_new_tokens"] == 5
    assert len(lines(out / "predictions.jsonl")) == len(examples())


def test_limit_takes_the_first_rows(reader: Reader, data: DataSet, tmp_path: Path) -> None:
    document = evaluate(reader, DataSet(data.path, 3), tmp_path / "out", PLAN, quiet=True)
    assert document["n"] == 3


def test_bad_data_is_named(reader: Reader, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.parquet"):
        evaluate(reader, DataSet(tmp_path / "missing.parquet"), tmp_path / "out", PLAN)
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(InputError, match=r"text\.parquet"):
        evaluate(reader, DataSet(tmp_path / "text.parquet"), tmp_path / "out", PLAN)
    write_examples(tmp_path / "twice.parquet", [examples()[0], examples()[0]])
    with pytest.raises(InputError, match="twice"):
        evaluate(reader, DataSet(tmp_path / "twice.parquet"), tmp_path / "out", PLAN, quiet=True)
    assert not (tmp_path / "out" / "metrics.json").exists()

"""Prepared data: made once, found again, and never mistaken for other data."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from texlens.data.parquet import read_examples, write_examples
from texlens.errors import InputError
from texlens.images import encode_png
from texlens.model.load import Loaded, load_model
from texlens.records import Example
from texlens.train.data import examples, prepared
from texlens.train.data.prepared import Part, file_hash, prepare_examples, prepare_file
from texlens.train.settings import DataFile


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TEXLENS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "prepared"


@pytest.fixture(scope="module")
def loaded(model_folder: Path) -> Loaded:
    return load_model(model_folder, device="cpu")


def prepared_by_now(cache: Path) -> int:
    return len(list(cache.glob("*/part.json")))


def test_a_file_is_prepared_once_and_again_when_anything_about_it_differs(
    loaded: Loaded, pictures: Path, tmp_path: Path, cache: Path
) -> None:
    def part(path: Path = pictures, rows: tuple[int, int] | None = None, **words: Any) -> Part:
        config = loaded.prompt_config.model_copy(update=words)
        other = Loaded(None, loaded.processor, config)
        return prepare_file(DataFile(parquet=path, rows=rows), other, quiet=True)

    first = part()
    assert part() == first
    assert part(max_new_tokens=7, licence="mine") == first  # they change no example
    assert prepared_by_now(cache) == 1
    copied = tmp_path / "copied.parquet"
    shutil.copy(pictures, copied)
    assert part(copied) == first  # the content counts, not the name
    others = [part(rows=(0, 5)), part(instruction="Read."), part(answer_format="think_answer"),
              part(pixels_per_em=None)]  # fmt: skip
    assert len({first.key, *(other.key for other in others)}) == 5
    assert [other.record["kept"] for other in others] == [5, 60, 60, 60]
    write_examples(copied, list(read_examples(pictures))[:-1])
    assert part(copied).record["rows"] == 59
    assert prepared_by_now(cache) == 6


def test_a_run_that_was_killed_while_preparing_leaves_nothing_that_counts(
    loaded: Loaded, pictures: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    honest = prepared.rows_of

    def dying(*arguments: Any) -> Iterator[Example]:
        for number, example in enumerate(honest(*arguments)):
            if number == 30:
                raise KeyboardInterrupt
            yield example

    monkeypatch.setattr(prepared, "rows_of", dying)
    file = DataFile(parquet=pictures)
    with pytest.raises(KeyboardInterrupt):
        prepare_file(file, loaded, quiet=True)
    assert prepared_by_now(cache) == 0
    monkeypatch.setattr(prepared, "rows_of", honest)
    assert prepare_file(file, loaded, quiet=True).record["kept"] == 60


def test_the_hash_of_a_file_is_remembered_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a")
    before = file_hash(path)
    read: list[Path] = []
    honest = Path.open
    monkeypatch.setattr(Path, "open", lambda p, *a, **k: read.append(p) or honest(p, *a, **k))
    assert file_hash(path) == before
    assert path not in read
    path.write_bytes(b"b")  # as long as before
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))
    assert file_hash(path) != before
    assert path in read


def test_several_processes_prepare_the_same_rows_in_the_same_order(
    loaded: Loaded, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared, "_ROWS_A_JOB", 7)
    alone = prepare_examples([DataFile(parquet=pictures)], loaded, max_length=999, quiet=True)
    monkeypatch.setattr(prepared, "FORMAT", -1)
    monkeypatch.setattr(prepared, "_ROWS_A_WORKER", 30)
    monkeypatch.setattr(prepared, "usable_cpus", lambda: 2)
    together = prepare_examples([DataFile(parquet=pictures)], loaded, max_length=999, quiet=True)
    assert together.record == alone.record
    assert together.table[:] == alone.table[:]


def test_files_are_told_apart_and_what_is_too_long_is_left_out(
    loaded: Loaded, pictures: Path
) -> None:
    files = [DataFile(parquet=pictures, rows=(0, 20)), DataFile(parquet=pictures, rows=(20, 50))]
    whole = prepare_examples(files, loaded, max_length=9999, quiet=True)
    assert np.bincount(whole.files).tolist() == [20, 30]
    middle = int(np.median(whole.lengths))
    short = prepare_examples(files, loaded, max_length=middle, quiet=True)
    assert short.lengths.max() <= middle
    assert short.lengths.tolist() == [row["length"] for row in short.table]
    assert short.files.tolist() == [row["file"] for row in short.table]
    assert short.record["left_out"] == {"too long": int((whole.lengths > middle).sum())}
    assert sum(file["kept"] for file in short.record["files"]) == len(short.table)


def test_a_huge_and_a_broken_picture_are_left_out_and_counted(
    loaded: Loaded, pictures: Path, tmp_path: Path
) -> None:
    good, huge, broken, *_ = read_examples(pictures)
    huge = replace(huge, image=encode_png(Image.new("1", (10_000, 10_000), 1)))
    broken = replace(broken, image=broken.image[:-40])
    path = tmp_path / "some.parquet"
    write_examples(path, [good, huge, broken])
    part = prepare_file(DataFile(parquet=path), loaded, quiet=True)
    assert part.record["kept"] == 1
    assert part.record["left_out"] == {"picture damaged or too large": 2}


def test_a_file_that_was_cut_short_is_one_sentence(
    loaded: Loaded, pictures: Path, tmp_path: Path
) -> None:
    path = tmp_path / "short.parquet"
    path.write_bytes(pictures.read_bytes()[:-100])
    with pytest.raises(InputError, match="is not a Parquet file, or was cut short"):
        prepare_file(DataFile(parquet=path), loaded, quiet=True)


def test_a_damaged_file_is_one_sentence(
    loaded: Loaded, pictures: Path, tmp_path: Path, cache: Path
) -> None:
    content = bytearray(pictures.read_bytes())
    content[1000:3000] = bytes(2000)  # in a page of pictures; the footer is whole
    path = tmp_path / "damaged.parquet"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged\.parquet' is damaged") as raised:
        list(examples.rows_of(path, None))
    assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match="is damaged"):
        prepare_file(DataFile(parquet=path), loaded, quiet=True)
    assert prepared_by_now(cache) == 0

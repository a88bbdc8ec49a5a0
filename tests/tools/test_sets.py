"""The sets of `tools/pretrain/sets` are the frozen ones, and no formula is in two of them."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter

import pytest
from holdout import SETS, kept_for_sets, key

COUNTS = {"screens": 400, "print": 400, "chemistry": 150, "photos": 200}
PARTS = [f"{name}.{part}" for name in COUNTS for part in ("dev", "test")]


def rows_of(part: str) -> list[dict[str, str]]:
    with (SETS / f"{part}.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_the_files_are_the_parts_of_the_four_sets() -> None:
    assert sorted(path.stem for path in SETS.glob("*.tsv")) == sorted(PARTS)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_the_frozen_one(part: str) -> None:
    hashes = json.loads((SETS / "hashes.json").read_text(encoding="utf-8"))
    recipe = hashlib.sha256((SETS / f"{part}.tsv").read_bytes()).hexdigest()
    assert hashes[part]["recipe"] == recipe
    assert len(hashes[part]["pixels"]) == 64
    rows = rows_of(part)
    assert [row["id"] for row in rows] == [
        f"{part.replace('.', '-')}-{number:03d}" for number in range(COUNTS[part.split(".")[0]])
    ]
    written = [row for row in rows if row["formula"]]
    assert [row["key"] for row in written] == [key(row["formula"]) for row in written]


def test_no_formula_is_in_two_parts_and_all_are_kept_out_of_training() -> None:
    counts = Counter(row["key"] for part in PARTS for row in rows_of(part))
    assert counts.keys() == kept_for_sets()
    assert set(counts.values()) == {1}

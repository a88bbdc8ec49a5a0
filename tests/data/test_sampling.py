"""Samples: the sizes asked for, chosen before cleaning, and nothing in two splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from texlens.data.corpora.base import Locator
from texlens.data.items import SPLITS, Sizes, Split
from texlens.data.orders import ORDERS, UnimerDraw, qwen_ocr_printed
from texlens.data.sampling import Choice, Queues, by_hash, choose, missing
from texlens.data.split import Key
from texlens.errors import InputError


def locators(
    n: int, splits: tuple[Split | None, ...] = (None,), source: str = "a"
) -> list[Locator]:
    return [Locator(f"{source}{i}", ("f", "x"), splits[i % len(splits)], source) for i in range(n)]


def sampled(queues: Queues, sizes: Sizes, keys: Mapping[int, Key | None]) -> tuple[Choice, int]:
    """The choice, as `prepare` arrives at it, and how many items were cleaned for it."""
    cleaned: dict[int, Key | None] = {}
    while True:
        choice = choose(queues, sizes, cleaned)
        numbers = missing(queues, choice, cleaned)
        if not numbers:
            return choice, len(cleaned)
        assert not set(numbers) & set(cleaned)
        cleaned |= {n: keys[n] for n in numbers}


def distinct(n: int) -> dict[int, Key | None]:
    return {i: Key(i.to_bytes(3, "big"), i.to_bytes(3, "big"), None) for i in range(n)}


def counts(choice: Choice) -> dict[str, int]:
    return Counter(one for one in choice.outcomes.values() if isinstance(one, str))


def test_no_more_is_cleaned_than_a_sample_needs() -> None:
    keys = distinct(10_000)
    for n in range(0, 10_000, 10):
        keys[n] = None  # one of ten is dropped
    choice, cleaned = sampled(by_hash(locators(10_000), 1), (200, 20, 30), keys)
    assert counts(choice) == {"train": 200, "validation": 20, "test": 30}
    assert cleaned < 300


def test_the_choice_depends_on_ids_and_seed_alone() -> None:
    forward = locators(200)
    backward = forward[::-1]
    for items in (forward, backward):
        queues = by_hash(items, 7)
        choice, _ = sampled(queues, (10, 5, 5), distinct(200))
        found = {items[n].id: split for n, split in choice.outcomes.items()}
        if items is forward:
            first = found
    assert found == first
    other, _ = sampled(by_hash(forward, 8), (10, 5, 5), distinct(200))
    assert {forward[n].id for n in other.outcomes} != set(first)


def test_sources_give_equal_parts_and_one_that_is_used_up_is_made_up_for() -> None:
    both = locators(100) + locators(6, source="b")
    choice, _ = sampled(by_hash(both, 1), (20, 5, 4), distinct(106))
    by_split = Counter((split, both[n].source) for n, split in choice.outcomes.items())
    assert by_split["test", "a"] == by_split["test", "b"] == 2
    assert counts(choice) == {"train": 20, "validation": 5, "test": 4}
    assert sum(n for (_, source), n in by_split.items() if source == "b") == 6


def test_the_authors_splits_are_kept_apart() -> None:
    items = locators(90, ("train", "train", "test"))
    choice, _ = sampled(by_hash(items, 1), (10, 5, 8), distinct(90))
    assert counts(choice) == {"train": 10, "validation": 5, "test": 8}
    assert {items[n].split for n, split in choice.outcomes.items() if split != "test"} == {"train"}
    assert {items[n].split for n, split in choice.outcomes.items() if split == "test"} == {"test"}


def test_too_few_items_give_what_there_is() -> None:
    choice, cleaned = sampled(by_hash(locators(12), 1), (20, 5, 4), distinct(12))
    assert counts(choice) == {"train": 3, "validation": 5, "test": 4}
    assert cleaned == 12
    assert sampled(by_hash([], 1), (20, 5, 4), {}) == (Choice(), 0)


@given(
    st.lists(
        st.none() | st.tuples(st.integers(0, 15), st.integers(0, 15)), min_size=1, max_size=60
    ),
    st.tuples(st.integers(0, 20), st.integers(0, 6), st.integers(0, 6)),
    st.sampled_from([(None,), ("train", "test"), SPLITS]),
    st.integers(0, 9),
)
def test_nothing_is_in_two_splits_and_no_room_is_left_that_could_be_filled(
    pairs: list[tuple[int, int] | None],
    sizes: Sizes,
    splits: tuple[Split | None, ...],
    seed: int,
) -> None:
    items = locators(len(pairs), splits)
    keys = {
        n: Key(bytes([pair[0]]), bytes([pair[1]]), items[n].split) if pair else None
        for n, pair in enumerate(pairs)
    }
    queues = by_hash(items, seed)
    choice, _ = sampled(queues, sizes, keys)
    homes: dict[tuple[str, bytes], set[object]] = {}
    seen = set()
    for n, split in choice.outcomes.items():
        key = keys[n]
        assert key is not None
        if isinstance(split, str):
            assert (key.formula, key.picture) not in seen
            seen.add((key.formula, key.picture))
            homes.setdefault(("formula", key.formula), set()).add(split)
            homes.setdefault(("picture", key.picture), set()).add(split)
    assert all(len(found) == 1 for found in homes.values())
    for split, size in zip(SPLITS, sizes, strict=True):
        got = counts(choice).get(split, 0)
        assert got <= size
        if got < size:  # then every candidate was looked at
            assert all(n in choice.outcomes or keys[n] is None for n in queues["a", split])


def test_printed_rows_are_those_of_the_report_s_scripts() -> None:
    """As convert2sharegpt.py of qwen-ocr has them, by the library that it calls."""
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_dict({"id": list(range(997))}).shuffle(seed=42)
    first = rows.train_test_split(test_size=0.2, seed=42)
    second = first["test"].train_test_split(test_size=0.5, seed=42)
    queues = qwen_ocr_printed(locators(997), 42)
    assert queues["a", "train"] == first["train"]["id"][:]
    assert queues["a", "validation"] == second["train"]["id"][:]
    assert queues["a", "test"] == second["test"]["id"][:]


def test_pictures_out_of_domain_are_those_of_the_report_s_scripts() -> None:
    """As load_datasets.py of qwen-ocr draws them: one generator for both subsets."""
    random = Random(42)
    spe, sce = (random.sample(range(n), 100) for n in (6762, 4742))
    source = "unimer-spe"
    for order, n, drawn in (("qwen_ocr_spe", 6762, spe), ("qwen_ocr_sce", 4742, sce)):
        queues = ORDERS[order](locators(n, source=source), 42)
        assert queues[source, "test"][:100] == drawn
    few = UnimerDraw()(locators(30, source=source), 42)[source, "test"]
    assert sorted(few) == list(range(30))
    with pytest.raises(InputError, match="are for 'unimer' alone"):
        UnimerDraw()(locators(30), 42)


def test_handwritten_rows_are_of_the_training_part() -> None:
    items = locators(20, ("train", "test")) + locators(10, ("train",), "b")
    queues = ORDERS["qwen_ocr_handwritten"](items, 42)
    assert queues["a", "test"] is queues["a", "train"]
    expected = np.random.default_rng(42).permutation(10) * 2
    assert list(queues["a", "train"]) == expected.tolist()

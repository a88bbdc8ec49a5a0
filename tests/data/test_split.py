"""The split: no duplicate, no formula in two splits, the given sizes, the same for any order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from texlens.data.items import SPLITS
from texlens.data.split import Key, assign

KEYS = st.lists(
    st.builds(
        Key,
        formula=st.integers(0, 30).map(lambda n: n.to_bytes(2, "big")),
        picture=st.integers(0, 5).map(lambda n: n.to_bytes(2, "big")),
        source=st.sampled_from(["a", "b"]),
        split=st.sampled_from([None, *SPLITS]),
    ),
    max_size=80,
)
SIZES = st.none() | st.tuples(st.integers(0, 40), st.integers(0, 9), st.integers(0, 9))


@given(KEYS, SIZES, st.integers(0, 99))
def test_no_formula_in_two_splits_and_no_duplicate(
    keys: list[Key], sizes: tuple[int, int, int] | None, seed: int
) -> None:
    outcome = assign(keys, sizes, seed)
    assert len(outcome) == len(keys)
    homes: dict[bytes, set[object]] = {}
    seen: set[tuple[bytes, bytes]] = set()
    for key, split in zip(keys, outcome, strict=True):
        if isinstance(split, str):
            homes.setdefault(key.formula, set()).add(split)
            assert (key.formula, key.picture) not in seen
            seen.add((key.formula, key.picture))
    assert all(len(splits) == 1 for splits in homes.values())
    if sizes is not None:
        for split, size in zip(SPLITS, sizes, strict=True):
            assert sum(one == split for one in outcome) <= size


def test_sizes_are_met_and_shared_between_sources() -> None:
    keys = [Key(bytes([n]), bytes([n]), "ab"[n % 2], None) for n in range(100)]
    outcome = assign(keys, (20, 5, 4), seed=1)
    for split, size in zip(SPLITS, (20, 5, 4), strict=True):
        chosen = [key.source for key, one in zip(keys, outcome, strict=True) if one == split]
        assert len(chosen) == size
        assert abs(chosen.count("a") - chosen.count("b")) <= 1
    assert outcome != assign(keys, (20, 5, 4), seed=2)


def test_the_order_of_items_does_not_choose_them() -> None:
    keys = [Key(bytes([n]), bytes([n]), "a", None) for n in range(50)]
    forward = dict(zip(keys, assign(keys, (10, 5, 5), 7), strict=True))
    backward = dict(zip(keys[::-1], assign(keys[::-1], (10, 5, 5), 7), strict=True))
    assert forward == backward


def test_authors_splits_are_kept_and_training_loses_what_the_test_holds() -> None:
    keys = [
        Key(b"x", b"1", "a", "train"),
        Key(b"x", b"2", "a", "test"),
        Key(b"y", b"3", "a", "train"),
        Key(b"y", b"3", "a", "train"),
    ]
    outcome = assign(keys, None, 0)
    assert outcome[1:3] == ["test", "train"]
    assert outcome[0] == ("leak", "its formula is also in test")
    assert isinstance(outcome[3], tuple)
    assert outcome[3][0] == "duplicate"


def test_without_sizes_nothing_is_left_out_and_pictures_are_kept_apart() -> None:
    often = [Key(bytes([n // 20]), n.to_bytes(2, "big"), "a", None) for n in range(400)]
    assert all(isinstance(one, str) for one in assign(often, None, 3))
    twice = [Key(b"x", b"1", "a", "train"), Key(b"y", b"1", "a", "test")]
    assert assign(twice, None, 0) == [("leak", "its picture is also in test"), "test"]

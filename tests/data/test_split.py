"""The split of a whole corpus: no duplicate, no formula in two splits, the same for any order."""

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
        split=st.sampled_from([None, *SPLITS]),
    ),
    max_size=80,
)


@given(KEYS, st.integers(0, 99))
def test_no_formula_in_two_splits_and_no_duplicate(keys: list[Key], seed: int) -> None:
    outcome = assign(keys, seed)
    assert len(outcome) == len(keys)
    homes: dict[bytes, set[object]] = {}
    seen: set[tuple[bytes, bytes]] = set()
    for key, split in zip(keys, outcome, strict=True):
        if isinstance(split, str):
            homes.setdefault(key.formula, set()).add(split)
            assert (key.formula, key.picture) not in seen
            seen.add((key.formula, key.picture))
    assert all(len(splits) == 1 for splits in homes.values())


def test_the_order_of_items_does_not_choose_them() -> None:
    keys = [Key(bytes([n]), bytes([n]), None) for n in range(100)]
    forward = dict(zip(keys, assign(keys, 7), strict=True))
    backward = dict(zip(keys[::-1], assign(keys[::-1], 7), strict=True))
    assert forward == backward
    assert [list(forward.values()).count(split) for split in SPLITS] == [90, 5, 5]
    assert forward != dict(zip(keys, assign(keys, 8), strict=True))


def test_authors_splits_are_kept_and_training_loses_what_the_test_holds() -> None:
    keys = [
        Key(b"x", b"1", "train"),
        Key(b"x", b"2", "test"),
        Key(b"y", b"3", "train"),
        Key(b"y", b"3", "train"),
    ]
    outcome = assign(keys, 0)
    assert outcome[1:3] == ["test", "train"]
    assert outcome[0] == ("leak", "its formula is also in test")
    assert isinstance(outcome[3], tuple)
    assert outcome[3][0] == "duplicate"


def test_without_sizes_nothing_is_left_out_and_pictures_are_kept_apart() -> None:
    often = [Key(bytes([n // 20]), n.to_bytes(2, "big"), None) for n in range(400)]
    assert all(isinstance(one, str) for one in assign(often, 3))
    twice = [Key(b"x", b"1", "train"), Key(b"y", b"1", "test")]
    assert assign(twice, 0) == [("leak", "its picture is also in test"), "test"]

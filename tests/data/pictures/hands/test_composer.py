"""Composed handwriting: every symbol of the formula is there, in one writer's strokes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from texlens.data.formulas.sources import FormulaSource
from texlens.data.pictures.hands.composer import compose
from texlens.data.pictures.hands.glyphs import build, cut_out, parts_of, turned
from texlens.data.pictures.hands.shards import ComposedShards
from texlens.data.pictures.hands.writers import Hands
from texlens.data.pictures.ink import Ink
from texlens.data.pictures.printed import ListedShards, PrintedShards
from texlens.data.pictures.shards import read_shard, write_shards
from texlens.engine import Drawing, get_engine


def ink_of(writer: str, names: list[str], lean: float, height: float = 20.0) -> Ink:
    """A line of symbols, each one zigzag stroke of its own number of turns, leaning."""
    strokes = []
    for number, name in enumerate(names):
        y = np.linspace(0.0, height, 3 + len(name) + number)
        x = 30.0 * number + 10.0 * (np.arange(len(y)) % 2) - lean * y
        strokes.append(np.stack([x, y], axis=1))
    symbols = tuple((name, (number,)) for number, name in enumerate(names))
    return Ink(tuple(strokes), " ".join(names), symbols, writer)


INKS = [
    ink_of("ann", ["x", "2", "+", "C", ")", "|"], 0.0),
    ink_of("bob", ["x", "2", "y", "-"], 0.8),
    ink_of("cy", ["x", "y", "-", r"\sqrt", "2"], 0.0),
]
HANDS = Hands.of(INKS)


def drawing(formula: str) -> Drawing:
    (drawn,) = get_engine().draw([formula])
    assert isinstance(drawn, Drawing)
    return drawn


def test_symbols_are_cut_out_with_their_characters_and_in_the_writers_scale() -> None:
    glyphs = dict(cut_out(INKS[2]))
    assert list(glyphs) == ["x", "y", "−", "√", "2"]
    assert glyphs["x"].height == pytest.approx(1.0)
    assert all(s.min() >= 0 and s.max() <= 1 for g in glyphs.values() for s in g.strokes)


def test_a_symbol_comes_from_the_writer_else_from_a_like_hand() -> None:
    rng = np.random.default_rng(0)
    by_name = {writer.name: number for number, writer in enumerate(HANDS.writers)}
    bob, cy = by_name["bob"], by_name["cy"]
    assert HANDS.glyphs(bob, "x", rng) == HANDS.writers[bob].glyphs["x"]
    assert HANDS.glyphs(bob, "√", rng) == HANDS.writers[cy].glyphs["√"]


def test_a_symbol_that_nobody_has_is_built_of_others_or_in_our_own_strokes() -> None:
    rng = np.random.default_rng(0)
    (built, _) = HANDS.glyphs(0, "⊃", rng)  # a C, mirrored
    (source,) = HANDS.writers[0].glyphs["C"]
    np.testing.assert_allclose(built.strokes[0][:, 0], 1 - source.strokes[0][:, 0])
    assert [part.char for part in parts_of("D")] == ["|", ")"]
    assert HANDS.glyphs(0, "ψ", rng)  # our own
    assert not HANDS.glyphs(0, "中", rng)


def test_a_built_symbol_has_its_parts_where_the_table_says() -> None:
    (source,) = HANDS.writers[0].glyphs["C"]
    whole = build(parts_of("≪"), [source, source])
    assert whole.strokes[0][:, 0].max() <= 0.6
    assert whole.strokes[1][:, 0].min() >= 0.4
    corner = np.array([[1.0, 0.0]])
    assert turned(corner, "q").tolist() == [[1.0, 1.0]]
    assert turned(corner, "hv").tolist() == [[0.0, 1.0]]


def test_a_formula_has_a_stroke_for_each_symbol_in_their_order_from_left_to_right() -> None:
    for seed in range(10):
        strokes = compose(drawing("x + 2 + y"), HANDS, np.random.default_rng(seed))
        assert not isinstance(strokes, str)
        assert len(strokes) == 5
        middles = [float(stroke[:, 0].mean()) for stroke in strokes]
        assert middles == sorted(middles)


def test_fractions_and_roots_enclose_what_they_enclose_in_print() -> None:
    strokes = compose(drawing(r"\frac { x } { 2 }"), HANDS, np.random.default_rng(3))
    assert not isinstance(strokes, str)
    x, two, bar = (stroke.mean(axis=0) for stroke in strokes)
    assert x[1] < bar[1] < two[1]
    strokes = compose(drawing(r"\sqrt { x + 2 }"), HANDS, np.random.default_rng(3))
    assert not isinstance(strokes, str)
    sign = max(strokes, key=lambda stroke: float(np.ptp(stroke[:, 0])))
    assert sum(float(s[:, 0].mean()) < sign[:, 0].max() for s in strokes) == len(strokes) == 4


@pytest.mark.parametrize(
    ("formula", "reason"),
    [(r"\text { 中 } x", "Chinese words are left out"), (r"\mathfrak { g }", "fraktur letters")],
)
def test_what_no_hand_writes_has_a_reason(formula: str, reason: str) -> None:
    assert reason in compose(drawing(formula), HANDS, np.random.default_rng(0))


def test_without_ink_our_own_strokes_write() -> None:
    strokes = compose(drawing("x + 2"), Hands.of([]), np.random.default_rng(0))
    assert not isinstance(strokes, str)
    assert len(strokes) >= 4


def test_shards_are_the_same_for_any_number_of_processes(tmp_path: Path) -> None:
    formulas = PrintedShards((FormulaSource.parse("plain:1"),), 5, seed=3)
    source = ComposedShards(formulas, INKS)
    for workers in (1, 2):
        list(write_shards(source, tmp_path / str(workers), 2, workers=workers, quiet=True))
    for name in ("shard-00000.npz", "shard-00001.npz"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    assert read_shard(tmp_path / "1" / "shard-00000.npz").styles[0].startswith("hand ")


def test_a_list_is_written_once_and_what_is_left_out_is_recorded(tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_bytes("x + 2\n\\text { 中 } = 2\n".encode() + b"\xff 3\n")
    list(write_shards(ComposedShards(ListedShards(listed, 10), INKS), tmp_path / "out", 1))
    shard = read_shard(tmp_path / "out" / "shard-00000.npz")
    assert shard.formulas == ["x + 2"]
    dropped = (tmp_path / "out" / "dropped.jsonl").read_text()
    assert "Chinese words" in dropped
    assert "line 3 is not UTF-8" in dropped

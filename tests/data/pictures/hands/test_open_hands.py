"""Hands traced from fonts: the file is read or refused, and each formula gets a hand of its own."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from texlens.cli.data import render
from texlens.data.pictures.hands.composer import compose
from texlens.data.pictures.hands.glyphs import Glyph, glyph_of, other_forms, own
from texlens.data.pictures.hands.open_hands import digest_of_hands, read_hands
from texlens.data.pictures.hands.page import Manner
from texlens.data.pictures.hands.varying import varied
from texlens.data.pictures.hands.writers import Hands
from texlens.data.pictures.shards import read_shard
from texlens.engine import Drawing, get_engine
from texlens.errors import InputError

FILE = Path(__file__).parents[4] / "data" / "hand_glyphs" / "hands.txt"
LETTERS = "01235689abcdeghijklmnopqstvwxABCDEFGHIJKLMNOPQRSTUVWXYZ"
GREEK = "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΦΨΩ"


@pytest.fixture(scope="module")
def hands() -> Hands:
    return Hands.of_open(read_hands(FILE))


def test_every_hand_of_the_repository_has_letters_and_some_have_greek() -> None:
    hands = read_hands(FILE)
    assert len(hands) >= 35
    assert not [hand.name for hand in hands if set(LETTERS) - set(hand.symbols)]
    assert sum(set(GREEK) <= set(hand.symbols) for hand in hands) >= 5


def test_every_source_is_named_with_its_copyright_beside_the_licence() -> None:
    rows = [
        line.split(" | ")
        for line in (FILE.parent / "SOURCES.md").read_text(encoding="utf-8").splitlines()
        if line[:3].removeprefix("| ").isdigit()
    ]
    assert [row[0].removeprefix("| ") for row in rows] == [hand.name for hand in read_hands(FILE)]
    assert all(font and "opyright" in owner for _, font, owner, _ in rows)
    assert "SIL OPEN FONT LICENSE Version 1.1" in (FILE.parent / "OFL.txt").read_text()


def test_a_file_has_comments_and_the_symbol_that_begins_them(tmp_path: Path) -> None:
    path = tmp_path / "hands.txt"
    path.write_text("# a comment\nhand\tone\n#\t0,0 9,9|3,-1 4.5,7\n\nhand\tnone\n")
    (hand,) = read_hands(path)
    assert hand.name == "one"
    assert [stroke.tolist() for stroke in hand.symbols["#"]] == [
        [[0, 0], [9, 9]],
        [[3, -1], [4.5, 7]],
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has no hands"),
        ("hand\tone\n", "has no hands"),
        ("a\t0,0 1,1\n", "line 1"),
        ("hand\tone\na\t0,0 1\n", "line 2"),
        ("hand\tone\na\t0,0 1,x\n", "line 2"),
        ("hand\tone\na\t0,0 1,1|\n", "line 2"),
        ("hand\tone\na\t0,0 nan,1\n", "line 2"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "hands.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=reason):
        read_hands(path)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_hands(tmp_path / "none.txt")
    (tmp_path / "binary").write_bytes(b"hand\tone\n\xff")
    with pytest.raises(InputError, match="UTF-8"):
        read_hands(tmp_path / "binary")


def test_bold_symbols_are_written_twice(hands: Hands) -> None:
    plain, bold = get_engine().draw(["x", r"\boldsymbol { x }"])
    assert isinstance(plain, Drawing)
    assert isinstance(bold, Drawing)
    counts = [len(compose(d, hands, np.random.default_rng(0))) for d in (plain, bold)]
    assert counts[1] == 2 * counts[0]


def test_one_hand_writes_a_symbol_alike_and_never_the_same_twice(hands: Hands) -> None:
    glyph = hands.writers[0].glyphs["h"][0]
    near, far = [], []
    for seed in range(20):
        one, two = varied("hh", [glyph, glyph], np.random.default_rng(seed))
        other, _ = varied("hh", [glyph, glyph], np.random.default_rng([seed, 1]))
        near.append(np.abs(_points(one) - _points(two)).mean())
        far.append(np.abs(_points(one) - _points(other)).mean())
    assert min(near) > 0
    assert np.mean(near) < 0.7 * np.mean(far)


def _points(glyph: Glyph) -> np.ndarray:
    return np.concatenate(glyph.strokes) * [glyph.width, glyph.height]


def test_a_straight_line_stays_nearly_straight() -> None:
    line = glyph_of([np.stack([np.zeros(20), np.linspace(0, 1, 20)], axis=1)])
    for form in varied("1" * 50, [line] * 50, np.random.default_rng(0)):
        x, y = _points(form).T
        assert np.abs(x - np.polyval(np.polyfit(y, x, 1), y)).max() < 0.05


def test_what_is_stretched_to_any_size_has_none_of_its_own(hands: Hands) -> None:
    glyphs = [hands.writers[0].glyphs[char][0] for char in "(o"]
    bracket, letter = varied("(o", glyphs, np.random.default_rng(0))
    assert bracket.width == 0
    assert letter.width > 0


def test_the_parts_of_other_forms_are_symbols_that_the_hands_have(hands: Hands) -> None:
    forms = {char: other_forms(char) for char in LETTERS + GREEK + "≤≥≠∈"}
    parts = {part.char for some in forms.values() for form in some for part in form}
    assert sum(map(bool, forms.values())) >= 15
    assert not [char for char in parts if not hands.writes(char) and own(char) is None]


@pytest.mark.parametrize(
    "formula", [r"\sin x", r"\sqrt { x } \int _ 0 ^ 1 \frac { \partial f } { \partial x }", r"\Psi"]
)
def test_formulas_are_written_and_each_time_by_another_hand(hands: Hands, formula: str) -> None:
    (drawing,) = get_engine().draw([formula])
    assert isinstance(drawing, Drawing)
    written = [compose(drawing, hands, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert not [one for one in written if isinstance(one, str)]
    ends = [np.concatenate(one)[-1].tolist() for one in written if not isinstance(one, str)]
    assert ends[0] == ends[1] != ends[2]


@pytest.mark.parametrize("formula", [r"\frac{2}{5}", r"\sqrt{\frac{2}{5}}"])
def test_a_fraction_is_drawn_together_and_a_root_follows_it(hands: Hands, formula: str) -> None:
    (drawn,) = get_engine().draw([formula])
    assert isinstance(drawn, Drawing)

    def height(gap: float, seed: int) -> float:
        manner = replace(Manner.vary(np.random.default_rng(seed), few=True), gap=gap)
        strokes = compose(drawn, hands, np.random.default_rng(seed), manner)
        assert not isinstance(strokes, str)
        return float(np.ptp(np.concatenate(strokes)[:, 1]))

    saved = [height(1.0, seed) - height(0.0, seed) for seed in range(10)]
    assert 0.2 < np.median(saved) < 1.0


def test_shards_are_rendered_without_any_ink(tmp_path: Path) -> None:
    formulas = tmp_path / "formulas.txt"
    formulas.write_text("x ^ { 2 } + 1\n\\alpha \\leq \\beta\n中\n", encoding="utf-8")
    command = [
        str(formulas),
        "--hands",
        str(FILE),
        "--out",
        str(tmp_path / "out"),
    ]
    result = CliRunner().invoke(render, command)
    assert result.exit_code == 0, result.output
    examples = list(read_shard(tmp_path / "out" / "shard-00000.npz").examples())
    assert len(examples) == 2
    settings = (tmp_path / "out" / "shards.json").read_text()
    assert digest_of_hands(read_hands(FILE)) in settings
    assert hashlib.sha256().hexdigest() in settings  # of no ink


def test_hands_and_ink_are_not_mixed(tmp_path: Path) -> None:
    command = [
        "--source",
        "roots:1",
        "--pictures",
        "1",
        "--out",
        str(tmp_path / "o"),
    ]
    result = CliRunner().invoke(render, [*command, "--hands", str(FILE), "--ink", str(tmp_path)])
    assert result.exit_code == 2
    assert "--ink or --hands" in result.output

"""What a notebook shows: the HTML and the short texts of results."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

import texlens
import texlens.errors
from texlens.notebook import doubtful_tokens, html
from texlens.records import Reading, Score, Token
from texlens.results import PairScore

HOSTILE = r"\text{<script>alert(1)</script> ' onerror='x}"


class Checked(HTMLParser):
    """Counts the pictures; the tags must be closed in order, and none may be a script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.pictures = 0
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "script"
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag == "img":
            self.pictures += 1
            assert (dict(attrs)["src"] or "").startswith("data:image/")
        else:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def token(text: str, probability: float) -> Token:
    return Token(text, math.log(probability))


def test_doubtful_tokens_are_found_in_the_compact_form() -> None:
    tokens = [token(text, p) for text, p in [
        ("f", 1), (" ^", 0.1), (" {", 1), (r" \prime", 0.3), (" }", 0.1), (" =", 1),
        (r" \frac", 1), (" {", 1), (" a", 0.7), (" }", 1), (" {", 1), (" b", 1), (" }", 0.6),
        (" ^", 0.4), (" {", 1), (" 2", 1), (" }", 1),
    ]]  # fmt: skip
    latex = r"f' = \frac{a}{b}^{2}"
    found = [(latex[start:end], start) for start, end, _ in doubtful_tokens(latex, tokens)]
    assert found == [("'", 1), ("a", 11), ("}", 15), ("^", 16)]


def test_a_reading_stands_beside_its_picture(tmp_path: Path) -> None:
    tokens = (token("x", 0.4), token(" =", 0.99), token(" y", 0.7))
    image = Image.new("RGB", (60, 20), "white")
    reading = Reading("picture 1", "x = y", 0.5, tokens, ("loop",), normal="x = y", picture=image)
    shown = html(reading)
    assert Checked(shown).pictures == 2
    assert [re.sub("<.*?>", "", mark) for mark in re.findall("<mark.*?</mark>", shown)] == [
        "x",
        "y",
    ]
    assert "confidence 0.50 · The answer repeats itself without end." in shown
    assert repr(reading) == "Reading(x = y, confidence 0.50, loop)"
    path = tmp_path / "shot.png"
    image.save(path)
    assert Checked(html(Reading(str(path), "x", 1.0))).pictures == 2
    assert Checked(html(Reading("picture 2", "x", 1.0))).pictures == 1
    failed = Reading("<b>", "", 0.0, error="'<b>' is not a picture.")
    assert html(failed) == "<p>&#x27;&lt;b&gt;&#x27; is not a picture.</p>"
    assert repr(failed) == "Reading('<b>' is not a picture.)"


def test_a_pair_is_rendered_with_its_differences() -> None:
    for key, pictures in (("cdm", 2), ("layout", 2), ("exact", 2)):
        shown = html(PairScore(key, 0.5, "a+b", "a-b", key))
        assert Checked(shown).pictures == pictures
        assert shown.count("<mark") == 2
    assert Checked(html(PairScore("exact", 0.0, r"\frac{", "x", "exact"))).pictures == 1


def test_scores_are_a_table() -> None:
    scores = texlens.score([("a", "a"), ("b", "c")], ["exact", "bleu"])
    shown = html(scores)
    Checked(shown)
    assert "<td style='text-align:right'>0.5000</td>" in shown
    assert repr(scores["exact"]) == "Score(exact 0.5000 [0.0000, 1.0000], n=2)"
    assert repr(Score("cdm", None, 0, 2, None, "cdm")) == "Score(cdm no value)"
    assert "0.0000 - 1.0000" in html(scores["exact"])


def test_systems_are_compared_in_tables() -> None:
    references = [f"x_{{{n}}}" for n in range(20)]
    found = texlens.compare_systems(
        {
            "<b>bad</b>": [(text, "x") for text in references],
            "good": [(text, text) for text in references],
        },
        ["exact", "edit_tokens"],
    )
    assert repr(found) == "Comparison(<b>bad</b>, good; 20 items)"
    one = found.differences["good", "<b>bad</b>"]["exact"]
    assert (one.value, one.wins) == (1.0, 20)
    assert one.significant
    shown = found._repr_html_()
    Checked(shown)
    assert "&lt;b&gt;bad" in shown
    assert "cdm" not in str(found)
    with pytest.raises(texlens.errors.InputError, match="id '3' differ"):
        texlens.compare_systems(
            {
                "a": [(text, "x") for text in references],
                "b": [(text if n != 3 else "y", "x") for n, text in enumerate(references)],
            },
            ["exact"],
        )


def test_hostile_text_stays_text() -> None:
    Checked(html(Reading("p", HOSTILE, 0.5, (token("<script>", 0.1),))))
    Checked(html(PairScore("layout", 0.5, HOSTILE, "x", "layout", (HOSTILE,))))

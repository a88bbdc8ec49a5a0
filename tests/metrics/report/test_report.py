"""Report pages and explanations: self-contained, escaped, safe with hostile formulas."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from texlens.errors import InputError
from texlens.metrics.batches import ScoringConfig
from texlens.metrics.report.explain import MATCHED, UNMATCHED, explain, write_explanation
from texlens.metrics.report.page import scoring_page
from texlens.metrics.scoring import Scoring, score_predictions
from texlens.records import Prediction

HOSTILE = [
    "</script><script>alert(1)</script>",
    r"\href{javascript:alert(1)}{x}",
    r"""x" onerror="alert(1)' y""",
    r"\text{<img src=x onerror=alert(1)>} < y",
    "{{ 7 * 7 }} {% raw %}",
    "\ud800 \0 \u202e",
]
KEYS = ("layout", "edit_tokens", "exact")


def scored(predictions: list[Prediction]) -> Scoring:
    return score_predictions(predictions, ScoringConfig(KEYS, cache=False), quiet=True)


class Page(HTMLParser):
    """Every element and attribute of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def assert_is_safe(text: str, scripts: int) -> Page:
    page = Page(text)
    assert len(page.named("script")) == scripts
    assert not page.named("a")
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert "style" not in attributes
        source = attributes.get("src") or ""
        assert not source or source.startswith("data:image/"), source
        if source.startswith("data:image/svg"):
            picture = base64.b64decode(source.split(",")[1]).decode()
            assert not re.search(r"<script|<foreignObject|<a[ >]|href=|\son\w+=", picture), picture
    policy = page.named("meta")[1]["content"]
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    return page


def test_a_report_is_safe_with_hostile_formulas() -> None:
    predictions = [
        Prediction(f, f, f, {"warnings": [f], "error": f, "kind": f, "about": f}) for f in HOSTILE
    ]
    text = scoring_page("<b>title</b>", scored(predictions), introduction=["<i>all</i>"])
    page = assert_is_safe(text, scripts=1)
    policy = page.named("meta")[1]["content"]
    for tag in ("script", "style"):
        content = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert content is not None
        digest = base64.b64encode(hashlib.sha256(content[1].encode()).digest()).decode()
        assert policy is not None
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "49" not in html.unescape(text).split("<main")[1].split("<article")[1]


def test_a_report_shows_the_worst_first_and_says_what_it_leaves_out() -> None:
    pairs = [("x", "x"), (r"\frac{a}{b}", "q"), (r"\frac{", "x"), ("x + y", "x - y")]
    scoring = scored([Prediction(str(n), *pair) for n, pair in enumerate(pairs)])
    text = scoring_page("Scores", scoring, limit=3)
    assert re.findall(r"<h2>(\d)</h2>", text) == ["1", "3", "0"]
    assert "1 more items are not shown" in text
    assert "<mark>- </mark>" in text
    goodness = json.loads(html.unescape(re.findall(r'data-goodness="([^"]*)"', text)[0]))
    assert goodness["edit_tokens"] == 0
    assert scoring.scores["layout"].signature in html.unescape(text)


def test_a_formula_that_cannot_be_drawn_shows_the_reason() -> None:
    text = scoring_page("Scores", scored([Prediction("1", "x", r"\frac{")]))
    assert "cannot be drawn: Missing close brace" in text


def colors(picture: Image.Image) -> set[tuple[int, ...]]:
    return {color for _, color in picture.getcolors(1 << 24)}  # type: ignore[misc]


def test_an_explanation_paints_what_was_matched_and_what_was_not() -> None:
    plan = ScoringConfig(("layout", "exprate_layout"), cache=False)
    same = explain(Prediction("1", r"\frac{x}{y}", r"\frac{x}{y}"), plan)
    reference, prediction = same.pictures["layout"]
    assert MATCHED in colors(reference) & colors(prediction)
    assert UNMATCHED not in colors(reference) | colors(prediction)
    wrong = explain(Prediction("1", r"\frac{x}{y}", r"\frac{x}{7}"), plan)
    for picture in wrong.pictures["layout"]:
        assert {MATCHED, UNMATCHED} <= colors(picture)
        # The numerator, in the upper half, was right; the denominator was not.
        upper = picture.crop((0, 0, picture.width, picture.height // 2))
        assert UNMATCHED not in colors(upper)


def test_explanations_are_written_under_a_safe_name(tmp_path: Path) -> None:
    plan = ScoringConfig(("layout",), cache=False)
    for id_ in ("../../etc/x", "</script><script>", "plain.1"):
        explanation = explain(Prediction(id_, "x", r"\href{javascript:alert(1)}{y}"), plan)
        picture, page = write_explanation(tmp_path, explanation)
        assert picture.parent == page.parent == tmp_path / "explain"
        Image.open(io.BytesIO(picture.read_bytes())).verify()
        assert_is_safe(page.read_text(), scripts=0)
    assert (tmp_path / "explain" / "plain.1.png").exists()


def test_an_item_that_cannot_be_explained_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be explained"):
        explain(Prediction("1", r"\frac{", "x"), ScoringConfig(("layout",), cache=False))
    with pytest.raises(InputError, match="Only cdm and layout"):
        explain(Prediction("1", "x", "x"), ScoringConfig(("exact",), cache=False))

"""Ink: InkML in, pictures out."""

from __future__ import annotations

import numpy as np
import pytest

from texlens.data.pictures.ink import InkError, InkStyle, parse_inkml, render_ink

SQUARE = np.array([[0, 0], [100, 0], [100, 100], [0, 100], [0, 0]], dtype=float)


def inkml(traces: str, reference: str = "$x$") -> bytes:
    return (
        '<ink xmlns="http://www.w3.org/2003/InkML">'
        f'<annotation type="truth">{reference}</annotation>{traces}'
        '<traceGroup><annotation type="truth">not the formula</annotation></traceGroup></ink>'
    ).encode()


def test_reads_points_and_reference() -> None:
    ink = parse_inkml(inkml('<trace id="0">1 2 9 9, 3 4</trace><trace id="1">\n5 6</trace>'))
    assert ink.reference == "$x$"
    assert [stroke.tolist() for stroke in ink.strokes] == [[[1, 2], [3, 4]], [[5, 6]]]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "broken XML"),
        (b"<ink>", "broken XML"),
        (inkml(""), "no strokes"),
        (inkml("<trace>1 a</trace>"), "not a number"),
        (inkml("<trace>1</trace>"), "not a number"),
        (inkml("<trace>nan 1</trace>"), "not finite"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><ink>&b;</ink>', "document type"),
    ],
)
def test_broken_ink_has_a_reason(content: bytes, reason: str) -> None:
    with pytest.raises(InkError, match=reason):
        parse_inkml(content)


def test_a_symbol_has_the_size_of_the_style_for_every_tablet() -> None:
    style = InkStyle(symbol_px=40, line_px=2, smoothing=0, margin_px=5)
    for unit in (0.01, 1.0, 50.0):
        picture = render_ink([SQUARE * unit], style)
        rows = np.flatnonzero((picture < 128).any(axis=1))
        assert rows[-1] - rows[0] + 1 == pytest.approx(42, abs=1.5)  # the pen adds its width
        assert (picture[0] == 255).all()


def test_a_dot_and_a_long_line_are_rendered() -> None:
    assert (render_ink([np.array([[3.0, 3.0]])]) < 128).any()
    line = np.array([[0.0, 0.0], [1e6, 0.0]])
    assert max(render_ink([line, SQUARE], InkStyle(max_side_px=400)).shape) <= 402


def test_jitter_is_seeded() -> None:
    style = InkStyle(jitter_px=2.0)
    first, second, other = (
        render_ink([SQUARE], style, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)

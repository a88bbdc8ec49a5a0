"""Handwriting as strokes: read InkML, and render strokes as a grey picture.

InkML is the W3C format of the ink of CROHME and MathWriting. A stroke is an array (points, 2) of x, y
in the units of the writer's tablet, y down.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

Stroke = NDArray[np.float64]
Grey = NDArray[np.uint8]

_SUPERSAMPLING = 2  # OpenCV's lines have whole-pixel widths: render larger, then average
_FRACTION_BITS = 4  # fixed-point bits of OpenCV's sub-pixel coordinates


class InkError(ValueError):
    """An ink file that cannot be used; the message is the reason that `dropped.jsonl` records."""


@dataclass(frozen=True, slots=True)
class Ink:
    """One handwritten formula: its strokes and its LaTeX ('' without).

    `symbols`: each symbol's name in the file and the indices of its strokes in `strokes`; empty
    where the file does not group the strokes. `writer`: who wrote it, '' where the file has no name.
    """

    strokes: tuple[Stroke, ...]
    reference: str
    symbols: tuple[tuple[str, tuple[int, ...]], ...] = ()
    writer: str = ""


def parse_inkml(content: bytes, references: Sequence[str] = ("truth",)) -> Ink:
    """Read one InkML document.

    Only the first two channels (x, y) of a point are used. The formula is the annotation directly
    under the root whose type is the first of `references` that is there: annotations inside trace
    groups name single symbols.

    Raises InkError when the document is not well-formed, declares entities, or has no strokes.
    """
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise InkError("declares a document type, which InkML does not need")
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise InkError(f"broken XML: {error}") from error
    strokes: list[Stroke] = []
    places: dict[str, int] = {}  # of a stroke, by its id
    for trace in root.iterfind(".//{*}trace"):
        stroke = _parse_trace(trace.text or "")
        if len(stroke):
            places[trace.get("id", "")] = len(strokes)
            strokes.append(stroke)
    if not strokes:
        raise InkError("has no strokes")
    symbols = []
    for group in root.iterfind(".//{*}traceGroup"):
        views = [view.get("traceDataRef", "") for view in group.iterfind("{*}traceView")]
        if views and all(view in places for view in views):
            label = _annotation(group, ("truth",))
            symbols.append((label, tuple(places[view] for view in views)))
    writer = _annotation(root, ("writer",))
    return Ink(tuple(strokes), _annotation(root, references), tuple(symbols), writer)


def _annotation(element: ElementTree.Element, kinds: Sequence[str]) -> str:
    """The annotation directly under an element, of the first type that is there; '' without one."""
    for kind in kinds:
        if annotations := element.findall(f"{{*}}annotation[@type='{kind}']"):
            return (annotations[-1].text or "").strip()
    return ""


def _parse_trace(text: str) -> Stroke:
    try:
        points = [point.split()[:2] for point in text.split(",") if point.strip()]
        stroke = np.array(points, dtype=np.float64).reshape(-1, 2)
    except ValueError as error:
        raise InkError("a trace holds something that is not a number") from error
    if not np.isfinite(stroke).all():
        raise InkError("a trace holds a coordinate that is not finite")
    return stroke


@dataclass(frozen=True, slots=True)
class InkStyle:
    """How strokes are rendered.

    symbol_px: size of a typical symbol in the picture, in pixels.
    line_px: width of the pen, in pixels.
    smoothing: passes of a (1, 2, 1)/4 filter along each stroke.
    slant: shear, x += slant * height (0.3 leans like italics).
    jitter_px: standard deviation of a smooth random displacement of each stroke, in pixels.
    margin_px: white space around the ink.
    max_side_px: a larger picture is scaled down to this side.
    """

    symbol_px: float = 28.0
    line_px: float = 2.0
    smoothing: int = 1
    slant: float = 0.0
    jitter_px: float = 0.0
    margin_px: int = 8
    max_side_px: int = 1600

    def vary(self, rng: np.random.Generator) -> InkStyle:
        """A random style near this one: another pen, another writer."""
        return replace(
            self,
            symbol_px=self.symbol_px * float(rng.uniform(0.75, 1.3)),
            line_px=self.line_px * float(rng.uniform(0.6, 1.7)),
            smoothing=int(rng.integers(0, 4)),
            slant=float(rng.normal(0.0, 0.12)),
            jitter_px=float(rng.uniform(0.0, 0.8)),
            margin_px=int(rng.integers(4, 16)),
        )


def render_ink(
    strokes: Sequence[Stroke], style: InkStyle | None = None, rng: np.random.Generator | None = None
) -> Grey:
    """Render strokes, black on white.

    The size of a symbol is estimated as the median of the larger sides of the strokes' boxes, so
    that formulas of every length and from every tablet have symbols of `style.symbol_px`.
    `rng` is used for jitter alone.

    Returns an array (height, width) of grey values. Raises InkError when there is no stroke.
    """
    style = style or InkStyle()
    if not strokes:
        raise InkError("has no strokes")
    if style.slant:
        shear = np.array([[1.0, 0.0], [-style.slant, 1.0]])
        strokes = [stroke @ shear for stroke in strokes]
    sides = np.array([np.ptp(stroke, axis=0).max() for stroke in strokes])
    everything = np.concatenate(strokes)
    low = everything.min(axis=0)
    extent = np.ptp(everything, axis=0)
    visible = sides[sides > 0.02 * max(extent.max(), 1e-9)]
    symbol = float(np.median(visible)) if len(visible) else 1.0
    longest = max(float(extent.max()), 1e-9)
    room = style.max_side_px - 2 * style.margin_px
    scale = min(style.symbol_px / symbol, room / longest) * _SUPERSAMPLING
    margin = style.margin_px * _SUPERSAMPLING
    size = np.ceil(extent * scale).astype(int) + 2 * margin + _SUPERSAMPLING
    size += -size % _SUPERSAMPLING
    canvas = np.full((size[1], size[0]), 255, dtype=np.uint8)
    thickness = max(1, round(style.line_px * _SUPERSAMPLING))
    for stroke in strokes:
        points = (stroke - low) * scale + margin
        for _ in range(style.smoothing):
            points = _smooth(points)
        if style.jitter_px and rng is not None:
            points = points + _wobble(len(points), style.jitter_px * _SUPERSAMPLING, rng)
        fixed = np.round(points * (1 << _FRACTION_BITS)).astype(np.int32).reshape(-1, 1, 2)
        if len(fixed) == 1:
            fixed = np.repeat(fixed, 2, axis=0)  # a dot
        cv2.polylines(canvas, [fixed], False, 0, thickness, cv2.LINE_AA, _FRACTION_BITS)
    small = (size[0] // _SUPERSAMPLING, size[1] // _SUPERSAMPLING)
    return np.asarray(cv2.resize(canvas, small, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _smooth(points: Stroke) -> Stroke:
    """One pass of a binomial filter; the ends of the stroke stay where they are."""
    if len(points) < 3:
        return points
    inner = (points[:-2] + 2 * points[1:-1] + points[2:]) / 4
    return np.concatenate([points[:1], inner, points[-1:]])


def _wobble(n: int, deviation: float, rng: np.random.Generator) -> Stroke:
    """A smooth random displacement (n, 2): a shift of the whole stroke plus a slow drift along it."""
    knots = rng.normal(0.0, deviation, size=(4, 2))
    position = np.linspace(0.0, 3.0, n)
    return np.stack([np.interp(position, np.arange(4), knots[:, axis]) for axis in (0, 1)], axis=1)


def array_to_png(pixels: Grey) -> bytes:
    """Pixels (height, width), or (height, width, 3) in BGR, as PNG bytes.

    OpenCV writes them four times as fast as Pillow, and with other bytes.
    """
    done, encoded = cv2.imencode(".png", pixels)
    if not done:
        raise InkError("cannot be encoded as PNG")
    return encoded.tobytes()

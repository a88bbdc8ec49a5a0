"""A picture of how a metric matched a pair: matched ink green, the rest red.

MathJax draws the formula in grey, and every pixel gets the colour of the smallest matched or
unmatched box around it. Ink that the metric does not compare stays grey.
"""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from texlens.errors import InputError
from texlens.images import data_address, encode_png
from texlens.metrics.base import Drawings, Side
from texlens.metrics.batches import BatchScorer, ItemResult, ScoringConfig
from texlens.pages import render_page
from texlens.records import Prediction
from texlens.runs import write_bytes, write_text

MATCHED = (26, 127, 55)
UNMATCHED = (209, 36, 47)
UNJUDGED = (150, 150, 150)

_EM_PX = 48
_MARGIN_PX = 16
_LABEL_PX = 24


@dataclass(frozen=True, slots=True)
class Explanation:
    """One item explained: its scores, and by metric the painted reference and prediction."""

    prediction: Prediction
    result: ItemResult
    pictures: dict[str, tuple[Image.Image, Image.Image]]


def explain(prediction: Prediction, config: ScoringConfig) -> Explanation:
    """Score one item and paint its matching under every drawing metric of the config.

    Raises InputError when the configuration has no such metric, or nothing can be drawn.
    """
    scorer = BatchScorer(config)
    if not any(metric.needs_drawing for metric in scorer.metrics):
        raise InputError("Only cdm and layout can be explained: name one of them in --metrics.")
    (result,) = scorer.score([prediction])
    pictures = {
        key: (
            _paint(match.reference, scorer.drawings),
            _paint(match.prediction, scorer.drawings),
        )
        for key, match in scorer.explain(prediction).items()
    }
    if not pictures:
        why = " ".join(result.warnings) or "nothing was drawn."
        raise InputError(f"The item '{prediction.id}' cannot be explained: {why}")
    return Explanation(prediction, result, pictures)


def write_explanation(out: Path, explanation: Explanation) -> tuple[Path, Path]:
    """Write `explain/ID.png` and `explain/ID.html` into `out`; returns their paths."""
    name = _file_name(explanation.prediction.id)
    picture, page = out / "explain" / f"{name}.png", out / "explain" / f"{name}.html"
    write_bytes(picture, encode_png(_sheet(explanation), optimize=True))
    write_text(page, _html(explanation))
    return picture, page


def _paint(side: Side, drawings: Drawings) -> Image.Image:
    """A formula with its ink coloured by the boxes of a matching."""
    from texlens.engine import Failure
    from texlens.render import Size, png

    (drawing,) = drawings.draw([side.formula])
    size = Size(em_px=_EM_PX, margin_px=_MARGIN_PX)
    picture = png(side.formula, size, background="")
    if isinstance(drawing, Failure) or isinstance(picture, Failure):
        return Image.new("RGB", (2 * _MARGIN_PX, 2 * _MARGIN_PX), "white")
    ink = np.asarray(Image.open(io.BytesIO(picture)).convert("RGBA"))[:, :, 3:] / 255
    colors = np.full((*ink.shape[:2], 3), UNJUDGED, dtype=np.float64)
    boxes = sorted(
        zip(side.boxes, side.matched, strict=True),
        key=lambda b: -(b[0].x1 - b[0].x0) * (b[0].y1 - b[0].y0),
    )
    for box, matched in boxes:
        # One pixel more on every side: ink is smoothed over its edge.
        left, right = box.x0 * _EM_PX + _MARGIN_PX - 1, box.x1 * _EM_PX + _MARGIN_PX + 1
        top = (drawing.height + box.y0) * _EM_PX + _MARGIN_PX - 1
        bottom = (drawing.height + box.y1) * _EM_PX + _MARGIN_PX + 1
        rows, columns = _pixels(top, bottom), _pixels(left, right)
        colors[rows, columns] = MATCHED if matched else UNMATCHED
    painted: NDArray[np.uint8] = (255 * (1 - ink) + colors * ink).astype(np.uint8)
    return Image.fromarray(painted, "RGB")


def _pixels(start: float, end: float) -> slice:
    return slice(max(0, int(np.floor(start))), max(0, int(np.ceil(end))))


def _sheet(explanation: Explanation) -> Image.Image:
    """All pictures of an explanation below one another, each with its name."""
    rows = [
        (f"{_values(explanation.result, key)}   {name}", picture)
        for key, pictures in explanation.pictures.items()
        for name, picture in zip(("reference", "prediction"), pictures, strict=True)
    ]
    width = max(max(8 * len(name) + 2 * _MARGIN_PX, picture.width) for name, picture in rows)
    height = sum(_LABEL_PX + picture.height for _, picture in rows)
    sheet = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(sheet)
    top = 0
    for name, picture in rows:
        pen.text((_MARGIN_PX, top + 6), name, fill="#555")
        sheet.paste(picture, (0, top + _LABEL_PX))
        top += _LABEL_PX + picture.height
    return sheet


def _values(result: ItemResult, key: str) -> str:
    value = result.values.get(key)
    return key if value is None else f"{key} {value:.4f}"


def _html(explanation: Explanation) -> str:
    prediction, result = explanation.prediction, explanation.result
    return render_page(
        "texlens.metrics.report",
        "explain",
        title=prediction.id,
        texts={"reference": prediction.gt, "prediction": prediction.pred},
        values=result.values,
        warnings=result.warnings,
        pictures={
            _values(result, key): [
                data_address(encode_png(picture, optimize=True)) for picture in pictures
            ]
            for key, pictures in explanation.pictures.items()
        },
    )


def _file_name(id_: str) -> str:
    """A file name for an id: without special characters, and then with a hash to stay distinct."""
    clean = re.sub(r"[^A-Za-z0-9._-]+", "_", id_)[:80].lstrip(".")
    if clean == id_:
        return clean
    digest = hashlib.sha256(id_.encode("utf-8", errors="surrogatepass")).hexdigest()[:8]
    return f"{clean}-{digest}"

"""Results as HTML, as a notebook shows them.

A reading stands beside its picture, its doubtful tokens marked; scores are a table; a pair is
rendered with its differences. Every text is escaped, and pictures are part of the HTML, so that a
saved notebook needs no other file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import singledispatch
from html import escape
from pathlib import Path

from texlens.errors import InputError
from texlens.images import data_address, encode_png
from texlens.metrics.batches import ScoringConfig
from texlens.metrics.report.explain import explain
from texlens.metrics.report.page import marked_differences
from texlens.metrics.report.table import metrics_table
from texlens.records import WARNINGS, Prediction, Reading, Score, Token
from texlens.results import PairScore, Scores
from texlens.tables import Table

DOUBTFUL = 0.8
"""A token with a lower probability is marked."""
VERY_DOUBTFUL = 0.5
_SHOWN_PX = 480  # the width at which a picture is shown at most

_PICTURE = "background:#fff;padding:6px;border-radius:4px;max-width:100%"
_NOTE = "opacity:.7;font-size:90%"
_CODE = "white-space:pre-wrap;word-break:break-word;background:none"
_MARK = "background:#ffe08a;color:#000"
_STRONG_MARK = "background:#ff9d8a;color:#000"


@singledispatch
def html(result: object) -> str:
    """The HTML of a result. Raises TypeError for anything else."""
    raise TypeError(f"There is no HTML for {type(result).__name__}.")


@html.register
def _(reading: Reading) -> str:
    if reading.error is not None:
        return f"<p>{escape(reading.error)}</p>"
    cells = [picture for picture in (_given(reading), _rendered(reading.latex)) if picture]
    notes = [f"confidence {reading.confidence:.2f}", *(WARNINGS[code] for code in reading.warnings)]
    if "no_logprobs" in reading.warnings:
        notes = notes[1:]
    return (
        f"<div>{_beside(cells)}<pre style='{_CODE}'>{_marked_tokens(reading)}</pre>"
        f"<p style='{_NOTE}'>{escape(' · '.join(notes))}</p></div>"
    )


@html.register
def _(score: Score) -> str:
    return html(Scores({score.key: score})) + f"<p style='{_NOTE}'>{escape(score.signature)}</p>"


@html.register
def _(scores: Scores) -> str:
    return tables_html([metrics_table(scores)])


@html.register
def _(pair: PairScore) -> str:
    shown = "no value" if pair.value is None else f"{pair.value:.4f}"
    sides = list(_painted(pair))
    texts = marked_differences(pair.reference, pair.prediction)
    rows = "".join(
        f"<tr><td style='text-align:left'>{name}</td>"
        f"<td style='text-align:left'>{picture}<pre style='{_CODE}'>{_marked_pieces(pieces)}</pre></td></tr>"
        for name, picture, pieces in zip(("reference", "prediction"), sides, texts, strict=True)
    )
    notes = "".join(f"<p style='{_NOTE}'>{escape(warning)}</p>" for warning in pair.warnings)
    return f"<div><b>{escape(pair.key)}</b> {shown}<table>{rows}</table>{notes}</div>"


def tables_html(tables: Iterable[Table]) -> str:
    """Tables of text, one below the other."""
    return "".join(map(_table, tables))


def _table(table: Table) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        aligned = ("left", *["right"] * (len(cells) - 1))
        return "".join(
            f"<{tag} style='text-align:{side}'>{escape(cell)}</{tag}>"
            for cell, side in zip(cells, aligned, strict=True)
        )

    body = "".join(f"<tr>{row(cells, 'td')}</tr>" for cells in table.rows)
    title = table.title and f"<h4>{escape(table.title)}</h4>"
    note = table.note and f"<p style='{_NOTE}'>{escape(table.note)}</p>"
    head = f"<thead><tr>{row(table.header, 'th')}</tr></thead>"
    return f"{title}<table>{head}<tbody>{body}</tbody></table>{note}"


def _beside(cells: Sequence[str]) -> str:
    inner = "".join(f"<div>{cell}</div>" for cell in cells)
    return f"<div style='display:flex;flex-wrap:wrap;gap:12px;align-items:center'>{inner}</div>"


def _image(content: bytes, what: str, width: int = 0) -> str:
    size = f" width='{width}'" if width else ""
    return f"<img src='{data_address(content)}' alt='{escape(what)}'{size} style='{_PICTURE}'>"


def _given(reading: Reading) -> str:
    """The picture that was read, where it is known."""
    from PIL import Image

    from texlens.reading.pictures.opening import as_png, open_picture

    picture = reading.picture
    if isinstance(picture, str | Path) or (picture is None and Path(reading.path).is_file()):
        picture = Path(picture if isinstance(picture, str | Path) else reading.path)
    try:
        if isinstance(picture, Path | bytes):
            picture = open_picture(picture)
    except InputError:
        return ""
    if not isinstance(picture, Image.Image):
        return ""
    shown = as_png(picture.convert("RGB"), max_side=2 * _SHOWN_PX)
    return _image(shown, "the picture that was read", min(picture.width, _SHOWN_PX))


def _rendered(latex: str) -> str:
    from texlens.engine import Failure
    from texlens.render import svg

    drawing = svg(latex) if latex else ""
    if isinstance(drawing, Failure) or not drawing:
        return ""
    return _image(drawing.encode(errors="replace"), latex)


def _painted(pair: PairScore) -> Iterator[str]:
    """Reference and prediction as pictures, matched ink green and the rest red."""
    key = pair.key if pair.key in ("cdm", "layout") else "layout"
    try:
        found = explain(Prediction("pair", pair.reference, pair.prediction), ScoringConfig((key,)))
    except InputError:
        yield from map(_rendered, (pair.reference, pair.prediction))
        return
    for name, picture in zip(("reference", "prediction"), found.pictures[key], strict=True):
        yield _image(encode_png(picture, optimize=True), name, picture.width // 2)


def _marked_pieces(pieces: Sequence[tuple[str, bool]]) -> str:
    return "".join(
        f"<mark style='{_MARK}'>{escape(text)}</mark>" if is_marked else escape(text)
        for text, is_marked in pieces
    )


def _marked_tokens(reading: Reading) -> str:
    out: list[str] = []
    end = 0
    for start, stop, probability in doubtful_tokens(reading.latex, reading.tokens):
        style = _STRONG_MARK if probability < VERY_DOUBTFUL else _MARK
        title = f"{probability:.0%}"
        out.append(escape(reading.latex[end:start]))
        out.append(
            f"<mark style='{style}' title='{title}'>{escape(reading.latex[start:stop])}</mark>"
        )
        end = stop
    return "".join(out) + escape(reading.latex[end:])


def doubtful_tokens(latex: str, tokens: Iterable[Token]) -> Iterator[tuple[int, int, float]]:
    r"""Where the doubtful tokens of a reading are in its compact LaTeX, and their probabilities.

    Of `^ { \prime }` only a `'` is there, so a single character is not looked for further on. The
    server's page (`marks.js`) does the same.
    """
    position = 0
    for token in tokens:
        text = token.text.strip()
        while latex[position : position + 1] == " ":
            position += 1
        if text == "\\prime" and latex[position : position + 1] == "'":
            text = "'"
        start = position
        if not latex.startswith(text, position):
            start = latex.find(text, position) if len(text) > 1 else -1
        if not text or start < 0:
            continue
        position = start + len(text)
        probability = math.exp(token.logprob)
        if probability < DOUBTFUL:
            yield start, position, probability

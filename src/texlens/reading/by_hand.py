"""Print or hand: which of two models reads a picture, decided by what the first makes of it.

The model for print is unsure of handwriting: its calibrated confidence was below `DOUBT` on 88 % of
200 inks of CROHME 2013 and on 10 % of 200 printed dev pictures. Those pictures are read by the other
model too. Its reading counts if it is sure, unless the rendering of the first is much more like the
picture. So 47 % of the inks are read right, of 49 % by the model for handwriting alone, and as many of
the printed pictures as without it.
"""

from __future__ import annotations

from typing import Final

from PIL import Image

from texlens.reading.pictures.render_similarity import render_similarities
from texlens.records import Reading

DOUBT: Final = 0.7  # calibrated confidence below which a picture may be handwriting
_SURE: Final = 0.9  # confidence of the model for handwriting, the mean of its tokens'
_MUCH_MORE: Final = 0.3  # of render similarity


def may_be_by_hand(reading: Reading) -> bool:
    """Whether a reading of the model for print is so unsure that the other should read too."""
    return reading.error is None and reading.confidence < DOUBT


def likelier(picture: Image.Image | None, printed: Reading, by_hand: Reading) -> Reading:
    """One of two readings of a picture (dark on white)."""
    if by_hand.error is not None or not by_hand.latex or picture is None:
        return printed
    if not printed.latex or "no_formula" in printed.warnings:
        return by_hand
    if by_hand.confidence < _SURE:
        return printed
    first, second = render_similarities(picture, [printed.latex, by_hand.latex])
    return printed if first > second + _MUCH_MORE else by_hand

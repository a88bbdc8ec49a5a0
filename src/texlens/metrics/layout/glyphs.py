# ruff: noqa: SIM905  (lists of characters read best as text)
"""Which rendered glyphs are the same sign, and which signs are easily confused.

Three lists of single rendered characters (Unicode code points):

* `SAME`: characters that look the same and count as one sign.
* `SPELLED_OUT`: one code point that is rendered as several signs.
* `LOOKALIKES`: signs that differ by a stroke; one in place of the other is a small error.

Upper and lower case are different signs, except where the two shapes are the same (c and C). The
font is compared separately (see `alignment`).
"""

from __future__ import annotations

import unicodedata
from functools import cache

# Groups of characters that look (almost) alike; the first stands for all. Arrows are
# grouped by kind, whatever their length; the private code points are MathJax's for chemistry.
SAME = """
    |∣❘⏐ ‖∥ \\∖⧵ −-‐‑ ⋅· ∗* :∶ ∼~˜ ⟨〈 ⟩〉 μµ Δ∆ ℏħ /∕⁄ ’'
    →⟶\ue429\ue42d ←⟵\ue428\ue42c ↔⟷\ue42a\ue42e ⇒⟹ ⇐⟸ ⇔⟺ ↦⟼ ⇌\ue408\ue409\ue40a ⇄\ue42b
    """.split()
FENCES = frozenset("()[]{}|∣‖∥/∖\\⟨⟩⌊⌋⌈⌉⟦⟧↑↓↕⇑⇓⇕")
"""Delimiters: their height is compared."""
PAIRS = dict(zip(")]}⟩⌋⌉⟧", "([{⟨⌊⌈⟦", strict=True))
"""Opening delimiter by closing delimiter."""
OPENING, CLOSING = frozenset(PAIRS.values()), frozenset(PAIRS)
DOTS = {".": "…", "⋅": "⋯"}
"""Three of these in a row are one sign."""
ARROWS = frozenset("→⟶←⟵↔⟷⇒⟹⇐⟸⇔⟺↦⟼")
"""Arrows whose length is compared; those of chemistry have only one length."""
ALIGNED_AT = frozenset("⋅:−-∗*|∣/")
"""Signs at which lines are aligned, besides those that Unicode takes for mathematical symbols."""
SEPARATORS = ARROWS | frozenset(",;.:∶")
"""Signs that separate formulas, so that the white beside them is no matter."""
COLUMN_GAP = 0.7
"""White space (em) between two columns from which they count as columns."""
OPERATORS = frozenset("∑∏∐∫∮∯∰⋂⋃⋀⋁⨀⨁⨂⨄⨆⨅")
"""Large operators: as for function names, the place of their limits is a matter of style."""
BACKSLASHES = frozenset("\\∖")
SPELLED_OUT = {
    "″": "′′", "‴": "′′′", "⁗": "′′′′", "∬": "∫∫", "∭": "∫∫∫", "⨌": "∫∫∫∫", "≔": ":=",
    "≕": "=:", "∷": "::", "⩴": "::=", "⩵": "==", "ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl",
    "ﬃ": "ffi", "ﬄ": "ffl",
}  # fmt: skip
# Accents by shape, whether typed as accent, as combining or as ordinary character.
ACCENTS = "¯ˉ―‾–—_− ˆ^ ˜~∼ ˙. ¨ ´ `ˋ →⃗⟶ ←⃖⟵ ↔⃡⟷ ˘ ˇ ˚∘ ⏞ ⏟ ⏠⏜ ⏡⏝".split()
# One sign in two styles: compared as two typefaces are.
STYLES = {"⩽": "≤", "⩾": "≥"}
LOOKALIKES = """
    0oOσ∘ο 1lIi|ℓι 2zZ 5sS 6bG 8B 9gq cC kKκ pPρ uUμυ∪ vVνυ∨ wWω xXχ× yYγ aα∝ βBß tτ nη εϵ∈e
    ϕφ∅⌀Φ θϑΘ ρϱ πϖ σς κϰ Σ∑ Π∏ ∪⋃ ∩⋂ ∧⋀Λ ∨⋁ ⊕⨁ ⊗⨂ Δ△ ∂δd <⟨ >⟩ ⋯… ⋅.∙ ∗⋆★ {( }) ∅⌀
    """.split()

_SAME = {char: group[0] for group in SAME for char in group}
_ACCENT = {char: group[0] for group in ACCENTS for char in group}
_LOOKALIKE = frozenset((a, b) for group in LOOKALIKES for a in group for b in group if a != b)
# The spacing accent for a combining mark, to split a precomposed letter (é).
_COMBINING = dict(zip("̀́̂̃̄̆̇̈̊̌", "`´ˆ˜¯˘˙¨˚ˇ", strict=True))
OVERLAY_SLASH = "\u0338"
_FACES = "calligraphic script double-struck fraktur sans mono italic mathit oblique".split()


@cache
def signs(char: str) -> str:
    """The signs in one rendered character, each as the first of its group in `SAME`.

    Several where one code point is rendered as several (a double prime), one otherwise.
    """
    return "".join(_SAME.get(sign, sign) for sign in SPELLED_OUT.get(char, char))


@cache
def accent(char: str) -> str | None:
    """The accent of this shape, as the first of its group; None when no accent has it."""
    return _ACCENT.get(char)


@cache
def accented_letter(char: str) -> tuple[str, str] | None:
    """Letter and accent of a precomposed letter (é), None for anything else."""
    parts = unicodedata.normalize("NFD", char)
    if len(parts) == 2 and parts[0].isalpha() and parts[1] in _COMBINING:
        return parts[0], _COMBINING[parts[1]]
    return None


@cache
def small_form(char: str) -> tuple[str, str] | None:
    """("^" or "_", plain signs) of a superscript or subscript code point, else None."""
    if char == "°":
        return "^", "∘"
    kind, _, codes = unicodedata.decomposition(char).partition(" ")
    if kind not in ("<super>", "<sub>"):
        return None
    plain = "".join(signs(chr(int(code, 16))) for code in codes.split())
    return ("^" if kind == "<super>" else "_"), plain


@cache
def negated(char: str) -> str | None:
    """The single character for `char` struck by a slash (≠ for =), None when Unicode has none."""
    composed = unicodedata.normalize("NFC", char + OVERLAY_SLASH)
    return signs(composed) if len(composed) == 1 else None


@cache
def typeface(char: str, font: str) -> str:
    """The part of the font that is visible in this character.

    Letters and digits have a typeface. A mathematical sign only shows whether it is bold,
    punctuation and delimiters show nothing.
    """
    if char in STYLES:
        return "slanted"
    category = unicodedata.category(char)[0]
    if category not in "LN":
        return "bold" if category == "S" and "bold" in font else ""
    weight = "bold-" if "bold" in font else ""
    for name in _FACES:
        if name in font:
            return weight + ("italic" if name in ("mathit", "oblique") else name)
    return weight + "upright"


def look_alike(a: str, b: str) -> bool:
    """Whether two different signs are easily confused."""
    return (a, b) in _LOOKALIKE

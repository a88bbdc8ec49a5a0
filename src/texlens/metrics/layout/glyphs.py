"""What a drawn glyph is to a reader: which glyphs are the same, and which are easily confused.

Three stated lists, all about single characters as drawn (Unicode code points):

* `SAME`: a reader takes them as the same sign, whatever its code point.
* `SPELLED_OUT`: one code point that is drawn as several signs.
* `LOOKALIKES`: different signs that differ by a stroke; mistaking one for another is a small error.

Case and font are not in the lists: case is seen in full except where the two shapes are the same
(c and C), the font is compared apart (see `layout_align`).
"""

from __future__ import annotations

import unicodedata
from functools import cache

# Groups of characters drawn (almost) alike; the first stands for all.
SAME = (
    "|∣❘⏐",
    "‖∥",
    "\\∖⧵",
    "−-‐‑",
    "⋅·",
    "∗*",
    ":∶",
    "∼~˜",
    "⟨〈",
    "⟩〉",
    "μµ",
    "Δ∆",
    "ℏħ",
    "/∕⁄",
    "’'",
    # Arrows by kind, whatever their length; the private code points are MathJax's for chemistry.
    "→⟶\ue429\ue42d",
    "←⟵\ue428\ue42c",
    "↔⟷\ue42a\ue42e",
    "⇒⟹",
    "⇐⟸",
    "⇔⟺",
    "↦⟼",
    "⇌\ue408\ue409\ue40a",
    "⇄\ue42b",
)
FENCES = frozenset("()[]{}|∣‖∥/\\⟨⟩⌊⌋⌈⌉⟦⟧↑↓↕⇑⇓⇕")
"""Delimiters: their height is seen."""
PAIRS = dict(zip(")]}⟩⌋⌉⟧", "([{⟨⌊⌈⟦", strict=True))
"""Opening delimiter by closing delimiter."""
OPENING, CLOSING = frozenset(PAIRS.values()), frozenset(PAIRS)
DOTS = {".": "…", "⋅": "⋯"}
"""Three of these in a row are read as one sign."""
ARROWS = frozenset("→⟶←⟵↔⟷⇒⟹⇐⟸⇔⟺↦⟼")
"""Arrows: their length is seen, but for those of chemistry, which have no other."""
OPERATORS = frozenset("∑∏∐∫∮∯∰⋂⋃⋀⋁⨀⨁⨂⨄⨆⨅")
"""Large operators, beside function names: it is a matter of style where their limits stand."""
SPELLED_OUT = {
    "″": "′′",
    "‴": "′′′",
    "⁗": "′′′′",
    "∬": "∫∫",
    "∭": "∫∫∫",
    "⨌": "∫∫∫∫",
    "≔": ":=",
    "≕": "=:",
    "∷": "::",
    "⩴": "::=",
    "⩵": "==",
    "ﬀ": "ff",
    "ﬁ": "fi",
    "ﬂ": "fl",
    "ﬃ": "ffi",
    "ﬄ": "ffl",
}
# Accents by shape, whether typed as accent, as combining or as ordinary character.
ACCENTS = (
    "¯ˉ―‾–—_−",
    "ˆ^",
    "˜~∼",
    "˙.",
    "¨",
    "´",
    "`ˋ",
    "→⃗⟶",
    "←⃖⟵",
    "↔⃡⟷",
    "˘",
    "ˇ",
    "˚∘",
    "⏞",
    "⏟",
    "⏠⏜",
    "⏡⏝",
)
# One sign in two styles: told apart as two typefaces are.
STYLES = {"⩽": "≤", "⩾": "≥"}
LOOKALIKES = (
    "0oOσ∘ο",
    "1lIi|ℓι",
    "2zZ",
    "5sS",
    "6bG",
    "8B",
    "9gq",
    "cC",
    "kKκ",
    "pPρ",
    "uUμυ∪",
    "vVνυ∨",
    "wWω",
    "xXχ×",
    "yYγ",
    "aα∝",
    "βBß",
    "tτ",
    "nη",
    "εϵ∈e",
    "ϕφ∅⌀Φ",
    "θϑΘ",
    "ρϱ",
    "πϖ",
    "σς",
    "κϰ",
    "Σ∑",
    "Π∏",
    "∪⋃",
    "∩⋂",
    "∧⋀Λ",
    "∨⋁",
    "⊕⨁",
    "⊗⨂",
    "Δ△",
    "∂δd",
    "<⟨",
    ">⟩",
    "⋯…",
    "⋅.∙",
    "∗⋆★",
    "{(",
    "})",
    "∅⌀",
)

_SAME = {char: group[0] for group in SAME for char in group}
_ACCENT = {char: group[0] for group in ACCENTS for char in group}
_LOOKALIKE = frozenset((a, b) for group in LOOKALIKES for a in group for b in group if a != b)
# The spacing accent for a combining mark, to take a precomposed letter (é) apart.
_COMBINING = dict(zip("̀́̂̃̄̆̇̈̊̌", "`´ˆ˜¯˘˙¨˚ˇ", strict=True))
OVERLAY_SLASH = "\u0338"


@cache
def signs(char: str) -> str:
    """The signs a reader sees in one drawn character, each in its standing form.

    Several where one code point is drawn as several (a double prime), one otherwise.
    """
    return "".join(_SAME.get(sign, sign) for sign in SPELLED_OUT.get(char, char))


@cache
def accent(char: str) -> str | None:
    """The accent of this shape in its standing form, None when no accent has it."""
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
    """The part of the font that a reader sees in this character.

    Letters and digits have a typeface; of mathematical signs only their being bold shows, of
    punctuation and delimiters nothing.
    """
    if char in STYLES:
        return "slanted"
    category = unicodedata.category(char)[0]
    if category not in "LN":
        return "bold" if category == "S" and "bold" in font else ""
    weight = "bold-" if "bold" in font else ""
    for shown, names in (
        ("calligraphic", ("calligraphic",)),
        ("script", ("script",)),
        ("double-struck", ("double-struck",)),
        ("fraktur", ("fraktur",)),
        ("sans", ("sans",)),
        ("mono", ("mono",)),
        ("italic", ("italic", "mathit", "oblique")),
    ):
        if any(name in font for name in names):
            return weight + shown
    return weight + "upright"


def look_alike(a: str, b: str) -> bool:
    """Whether two different signs are easily mistaken for one another."""
    return (a, b) in _LOOKALIKE

"""LaTeX as Typst math, written from the formula's tree.

Signs are written as themselves (`∮`, `⊗`): Typst takes Unicode, and its names of signs have changed
between releases. Only those that kept their names (`alpha`, `sum`) are named.

Syntax: Typst's reference, https://typst.app/docs/reference/math/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from xml.etree.ElementTree import Element

from texlens.export.tree import (
    APPLY_FUNCTION,
    below_and_above,
    column_sides,
    corners,
    is_aligned,
    is_empty,
    text_of,
)

_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho . "
    "sigma tau upsilon phi chi psi omega"
)
_CAPITALS = "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
_NAMES = {
    **{chr(0x3B1 + n): name for n, name in enumerate(_GREEK.split()) if name != "."},
    **dict(zip("ΓΔΘΛΞΠΣΥΦΨΩ", _CAPITALS.split(), strict=True)),
    "∑": "sum", "∏": "product", "∫": "integral", "∞": "infinity", "∇": "nabla", "∀": "forall",
    "∃": "exists", "∈": "in", "′": "prime", "×": "times", "±": "plus.minus", "∓": "minus.plus",
    "−": "-", "∗": "*", "→": "->", "←": "<-", "⇒": "=>", "≤": "<=", "≥": ">=", "≠": "!=", "↦": "|->",
}  # fmt: skip
# Functions that Typst sets upright by their names.
_FUNCTION_NAMES = (
    "arccos arcsin arctan arg cos cosh cot coth csc csch ctg deg det dim exp gcd lcm hom id im inf "
    "ker lg lim liminf limsup ln log max min mod Pr sec sech sin sinc sinh sup tan tanh tg tr"
)
_FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
# Typst puts scripts above and below these.
_RELATIONS = frozenset(
    ("=", "<", ">", "∣", "∥", "~", "∼", "≈", "≡", "->", "<-", "=>", "<=", ">=", "!=")
)
_ARROWS = frozenset("→←↔⇒⇐⇔↦⟶⟵⟹⟸")
_LARGE = frozenset("∑∏∐⋃⋂⨁⨂⨀⨄⨆⋁⋀")
_ACCENTS = {
    "^": "hat", "ˆ": "hat", "~": "tilde", "˜": "tilde", "¯": "macron", "→": "arrow", "⃗": "arrow",
    "˙": "dot", "¨": "dot.double", "\u20db": "dot.triple", "\u20dc": "dot.quad", "ˇ": "caron",
    "˘": "breve", "`": "grave", "´": "acute", "˚": "circle", "←": "arrow.l", "↔": "arrow.l.r",
}  # fmt: skip
_ABOVE = {"―": "overline", "¯": "overline", "⏞": "overbrace", "⏜": "overparen", "⎴": "overbracket"}
_BELOW = {
    "―": "underline", "_": "underline", "⏟": "underbrace", "⏝": "underparen", "⎵": "underbracket",
}  # fmt: skip
_VARIANTS = {
    "bold": "upright(bold({}))", "bold-italic": "bold({})", "double-struck": "bb({})",
    "script": "cal({})", "bold-script": "bold(cal({}))", "fraktur": "frak({})",
    "bold-fraktur": "bold(frak({}))", "sans-serif": "sans({})", "monospace": "mono({})",
    "bold-sans-serif": "bold(sans({}))", "sans-serif-italic": "italic(sans({}))",
    "sans-serif-bold-italic": "italic(bold(sans({})))",
}  # fmt: skip
_PAIRS = {"(": ")", "[": "]", "{": "}", "⟨": "⟩", "⌊": "⌋", "⌈": "⌉", "⟦": "⟧", "|": "|", "‖": "‖"}
_CLOSING = frozenset(")]}⟩⌋⌉⟧")
_EMPTY = '""'  # where a call must have an argument, or scripts a base
_SPACES = {"0.167em": "thin", "0.222em": "med", "0.278em": "thick", "1em": "quad", "2em": "wide"}
_SPECIAL = re.compile(r"([\\#$&\"_^/~`@'*,;:()\[\]{}⟨⟩⌊⌋⌈⌉⟦⟧])")


def typst_of(tree: Element) -> str:
    """The content of a Typst equation, without `$ ` and ` $`."""
    lines = len(tree) == 1 and tree[0].tag == "mtable" and is_aligned(tree[0])
    return _with_plain_commas(" \\ ".join(_aligned_rows(tree[0])) if lines else _row(tree))


def _row(parent: Element) -> str:
    """The children of an element, side by side."""
    _mark_brackets(parent)
    return _joined([_written(child) for child in parent])


def _joined(words: list[str]) -> str:
    """Words with spaces between them, except beside quoted text, where Typst would show the space."""
    text = ""
    for word in filter(None, words):
        glued = not text or text.endswith('"') or re.match(r'"[^"]', word)
        inside = re.search(r"(?:^|[ (\[]|abs|norm)[(\[]$", text) or word[0] in ")]"
        inside = inside or word in ("\\,", "\\;")
        text += word if glued or inside else f" {word}"
    return text


def _with_plain_commas(text: str) -> str:
    """Commas, semicolons and colons without the backslash that only a call's arguments need."""
    made: list[str] = []
    in_call: list[bool] = []  # of each open bracket: does it follow a function's name?
    for match in re.finditer(r'"(?:\\.|[^"\\])*"|\\.|.', text, re.DOTALL):
        token = match[0]
        if token in ("\\,", "\\;", "\\:") and not any(in_call[-1:]):
            token = token[1]
        elif token in "([":
            in_call.append(bool(re.search(r"[A-Za-z0-9]$", text[: match.start()])))
        elif token in ")]" and in_call:
            in_call.pop()
        made.append(token)
    return "".join(made)


def _mark_brackets(parent: Element) -> None:
    """Set how the matching brackets and bars of a row are written, with scripts on the last or not.

    Typst reads matching brackets as a group and would misread any other inside a call; of a bar it
    cannot know which side it is.
    """
    waiting: list[Element] = []
    before = None
    for child in parent:
        sign = child[0] if child.tag in ("msub", "msup", "msubsup") else child
        text = text_of(sign) if sign.tag == "mo" else ""
        if (
            text in _CALLS
            and waiting
            and text_of(waiting[-1]) == text
            and waiting[-1] is not before
        ):
            waiting.pop().set("written", f"{_CALLS[text]}(")
            sign.set("written", ")")
        elif text in _PAIRS and sign is child:
            waiting.append(sign)
        elif text in _CLOSING:
            while waiting and text_of(waiting[-1]) in _CALLS:  # the bars of kets and bras
                waiting.pop()
            if waiting and _PAIRS[text_of(waiting[-1])] == text:
                opening = waiting.pop()
                opening.set("written", text_of(opening))
                sign.set("written", text)
            elif text != "⟩":
                waiting.clear()
        before = child


# Bars in pairs, and the functions that set them.
_CALLS = {"|": "abs", "‖": "norm"}


def _written(element: Element) -> str:
    """One element, written so that it can be anywhere, also inside a call."""
    if element.tag in _WRITERS:
        return _WRITERS[element.tag](element)
    a = element.attrib
    match element.tag:
        case "mn":
            return _styled(_escaped(text_of(element)), a.get("mathvariant"))
        case "mtext":
            text = text_of(element)
            return "space" if text == "\xa0" else _word(text, a.get("mathvariant"))
        case "mspace":
            return _space(a.get("width", "0em"))
        case "msqrt":
            return f"sqrt({_row(element) or _EMPTY})"
        case "mroot":
            return f"root({_written(element[1])}, {_argument(element[0])})"
        case "mtable":
            return _table(element, "#none")
        case "mphantom":
            return f"#hide({_equation(_row(element))})" if len(element) else ""
        case "colored":
            color = _quoted(a["mathcolor"])
            return f"#text(fill: rgb({color}), {_equation(_row(element))})"
    return _row(element)


def _argument(element: Element) -> str:
    """One element as the argument of a call, which may not be empty."""
    return _written(element) or _EMPTY


def _equation(inner: str) -> str:
    """An equation inside code: `$x$`, with `display` where Typst would make it smaller."""
    large = "frac(" in inner or any(sign in inner for sign in ("sum", "product", "integral"))
    return f"$display({inner})$" if large else f"${inner}$"


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def _quoted(text: str) -> str:
    return json.dumps(text.replace("\xa0", " "), ensure_ascii=False)


def _word(text: str, variant: str | None) -> str:
    """Letters that belong together, in quotes."""
    quoted = _quoted(text)
    return f"italic({quoted})" if variant == "italic" else _styled(quoted, variant)


def _styled(written: str, variant: str | None) -> str:
    return _VARIANTS[variant].format(written) if variant in _VARIANTS else written


def _identifier(element: Element) -> str:
    text, variant = text_of(element), element.get("mathvariant")
    if len(text) > 1:
        is_upright = variant in (None, "normal")
        if is_upright and text in _FUNCTIONS:
            return text
        if is_upright and element.get("operator"):
            return f"op({_quoted(text)})"
        return _word(text, variant)
    written = _NAMES.get(text) or _escaped(text)
    if variant == "normal" and text.isascii() and text.isalpha():
        return f"upright({written})"
    return _styled(written, variant)


def _operator(element: Element) -> str:
    text = text_of(element)
    if text == APPLY_FUNCTION:
        return ""
    if element.get("stretchy") == "true" and text in _SIDES:  # \\middle
        return f"mid({_escaped(text)})"
    if "written" in element.attrib:
        return element.attrib["written"]
    if text in _CALLS:
        return f'class("normal", {text})'
    if len(text) > 1 and text.isalpha():
        return text if text in _FUNCTIONS else f"op({_quoted(text)}, limits: #true)"
    if len(text) > 1 and text.isascii():  # relations that MathJax made one, and Typst would too
        return " ".join(_NAMES.get(sign) or _escaped(sign) for sign in text)
    return _NAMES.get(text) or _escaped(text)


def _space(width: str) -> str:
    named = _SPACES.get(width)
    if named or not re.fullmatch(r"-?[\d.]+(em|pt|cm|mm|in)", width):
        return named or ""
    return f"#h({width})" if float(re.sub(r"[a-z]+", "", width)) else ""


def _fenced(element: Element) -> str:
    first, last = element.get("open", ""), element.get("close", "")
    if len(element) == 1 and element[0].tag == "mtable":
        table = element[0]
        if (first, last) == ("{", "") and len(table[0]) <= 2 and "columnlines" not in table.attrib:
            return f"cases({', '.join(_aligned_rows(table, ' & quad '))})"
        if first or last:
            return _table(table, _delimiters(first, last))
    if len(element) == 1 and element[0].tag == "mfrac" and (first, last) == ("(", ")"):
        fraction = element[0]
        if fraction.get("linethickness") == "0":
            return f"binom({_argument(fraction[0])}, {_argument(fraction[1])})"
    inner = _row(element)
    if first in ("(", "[") and _PAIRS[first] == last:
        return f"{first}{inner}{last}"
    return f"lr({_joined([_escaped(first), inner, _escaped(last)])})" if first or last else inner


def _delimiters(first: str, last: str) -> str:
    """The value of `delim` for a matrix."""
    if _PAIRS.get(first) == last:
        return _quoted(first)
    sides = (_quoted(side) if side in _SIDES else "none" for side in (first, last))
    return f"#({', '.join(sides)})"


_SIDES = frozenset("()[]{}|‖⟨⟩⌊⌋⌈⌉")


def _fraction(element: Element) -> str:
    above, below = _argument(element[0]), _argument(element[1])
    if element.get("linethickness") == "0":
        return f"mat(delim: #none, {above}; {below})"
    if element.get("bevelled") == "true":
        return f"{above} \\/ {below}"
    return f"frac({above}, {below})"


def _scripts(element: Element) -> str:
    base = element[0]
    below, above = below_and_above(element)
    limits = "under" in element.tag or "over" in element.tag
    if limits and (marked := _marked(base, below, above)) is not None:
        return marked
    primes = _primes(above) if above is not None else 0
    written = _base(base, limits=limits)
    if primes:
        written, above = written + "'" * primes, None
    for sign, script in (("_", below), ("^", above)):
        if script is not None and not is_empty(script):
            written += f"{sign}{_script(script)}"
    return written


def _marked(base: Element, below: Element | None, above: Element | None) -> str | None:
    """An accent, a bar or a brace over or under the base, with a brace's label."""
    if below is None and above is not None and above.tag == "mo":
        sign = text_of(above)
        stretched = above.get("accent") == "true" or above.get("stretchy") != "false"
        name = _ABOVE.get(sign) if stretched or sign not in _ACCENTS else None
        name = name or _ACCENTS.get(sign)
        if name is not None and (name not in ("arrow", "arrow.l") or base.tag != "mo"):
            return f"{name}({_argument(base)})"
    if above is None and below is not None and below.tag == "mo" and text_of(below) in _BELOW:
        return f"{_BELOW[text_of(below)]}({_argument(base)})"
    label = above if below is None else below if above is None else None
    if label is not None and base.tag in ("mover", "munder") and base[1].tag == "mo":
        name = (_ABOVE if base.tag == "mover" else _BELOW).get(text_of(base[1]))
        if name in ("overbrace", "underbrace") and (base.tag == "mover") == (below is None):
            return f"{name}({_argument(base[0])}, {_argument(label)})"
    return None


def _primes(script: Element) -> int:
    """How many primes a superscript is made of; 0 if of anything else."""
    leaves = list(script) if script.tag == "mrow" else [script]
    counts = [_PRIMES.get(text_of(leaf), 0) if leaf.tag == "mo" else 0 for leaf in leaves]
    return sum(counts) if counts and all(counts) else 0


_PRIMES = {"′": 1, "″": 2, "‴": 3, "⁗": 4}


def _base(base: Element, *, limits: bool) -> str:
    """What scripts are attached to, with their places where Typst would choose other places."""
    if is_empty(base):
        return _EMPTY
    written = _written(base)
    if base.tag == "mo" and text_of(base) in _LARGE:
        return written if limits else f"scripts({written})"
    if base.tag == "mo" and not limits and written in _RELATIONS:
        return f"scripts({written})"
    if limits:
        operator = base.tag in ("mo", "mi") and text_of(base) in _FUNCTIONS
        names_limits = written.endswith("limits: #true)")
        if base.tag == "mo" and text_of(base) in _ARROWS:  # as long as the part over it
            return f"stretch({written})"
        return written if names_limits or operator else f"limits({written})"
    # Typst would take apart a row, or `#text(...)`.
    is_one = base.tag != "mrow" and not written.startswith("#")
    return _EMPTY if not written else written if is_one else f"attach({written})"


def _script(script: Element) -> str:
    written = _written(script)
    one = re.fullmatch(r"[^\W_]|[a-zA-Z]{2,}|\d+|\*|'|\\.", written)
    return written if one else f"({written})"


def _multiscripts(element: Element) -> str:
    after, before = corners(element)
    places = [*zip(("b", "t"), after, strict=False), *zip(("bl", "tl"), before, strict=False)]
    given = [(corner, part) for corner, part in places if part.tag != "none" and not is_empty(part)]
    scripts = [f"{corner}: {_written(part)}" for corner, part in given]
    return f"attach({', '.join([_argument(element[0]), *scripts])})"


def _aligned_rows(table: Element, between: str = " & ") -> list[str]:
    """The rows of a table with their alignment points."""
    return [between.join(_row(cell) for cell in row) for row in table]


def _table(table: Element, delimiters: str) -> str:
    if is_aligned(table):
        return f"mat(delim: {delimiters}, {'; '.join(_aligned_rows(table))})"
    options = [f"delim: {delimiters}"]
    sides = column_sides(table)
    columns = len(sides)
    if sides in (["left"] * columns, ["right"] * columns):
        options.append(f"align: #{sides[0]}")
        sides = ["center"] * columns
    rows, between = (
        _lines(table.get("rowlines"), len(table)),
        _lines(table.get("columnlines"), columns),
    )
    lines = [
        f"{name}: ({places},)" for name, places in (("hline", rows), ("vline", between)) if places
    ]
    if lines:
        options.append(f"augment: #({', '.join(lines)})")
    cells = (", ".join(map(_cell, row, sides)) for row in table)
    return f"mat({', '.join(options)}, {'; '.join(cells)})"


def _cell(cell: Element, side: str) -> str:
    """A cell with the alignment point that its column needs where not all are aligned alike."""
    written = _row(cell)
    return f"& {written}" if side == "left" else f"{written} &" if side == "right" else written


def _lines(kinds: str | None, count: int) -> str:
    """After which of `count` rows or columns there is a line, as items of an array.

    The last kind is that of all that follow.
    """
    *given, last = (kinds or "none").split()
    full = (given + [last] * count)[: count - 1]
    return ", ".join(str(place) for place, kind in enumerate(full, start=1) if kind != "none")


def _enclosed(element: Element) -> str:
    inner = _row(element) or _EMPTY
    notations = set(element.get("notation", "").split())
    if notations >= {"updiagonalstrike", "downdiagonalstrike"}:
        return f"cancel(cross: #true, {inner})"
    if notations & {"box", "roundedbox", "circle"}:
        inner = f"#box(stroke: 0.5pt, inset: 3pt, {_equation(inner)})"
    for notation, function in _ENCLOSURES.items():
        if notation in notations:
            return f"{function}{inner})"
    return inner


_ENCLOSURES = {
    "updiagonalstrike": "cancel(", "downdiagonalstrike": "cancel(inverted: #true, ",
    "horizontalstrike": "cancel(angle: #90deg, ", "top": "overline(", "bottom": "underline(",
}  # fmt: skip


_WRITERS: dict[str, Callable[[Element], str]] = {
    "mi": _identifier,
    "mo": _operator,
    "fenced": _fenced,
    "mfrac": _fraction,
    "mmultiscripts": _multiscripts,
    "menclose": _enclosed,
    **dict.fromkeys(("msub", "msup", "msubsup", "munder", "mover", "munderover"), _scripts),
}

"""LaTeX as Office Math (OMML), the equations of Word, written from the formula's tree.

Elements and their order: ECMA-376 part 1, section 22.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from xml.etree.ElementTree import Element, register_namespace, tostring

from texlens.export.tree import (
    APPLY_FUNCTION,
    below_and_above,
    column_sides,
    corners,
    from_tree,
    is_aligned,
    is_empty,
    text_of,
)

MATH = "http://schemas.openxmlformats.org/officeDocument/2006/math"
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_XML_SPACE = "{http://www.w3.org/XML/1998/namespace}space"
register_namespace("m", MATH)
register_namespace("w", WORD)

_NARY = frozenset("∑∏∐∫∬∭⨌∮∯∰⋃⋂⋁⋀⨁⨂⨀⨄⨆")
# A large operator reaches to the next of these.
_ENDS = frozenset("+-−±∓=<>≤≥≠≈≡∼≃≅∝→←↔⇒⇔⟹⟺↦∈∉⊂⊆⊃⊇,;:.")
_BRACKETS = {"(": ")", "[": "]", "{": "}", "⟨": "⟩"}
# Accents as combining marks, as Word expects them.
_ACCENTS = {
    "^": "\u0302", "ˆ": "\u0302", "~": "\u0303", "˜": "\u0303", "¯": "\u0305", "→": "\u20d7",
    "˙": "\u0307", "¨": "\u0308", "\u20db": "\u20db", "\u20dc": "\u20dc", "ˇ": "\u030c",
    "˘": "\u0306", "`": "\u0300", "´": "\u0301", "˚": "\u030a", "←": "\u20d6",
}  # fmt: skip
_BARS = frozenset("―‾_")
_BRACES = frozenset("⏞⏟⏜⏝⎴⎵→←↔⇒⇐⇔")
# MathML's variant -> Word's script and style.
_VARIANTS = {
    "normal": (None, "p"), "bold": (None, "b"), "italic": (None, "i"), "bold-italic": (None, "bi"),
    "double-struck": ("double-struck", "p"), "script": ("script", "p"),
    "bold-script": ("script", "b"), "fraktur": ("fraktur", "p"), "bold-fraktur": ("fraktur", "b"),
    "sans-serif": ("sans-serif", "p"), "bold-sans-serif": ("sans-serif", "b"),
    "sans-serif-italic": ("sans-serif", "i"), "sans-serif-bold-italic": ("sans-serif", "bi"),
    "monospace": ("monospace", "p"),
}  # fmt: skip
_STRIKES = {
    "horizontalstrike": "strikeH", "verticalstrike": "strikeV", "updiagonalstrike": "strikeBLTR",
    "downdiagonalstrike": "strikeTLBR",
}  # fmt: skip
# Spaces of at least so many em.
_SPACES = ((0.9, "\u2003"), (0.45, "\u2002"), (0.27, "\u2004"), (0.2, "\u205f"), (0.1, "\u2009"))
_EMS = {"em": 1.0, "ex": 0.43, "pt": 0.1, "cm": 2.85, "mm": 0.285, "in": 7.2, "mu": 1 / 18}


def omml(latex: str) -> str:
    """A formula as the XML of an `m:oMath` element. Raises InputError as `from_tree` does."""
    return from_tree(lambda tree: tostring(_math("oMath", *_row(tree)), encoding="unicode"), latex)


def _math(tag: str, *children: Element, **properties: str | None) -> Element:
    """An element of Office Math: its properties (those that are not None), then its children."""
    element = Element(f"{{{MATH}}}{tag}")
    given = {name: value for name, value in properties.items() if value is not None}
    if given:
        element.append(_math(f"{tag}Pr", *(_value(name, value) for name, value in given.items())))
    element.extend(list(children))  # so that a RecursionError stays one
    return element


def _value(tag: str, value: str) -> Element:
    return Element(f"{{{MATH}}}{tag}", {f"{{{MATH}}}val": value})


def _row(parent: Iterable[Element]) -> list[Element]:
    """A row's elements. Large operators and functions take what follows them as their argument."""
    children = list(parent)
    made: list[Element] = []
    place = 0
    while place < len(children):
        child = children[place]
        place += 1
        if place < len(children) and _is_apply(children[place]):
            argument = children[place + 1 : place + 2]
            made.append(_math("func", _argument("fName", child), _math("e", *_row(argument))))
            place += 2
        elif _nary_sign(child) is not None and (end := _reach(children, place)) > place:
            made.append(_nary(child, children[place:end]))
            place = end
        else:
            made += _written(child)
    return made


def _is_apply(element: Element) -> bool:
    return element.tag == "mo" and element.text == APPLY_FUNCTION


def _nary_sign(element: Element) -> str | None:
    """The sign of a large operator, with scripts or without."""
    scripted = element.tag in ("msub", "msup", "msubsup", "munder", "mover", "munderover")
    sign = element[0] if scripted else element
    return sign.text if sign.tag == "mo" and sign.text in _NARY else None


def _reach(children: Sequence[Element], start: int) -> int:
    """Where the argument of a large operator ends: before the next sign outside of brackets."""
    waiting: list[str] = []
    for place in range(start, len(children)):
        text = text_of(children[place]) if children[place].tag == "mo" else ""
        closing = children[place][0] if children[place].tag in ("msub", "msup", "msubsup") else None
        end = text_of(closing) if closing is not None and closing.tag == "mo" else text
        if waiting and end == waiting[-1]:
            waiting.pop()
        elif text in _BRACKETS:
            waiting.append(_BRACKETS[text])
        elif not waiting and (text in _ENDS or end in _BRACKETS.values()) and text:
            return place
    return len(children)


def _nary(operator: Element, argument: Sequence[Element]) -> Element:
    below, above = below_and_above(operator)
    return _math(
        "nary",
        _math("sub") if below is None else _argument("sub", below),
        _math("sup") if above is None else _argument("sup", above),
        _math("e", *_row(argument)),
        chr=_nary_sign(operator),
        limLoc="undOvr" if "under" in operator.tag or "over" in operator.tag else "subSup",
        grow="1",
        subHide="1" if below is None else None,
        supHide="1" if above is None else None,
    )


def _argument(tag: str, element: Element) -> Element:
    return _math(tag, *_written(element))


def _written(element: Element) -> list[Element]:
    """The Office Math of an element in a row."""
    if element.tag in _WRITERS:
        return [_WRITERS[element.tag](element)]
    a = element.attrib
    match element.tag:
        case "mi" | "mn" | "mo":
            return [] if _is_apply(element) else [_run(element)]
        case "mtext":
            return [_text_run(text_of(element).replace("\xa0", " "), _math("nor"))]
        case "mspace":
            return _space(a.get("width", ""))
        case "colored":
            return _colored(_row(element), a["mathcolor"])
        case "mfrac":
            flat = a.get("linethickness") == "0"
            kind = "noBar" if flat else "lin" if a.get("bevelled") == "true" else "bar"
            parts = _argument("num", element[0]), _argument("den", element[1])
            return [_math("f", *parts, type=kind)]
        case "msqrt":
            return [_math("rad", _math("deg"), _math("e", *_row(element)), degHide="1")]
        case "mroot":
            return [_math("rad", _argument("deg", element[1]), _argument("e", element[0]))]
        case "mphantom":
            return [_math("phant", _math("e", *_row(element)), show="0")]
    return _row(element)


def _run(leaf: Element) -> Element:
    text, variant = text_of(leaf), leaf.get("mathvariant")
    if variant is None and leaf.tag != "mn" and len(text) > 1 and text.isalpha():
        variant = "normal"  # a word
    script, style = _VARIANTS.get(variant or "", (None, None))
    named = (("scr", script), ("sty", style))
    return _text_run(text, *(_value(name, value) for name, value in named if value))


def _text_run(text: str, *properties: Element) -> Element:
    run = _math("r")
    if properties:
        run.append(_math("rPr", *properties))
    content = _math("t")
    content.text = text
    content.set(_XML_SPACE, "preserve")
    run.append(content)
    return run


def _colored(row: list[Element], color: str) -> list[Element]:
    """A row whose runs have a colour, except those that have one already."""
    for run in (run for part in row for run in part.iter(f"{{{MATH}}}r")):
        if run.find(f"{{{WORD}}}rPr") is None:
            painted = Element(f"{{{WORD}}}rPr")
            painted.append(Element(f"{{{WORD}}}color", {f"{{{WORD}}}val": color[1:].upper()}))
            run.insert(len(run) - 1, painted)  # before the text
    return row


def _space(width: str) -> list[Element]:
    """A space as a character; narrow and negative ones are left to Word."""
    number = width.rstrip("abcdefghijklmnopqrstuvwxyz")
    try:
        ems = float(number) * _EMS.get(width[len(number) :], 0.0)
    except ValueError:
        return []
    if ems >= 2:
        return [_text_run("\u2003" * int(min(ems, 20.0)))]
    return [_text_run(space) for least, space in _SPACES if ems >= least][:1]


def _delimited(element: Element) -> Element:
    """Delimiters around parts, with the sign of `\\middle` between them."""
    parts: list[list[Element]] = [[]]
    between = None
    for child in element:
        if child.tag == "mo" and child.get("stretchy") == "true":
            between = text_of(child)
            parts.append([])
        else:
            parts[-1].append(child)
    content = [_math("e", *_row(part)) for part in parts]
    first, last = element.get("open", ""), element.get("close", "")
    return _math("d", *content, begChr=first, sepChr=between, endChr=last)


_SCRIPTS = {"msub": ("sSub", "sub"), "msup": ("sSup", "sup"), "msubsup": ("sSubSup", "sub", "sup")}


def _scripted(element: Element) -> Element:
    tag, *places = _SCRIPTS[element.tag]
    return _math(tag, *map(_argument, ("e", *places), element))


def _limits(element: Element) -> Element:
    """Something over or under a base: an accent, a bar, a brace or a limit."""
    made = _argument("e", element[0])
    below, above = below_and_above(element)
    for mark in (below, above):
        if mark is not None and not is_empty(mark):
            made = _math("e", _mark(made, mark, top=mark is above))
    return made[0] if len(made) == 1 else _math("box", made)


def _mark(base: Element, mark: Element, *, top: bool) -> Element:
    """A base (`m:e`) with one thing over or under it."""
    sign = text_of(mark) if mark.tag == "mo" else ""
    position, other = ("top", "bot") if top else ("bot", "top")
    if sign in _BARS or (sign == "¯" and mark.get("stretchy") != "false"):
        return _math("bar", base, pos=position)
    if top and sign in _ACCENTS and (sign not in _BRACES or mark.get("stretchy") == "false"):
        return _math("acc", base, chr=_ACCENTS[sign])
    if sign in _BRACES and not _is_sign(base):
        return _math("groupChr", base, chr=sign, pos=position, vertJc=other)
    return _math("limUpp" if top else "limLow", base, _argument("lim", mark))


def _is_sign(base: Element) -> bool:
    """Whether a base (`m:e`) is a single sign, such as an arrow with something over it."""
    texts = [text.text or "" for text in base.iter(f"{{{MATH}}}t")]
    return len(texts) == 1 and len(texts[0]) == 1 and not texts[0].isalnum()


def _multiscripts(element: Element) -> Element:
    after, before = corners(element)
    base = _argument("e", element[0])
    if after:
        base = _math("e", _math("sSubSup", base, *map(_argument, ("sub", "sup"), after)))
    return _math("sPre", *map(_argument, ("sub", "sup"), before), base) if before else base[0]


def _table(table: Element) -> Element:
    """A matrix; rows with alignment points where the columns are right, left, right, ..."""
    if is_aligned(table):
        return _math("eqArr", *(_math("e", *_aligned(row)) for row in table))
    sides = column_sides(table)
    columns = [_math("mc", count="1", mcJc=side if side in _SIDES else "center") for side in sides]
    properties = _math("mPr", _value("baseJc", "center"), _value("plcHide", "1"))
    properties.append(_math("mcs", *columns))
    rows = [[_argument("e", cell) for cell in row] for row in table]
    filled = (_math("mr", *row, *(_math("e") for _ in sides[len(row) :])) for row in rows)
    return _math("m", properties, *filled)


_SIDES = frozenset(("left", "center", "right"))


def _aligned(row: Element) -> list[Element]:
    """The cells of a row of an `aligned`, with `&` between them, at which Word aligns."""
    made: list[Element] = []
    for place, cell in enumerate(row):
        made += [_text_run("&")] if place else []
        made += _row(cell)
    return made


def _enclosed(element: Element) -> Element:
    notations = set(element.get("notation", "").split())
    inner = _math("e", *_row(element))
    if notations in ({"top"}, {"bottom"}):
        return _math("bar", inner, pos="top" if "top" in notations else "bot")
    hidden = None if notations & {"box", "roundedbox", "circle"} else "1"
    sides = dict.fromkeys(("hideTop", "hideBot", "hideLeft", "hideRight"), hidden)
    strikes = {strike: "1" for name, strike in _STRIKES.items() if name in notations}
    return _math("borderBox", inner, **sides, **strikes)


_WRITERS: dict[str, Callable[[Element], Element]] = {
    "fenced": _delimited,
    "mmultiscripts": _multiscripts,
    "mtable": _table,
    "menclose": _enclosed,
    **dict.fromkeys(_SCRIPTS, _scripted),
    **dict.fromkeys(("munder", "mover", "munderover"), _limits),
}

"""LaTeX as Office Math (OMML), the equations of Word, written from the formula's tree.

Elements and their order: ECMA-376 part 1, section 22.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, register_namespace, tostring

from texlens.export.tree import APPLY_FUNCTION, is_empty, text_of

MATH = "http://schemas.openxmlformats.org/officeDocument/2006/math"
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_XML_SPACE = "{http://www.w3.org/XML/1998/namespace}space"
register_namespace("m", MATH)
register_namespace("w", WORD)

_NARY = frozenset("∑∏∐∫∬∭⨌∮∯∰⋃⋂⋁⋀⨁⨂⨀⨄⨆")
# A large operator reaches to the next of these.
_ENDS = frozenset("+-−±∓=<>≤≥≠≈≡∼≃≅∝→←↔⇒⇔⟹⟺↦∈∉⊂⊆⊃⊇,;:.")
_BRACKETS = {"(": ")", "[": "]", "{": "}", "⟨": "⟩"}
# Accents as combining marks, which is how Word knows them.
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


def omml_of(tree: Element) -> str:
    """The `m:oMath` element of a formula."""
    return tostring(_math("oMath", _row(tree, None)), encoding="unicode")


def _math(tag: str, children: Iterable[Element] = (), value: str | None = None) -> Element:
    """An element of Office Math, with its `val` if it has one."""
    element = Element(f"{{{MATH}}}{tag}", {} if value is None else {f"{{{MATH}}}val": value})
    element.extend(children)
    return element


def _properties(tag: str, **values: str | None) -> Element:
    """An element of properties; those that are None are left out."""
    return _math(
        tag, (_math(name, value=value) for name, value in values.items() if value is not None)
    )


def _row(parent: Iterable[Element], color: str | None) -> list[Element]:
    """A row's elements. Large operators and functions take what follows them as their argument."""
    children = list(parent)
    made: list[Element] = []
    place = 0
    while place < len(children):
        child = children[place]
        place += 1
        if place < len(children) and _is_apply(children[place]):
            argument = children[place + 1 : place + 2]
            name = _math("fName", _written(child, color))
            made.append(_math("func", [name, _math("e", _row(argument, color))]))
            place += 2
        elif _nary_sign(child) is not None and (end := _reach(children, place)) > place:
            made.append(_nary(child, children[place:end], color))
            place = end
        elif not _is_apply(child):
            made += _written(child, color)
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


def _nary(operator: Element, argument: Sequence[Element], color: str | None) -> Element:
    tag = operator.tag
    below = operator[1] if "sub" in tag or "under" in tag else None
    above = operator[-1] if "sup" in tag or "over" in tag else None
    properties = _properties(
        "naryPr",
        chr=_nary_sign(operator),
        limLoc="undOvr" if "under" in tag or "over" in tag else "subSup",
        grow="1",
        subHide="1" if below is None else None,
        supHide="1" if above is None else None,
    )
    scripts = [
        _argument("sub", below, color) if below is not None else _math("sub"),
        _argument("sup", above, color) if above is not None else _math("sup"),
    ]
    return _math("nary", [properties, *scripts, _math("e", _row(argument, color))])


def _argument(tag: str, element: Element, color: str | None) -> Element:
    return _math(tag, _written(element, color))


def _written(element: Element, color: str | None) -> list[Element]:
    """What takes an element's place in a row."""
    a = element.attrib
    match element.tag:
        case "mi" | "mn" | "mo":
            return [] if _is_apply(element) else [_run(element, color)]
        case "mtext":
            text = text_of(element).replace("\xa0", " ")
            return [_text_run(text, [_math("nor")], color)]
        case "mspace":
            return _space(a.get("width", ""))
        case "mrow":
            return _row(element, color)
        case "colored":
            return _row(element, a["mathcolor"])
        case "fenced":
            return [_delimited(element, color)]
        case "mfrac":
            flat = a.get("linethickness") == "0"
            kind = "noBar" if flat else "lin" if a.get("bevelled") == "true" else "bar"
            parts = (_argument("num", element[0], color), _argument("den", element[1], color))
            return [_math("f", [_properties("fPr", type=kind), *parts])]
        case "msqrt":
            hidden = _properties("radPr", degHide="1")
            return [_math("rad", [hidden, _math("deg"), _math("e", _row(element, color))])]
        case "mroot":
            degree, base = _argument("deg", element[1], color), _argument("e", element[0], color)
            return [_math("rad", [degree, base])]
        case "msub" | "msup" | "msubsup":
            return [_scripted(element, color)]
        case "munder" | "mover" | "munderover":
            return [_limits(element, color)]
        case "mmultiscripts":
            return [_multiscripts(element, color)]
        case "mtable":
            return [_table(element, color)]
        case "menclose":
            return [_enclosed(element, color)]
        case "mphantom":
            hidden = _properties("phantPr", show="0")
            return [_math("phant", [hidden, _math("e", _row(element, color))])]
    return _row(element, color)


def _run(leaf: Element, color: str | None) -> Element:
    text, variant = text_of(leaf), leaf.get("mathvariant")
    if variant is None and leaf.tag != "mn" and len(text) > 1 and text.isalpha():
        variant = "normal"  # a word
    script, style = _VARIANTS.get(variant or "", (None, None))
    properties = [
        _math(name, value=value) for name, value in (("scr", script), ("sty", style)) if value
    ]
    return _text_run(text, properties, color)


def _text_run(text: str, properties: list[Element], color: str | None) -> Element:
    run = _math("r", [_math("rPr", properties)] if properties else [])
    if color is not None:
        painted = Element(f"{{{WORD}}}rPr")
        painted.append(Element(f"{{{WORD}}}color", {f"{{{WORD}}}val": color[1:].upper()}))
        run.append(painted)
    content = _math("t")
    content.text = text
    content.set(_XML_SPACE, "preserve")
    run.append(content)
    return run


def _space(width: str) -> list[Element]:
    """A space as a character; narrow and negative ones are left to Word."""
    number = width.rstrip("abcdefghijklmnopqrstuvwxyz")
    try:
        ems = float(number) * _EMS.get(width[len(number) :], 0.0)
    except ValueError:
        return []
    text = "\u2003" * int(min(ems, 20.0)) if ems >= 2 else ""
    text = text or next((space for least, space in _SPACES if ems >= least), "")
    return [_text_run(text, [], None)] if text else []


def _delimited(element: Element, color: str | None) -> Element:
    """Delimiters around parts, with the sign of `\\middle` between them."""
    parts: list[list[Element]] = [[]]
    between = None
    for child in element:
        if child.tag == "mo" and child.get("stretchy") == "true":
            between = text_of(child)
            parts.append([])
        else:
            parts[-1].append(child)
    properties = _properties(
        "dPr", begChr=element.get("open", ""), sepChr=between, endChr=element.get("close", "")
    )
    return _math("d", [properties, *(_math("e", _row(part, color)) for part in parts)])


def _scripted(element: Element, color: str | None) -> Element:
    tag = {"msub": "sSub", "msup": "sSup", "msubsup": "sSubSup"}[element.tag]
    places = {"msub": ("sub",), "msup": ("sup",), "msubsup": ("sub", "sup")}[element.tag]
    base = _argument("e", element[0], color)
    scripts = zip(places, element[1:], strict=True)
    return _math(tag, [base, *(_argument(place, script, color) for place, script in scripts)])


def _limits(element: Element, color: str | None) -> Element:
    """Something over or under a base: an accent, a bar, a brace or a limit."""
    base = element[0]
    made = _argument("e", base, color)
    below = element[1] if "under" in element.tag else None
    above = element[-1] if "over" in element.tag else None
    if below is not None and not is_empty(below):
        made = _math("e", [_mark(made, below, color, top=False)])
    if above is not None and not is_empty(above):
        made = _math("e", [_mark(made, above, color, top=True)])
    return made[0] if len(made) == 1 else _math("box", [made])


def _mark(base: Element, mark: Element, color: str | None, *, top: bool) -> Element:
    """A base (`m:e`) with one thing over or under it."""
    sign = text_of(mark) if mark.tag == "mo" else ""
    position = "top" if top else "bot"
    is_bar = sign in _BARS or (sign == "¯" and mark.get("stretchy") != "false")
    if is_bar:
        return _math("bar", [_properties("barPr", pos=position), base])
    if top and sign in _ACCENTS and (sign not in _BRACES or mark.get("stretchy") == "false"):
        return _math("acc", [_properties("accPr", chr=_ACCENTS[sign]), base])
    if sign in _BRACES and not _is_sign(base):
        other = "bot" if top else "top"
        return _math(
            "groupChr", [_properties("groupChrPr", chr=sign, pos=position, vertJc=other), base]
        )
    limit = _argument("lim", mark, color)
    return _math("limUpp" if top else "limLow", [base, limit])


def _is_sign(base: Element) -> bool:
    """Whether a base (`m:e`) is a single sign, such as an arrow with something over it."""
    texts = [text.text or "" for text in base.iter(f"{{{MATH}}}t")]
    return len(texts) == 1 and len(texts[0]) == 1 and not texts[0].isalnum()


def _multiscripts(element: Element, color: str | None) -> Element:
    parts = list(element)
    split = next((n for n, part in enumerate(parts) if part.tag == "mprescripts"), len(parts))
    base = _argument("e", parts[0], color)
    if split > 2:
        scripts = [_argument("sub", parts[1], color), _argument("sup", parts[2], color)]
        base = _math("e", [_math("sSubSup", [base, *scripts])])
    if len(parts) > split + 2:
        before = [
            _argument("sub", parts[split + 1], color),
            _argument("sup", parts[split + 2], color),
        ]
        return _math("sPre", [*before, base])
    return base[0]


def _table(table: Element, color: str | None) -> Element:
    """A matrix; rows with alignment points where the columns are right, left, right, ..."""
    sides = table.get("columnalign", "center").split()
    columns = max((len(row) for row in table), default=1)
    if table.get("displaystyle") == "true" and sides[:2] in (["right"], ["right", "left"]):
        return _math("eqArr", [_math("e", _aligned(row, color)) for row in table])
    sides = (sides + [sides[-1]] * columns)[:columns]
    kinds = [
        _math("mc", [_properties("mcPr", count="1", mcJc=side if side in _SIDES else "center")])
        for side in sides
    ]
    properties = _properties("mPr", baseJc="center", plcHide="1")
    properties.append(_math("mcs", kinds))
    rows = []
    for row in table:
        cells = [_argument("e", cell, color) for cell in row]
        cells += [_math("e") for _ in range(columns - len(cells))]
        rows.append(_math("mr", cells))
    return _math("m", [properties, *rows])


_SIDES = frozenset(("left", "center", "right"))


def _aligned(row: Element, color: str | None) -> list[Element]:
    """The cells of a row of an `aligned`, with `&` between, which Word aligns at."""
    made: list[Element] = []
    for place, cell in enumerate(row):
        if place:
            made.append(_text_run("&", [], None))
        made += _row(cell, color)
    return made


def _enclosed(element: Element, color: str | None) -> Element:
    notations = set(element.get("notation", "").split())
    inner = _math("e", _row(element, color))
    if notations & {"top", "bottom"} and len(notations) == 1:
        position = "top" if "top" in notations else "bot"
        return _math("bar", [_properties("barPr", pos=position), inner])
    boxed = bool(notations & {"box", "roundedbox", "circle"})
    hidden = None if boxed else "1"
    strikes = {strike: "1" for name, strike in _STRIKES.items() if name in notations}
    properties = _properties(
        "borderBoxPr", hideTop=hidden, hideBot=hidden, hideLeft=hidden, hideRight=hidden, **strikes
    )
    return _math("borderBox", [properties, inner])

"""A formula as a small tree, made from the MathML that MathJax writes: the input of the writers.

MathJax writes much that only a browser needs. The rest, as `xml.etree` elements:

    mi mn mo mtext mspace           leaves, with `mathvariant`, `width`; an operator's name is an
                                    `mi` with `operator`
    mrow                            several elements as one; only where an argument needs one
    fenced open close               what `\\left` and `\\right` enclose, and binomials
    mfrac msqrt mroot menclose mphantom
    msub msup msubsup munder mover munderover mmultiscripts
    mtable mtr mtd
    colored mathcolor               what a colour command reaches; the colour is #rrggbb

Every argument (of a fraction, a script, ...) is exactly one element, an `mrow` if need be; `fenced`,
`msqrt`, `menclose`, `mphantom`, `mtd`, `colored` and `mrow` hold a row of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from xml.etree.ElementTree import Element, fromstring

from PIL import ImageColor

from texlens.engine import Failure, get_engine
from texlens.errors import InputError
from texlens.latex import formula_of

APPLY_FUNCTION = "\u2061"
_INVISIBLE = "\u2062\u2063\u2064"  # times, separator, plus
_CLASS = "data-mjx-texclass"
_ROWS = ("msqrt", "menclose", "mphantom", "mtd")


def from_tree(write: Callable[[Element], str], latex: str) -> str:
    """The result of `write` for a formula's tree, which is an `mrow` element.

    Raises InputError when the formula is empty, cannot be parsed or is nested too deeply.
    """
    # With its namespace every name in the tree would begin with an address.
    text = mathml(latex).replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "", 1)
    try:
        return write(_made("mrow", _row(fromstring(text))))
    except RecursionError:
        raise InputError(cannot_convert(latex, "is nested too deeply")) from None


def mathml(latex: str) -> str:
    """A formula as presentation MathML. Raises InputError as `from_tree` does."""
    formula = formula_of(latex)
    if not formula.strip():
        raise InputError("There is no formula to convert: it is empty.")
    (made,) = get_engine().mathml([formula])
    if isinstance(made, Failure):
        raise InputError(cannot_convert(formula, made.message))
    return made


def cannot_convert(latex: str, reason: str) -> str:
    """The message of an InputError: this formula cannot be converted, and why."""
    shown = " ".join(latex.split())
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return f"The formula '{shown}' cannot be converted: {' '.join(reason.split()).rstrip('.')}."


def below_and_above(element: Element) -> tuple[Element | None, Element | None]:
    """The subscript or under part, and the superscript or over part, of an element with scripts."""
    tag = element.tag
    return (
        element[1] if "sub" in tag or "under" in tag else None,
        element[-1] if "sup" in tag or "over" in tag else None,
    )


def corners(element: Element) -> tuple[list[Element], list[Element]]:
    """The two scripts after the base of an `mmultiscripts`, and the two before it; [] for none."""
    parts = list(element)
    split = next((n for n, part in enumerate(parts) if part.tag == "mprescripts"), len(parts))
    return parts[1:split][:2], parts[split + 1 :][:2]


def is_aligned(table: Element) -> bool:
    """Whether a table is an `aligned` of some kind: columns right, left, right, ... in turn."""
    sides = table.get("columnalign", "").split()
    in_turn = all(side == ("left" if n % 2 else "right") for n, side in enumerate(sides))
    return bool(sides) and in_turn and table.get("displaystyle") == "true"


def column_sides(table: Element) -> list[str]:
    """How each column is aligned. The last value given is that of all columns that follow."""
    columns = max(map(len, table), default=1)
    sides = table.get("columnalign", "").split() or ["center"]  # MathJax writes "" for {array}{}
    return (sides + [sides[-1]] * columns)[:columns]


def is_empty(element: Element) -> bool:
    """Whether an argument is empty."""
    return element.tag == "mrow" and len(element) == 0


def text_of(element: Element) -> str:
    """The text of a leaf, spaces of every kind as MathJax wrote them."""
    return element.text or ""


def _made(tag: str, children: Iterable[Element], **attributes: str) -> Element:
    element = Element(tag, attributes)
    element.extend(list(children))  # so that a RecursionError stays one
    return element


def _row(parent: Iterable[Element]) -> list[Element]:
    """The children of an element that contains a row; adjacent texts become one."""
    row: list[Element] = []
    for element in (element for child in parent for element in _cleaned(child)):
        if element.tag == "mtext" and row and row[-1].tag == "mtext":
            row[-1].text = text_of(row[-1]) + text_of(element)
        else:
            row.append(element)
    return row


def _argument(child: Element) -> Element:
    """A child that has to stay one element."""
    found = _cleaned(child)
    return found[0] if len(found) == 1 else _made("mrow", found)


def _cleaned(element: Element) -> list[Element]:
    """The replacement of an element in a row: nothing, the element made simple, or its content."""
    tag = element.tag
    if tag in ("mi", "mn", "mo", "mtext", "mspace"):
        return _leaf(element)
    if tag == "mrow":
        row = _fenced(element) or _row(element)
        if element.get(_CLASS) == "OP" and len(row) == 1 and row[0].tag == "mi":
            row[0].set("operator", "true")
        return row
    if tag == "mstyle":
        return _colored(_row(element), element.get("mathcolor"))
    if tag in ("mpadded", "semantics"):
        row = _row(element)
        # Something unseen and without width only made room above and below.
        is_strut = element.get("width") == "0" and all(part.tag == "mphantom" for part in row)
        return [] if is_strut else row
    if tag in _ROWS:
        return [_made(tag, _row(element), **element.attrib)]
    if tag == "mlabeledtr":  # the label comes first
        return [_made("mtr", map(_argument, element[1:]))]
    return [_made(tag, map(_argument, element), **element.attrib)]


def _leaf(element: Element) -> list[Element]:
    text = (element.text or "").strip("\n")
    if element.tag != "mspace" and (not text or text in _INVISIBLE):
        return []
    leaf = Element(element.tag, element.attrib)
    leaf.text = text
    if leaf.tag == "mi" and len(text) > 1 and leaf.get("data-mjx-auto-op") != "false":
        leaf.set("operator", "true")
    color = leaf.attrib.pop("mathcolor", None)
    return _colored([leaf], color)


def _colored(row: list[Element], value: str | None) -> list[Element]:
    """A row in a colour, given by its name or by numbers; unchanged if it is not a colour."""
    try:
        red, green, blue = ImageColor.getrgb(value or "")[:3]
    except ValueError:
        return row
    color = f"#{red:02x}{green:02x}{blue:02x}"
    return [_made("colored", row, mathcolor=color)] if row else row


def _fenced(row: Element) -> list[Element]:
    """A row between delimiters that grow with it, if that is what the row is."""
    if len(row) < 2:
        return []
    first, last = (_delimiter(row[0], "OPEN"), _delimiter(row[-1], "CLOSE"))
    if first is None or last is None:
        return []
    return [_made("fenced", _row(row[1:-1]), open=first, close=last)]


def _delimiter(element: Element, side: str) -> str | None:
    """The delimiter that MathJax marked as this side's ('' where it is invisible)."""
    if element.get(_CLASS) != side:
        return None
    if element.tag == "mrow" and len(element) == 1:  # a binomial's, in a size of its own
        element = element[0]
    return (element.text or "").strip() if element.tag == "mo" else None

"""What may stand in what in Office Math: ECMA-376 part 1, section 22.1, as far as TexLens writes it."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

from texlens.export.omml import MATH, WORD

_MATH = "(?:acc |bar |box |borderBox |d |eqArr |f |func |groupChr |limLow |limUpp |m |nary |phant |rad |sPre |sSub |sSubSup |sSup |r )*"
_ROWS = ("oMath", "e", "num", "den", "sub", "sup", "deg", "lim", "fName")

# Element -> its children, in order, each name with a space after it.
CONTENT = {
    **dict.fromkeys(_ROWS, _MATH),
    "r": "(?:rPr )?(?:w:rPr )?(?:t )+",
    "rPr": "(?:nor |(?:scr )?(?:sty )?)",
    "acc": "(?:accPr )?e ", "accPr": "(?:chr )?",
    "bar": "(?:barPr )?e ", "barPr": "(?:pos )?",
    "box": "(?:boxPr )?e ",
    "borderBox": "(?:borderBoxPr )?e ",
    "borderBoxPr": "(?:hideTop )?(?:hideBot )?(?:hideLeft )?(?:hideRight )?(?:strikeH )?(?:strikeV )?(?:strikeBLTR )?(?:strikeTLBR )?",
    "d": "(?:dPr )?(?:e )+", "dPr": "(?:begChr )?(?:sepChr )?(?:endChr )?(?:grow )?(?:shp )?",
    "eqArr": "(?:eqArrPr )?(?:e )+",
    "f": "(?:fPr )?num den ", "fPr": "(?:type )?",
    "func": "(?:funcPr )?fName e ",
    "groupChr": "(?:groupChrPr )?e ", "groupChrPr": "(?:chr )?(?:pos )?(?:vertJc )?",
    "limLow": "(?:limLowPr )?e lim ", "limUpp": "(?:limUppPr )?e lim ",
    "m": "(?:mPr )?(?:mr )+", "mPr": "(?:baseJc )?(?:plcHide )?(?:mcs )?", "mcs": "(?:mc )+",
    "mc": "(?:mcPr )?", "mcPr": "(?:count )?(?:mcJc )?", "mr": "(?:e )+",
    "nary": "(?:naryPr )?sub sup e ",
    "naryPr": "(?:chr )?(?:limLoc )?(?:grow )?(?:subHide )?(?:supHide )?",
    "phant": "(?:phantPr )?e ", "phantPr": "(?:show )?",
    "rad": "(?:radPr )?deg e ", "radPr": "(?:degHide )?",
    "sPre": "(?:sPrePr )?sub sup e ", "sSub": "(?:sSubPr )?e sub ",
    "sSup": "(?:sSupPr )?e sup ", "sSubSup": "(?:sSubSupPr )?e sub sup ",
}  # fmt: skip
_ON_OFF = "0|1"
VALUES = {
    "sty": "p|b|i|bi", "scr": "roman|script|fraktur|double-struck|sans-serif|monospace",
    "type": "bar|skw|lin|noBar", "pos": "top|bot", "vertJc": "top|bot", "limLoc": "undOvr|subSup",
    "mcJc": "left|center|right", "baseJc": "top|center|bot", "count": "[0-9]+",
    "chr": ".?", "begChr": ".?", "endChr": ".?", "sepChr": ".?",
    **dict.fromkeys(("degHide", "subHide", "supHide", "plcHide", "grow", "show"), _ON_OFF),
    **dict.fromkeys(("hideTop", "hideBot", "hideLeft", "hideRight"), _ON_OFF),
    **dict.fromkeys(("strikeH", "strikeV", "strikeBLTR", "strikeTLBR"), _ON_OFF),
}  # fmt: skip


def faults(element: Element) -> list[str]:
    """What is against the grammar in an element of Office Math and below it."""
    found = []
    name = _name(element)
    if name in CONTENT:
        children = "".join(f"{_name(child)} " for child in element)
        if not re.fullmatch(CONTENT[name], children):
            found.append(f"{name} holds: {children}")
    elif name in VALUES:
        value = element.get(f"{{{MATH}}}val", "")
        if not re.fullmatch(VALUES[name], value, re.DOTALL):
            found.append(f"{name} is '{value}'")
    elif name not in ("t", "nor", "w:rPr", "w:color"):
        found.append(f"{name} is unknown")
    if name == "m":
        columns = {len(row) for row in element if _name(row) == "mr"}
        kinds = sum(1 for part in element.iter(f"{{{MATH}}}mc"))
        if columns != {kinds}:
            found.append(f"a matrix of {kinds} columns has rows of {columns}")
    return found + [fault for child in element for fault in faults(child)]


def _name(element: Element) -> str:
    return element.tag.replace(f"{{{MATH}}}", "").replace(f"{{{WORD}}}", "w:")

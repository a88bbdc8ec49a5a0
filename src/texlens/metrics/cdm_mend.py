r"""Broken LaTeX made whole, about as TeX goes on after its errors.

The published CDM scores what TeX drew despite errors; MathJax draws nothing after one. Where a
formula stops it, brackets that do not match are closed or left out, and so is a `&` or `\\` that
stands in no array.
"""

from __future__ import annotations

import re
from typing import Final

_MARK: Final = re.compile(
    r"\\(?P<edge>begin|end)\s*\{(?P<name>[^{}]*)\}"
    r"|\\(?P<fence>left|right)(?![A-Za-z])\s*(?P<delimiter>\\(?:[A-Za-z]+|.)|[^\\{}])?"
    r"|(?P<newline>\\\\(?:\[[^]]*\])?)|\\.|(?P<mark>[{}&])",
    re.S,
)
_CLOSING: Final = {"{": "}", "left": "\\right."}


def mended(latex: str) -> str:
    """The formula with all its brackets matched."""
    out: list[str] = []
    open_: list[str] = []  # "{", "left", or the name of an environment

    def close_to(kind: str) -> bool:
        """Close what was opened after the last `kind`, and forget it; False if there is none."""
        if kind not in open_:
            return False
        while (last := open_.pop()) != kind:
            out.append(_CLOSING.get(last, f"\\end{{{last}}}"))
        return True

    end = 0
    for found in _MARK.finditer(latex):
        out.append(latex[end : found.start()])
        end = found.end()
        text = found[0]
        name = found["name"]
        if text == "{" or found["edge"] == "begin" or found["fence"] == "left":
            open_.append(name or found["fence"] or "{")
            out.append(text if found["fence"] is None or found["delimiter"] else "\\left.")
        elif text == "}":
            if close_to("{"):
                out.append(text)
        elif found["edge"]:
            if close_to(name):
                out.append(text)
        elif found["fence"]:
            if close_to("left"):
                out.append(text if found["delimiter"] else "\\right.")
        elif text == "&" or found["newline"]:
            if open_ and open_[-1] not in _CLOSING:
                out.append(text)
            elif len(open_) > 1 and open_[-1] == "{" and open_[-2] not in _CLOSING:
                out.append(f"}}{text}{{")  # in a colour that spans cells
        else:
            out.append(text)
    out.append(
        latex[end:] + (" " if latex.endswith("\\", end) else "")
    )  # no `\\` may escape a bracket
    out += [_CLOSING.get(kind, f"\\end{{{kind}}}") for kind in reversed(open_)]
    return "".join(out)

r"""Repair of broken LaTeX, close to what TeX does after its errors.

The official CDM code scores what TeX draws despite errors; MathJax draws nothing after one. In a
formula that stops it, brackets that do not match are closed or left out; `&` and `\\` outside an
array are left out; `\left` without a delimiter gets an empty one, and so does a script without an
argument; a second script of one kind gets a nucleus of its own.
"""

from __future__ import annotations

import re
from typing import Final

from texlens.metrics.cdm.commands import DELIMITERS

_DELIMITER: Final = "|".join(
    re.escape(name) + "(?![A-Za-z])" * name[-1].isalpha() for name in sorted(DELIMITERS)
)
_MARK: Final = re.compile(
    r"\\(?P<edge>begin|end)\s*\{(?P<name>[^{}]*)\}"
    rf"|\\(?P<fence>left|right)(?![A-Za-z])(?:\s*(?P<delimiter>{_DELIMITER}))?"
    r"|(?P<newline>\\\\(?:\[[^]]*\])?)|\\.|(?P<mark>[{}&])",
    re.S,
)
_CLOSING: Final = {"{": "}", "left": "\\right."}


_WORD: Final = re.compile(r"\\(?:[A-Za-z]+|.)|\s+|.", re.S)
_ENDS_NUCLEUS: Final = frozenset(["}", "&", "\\\\", "\\right", "\\end", "_", "^", ""])


def repaired(latex: str) -> str:
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
            out.append(text if found["fence"] is None else _fence(found))
        elif text == "}":
            if close_to("{"):
                out.append(text)
        elif found["edge"]:
            if close_to(name):
                out.append(text)
        elif found["fence"]:
            if close_to("left"):
                out.append(_fence(found))
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
    return _with_scripts("".join(out))


def _fence(found: re.Match[str]) -> str:
    """`\\left` or `\\right` with its delimiter, or with an empty one where it has none."""
    return found[0] if found["delimiter"] else f"\\{found['fence']}."


def _with_scripts(latex: str) -> str:
    """Every script with an argument, and on an empty nucleus where its nucleus has one already."""
    spaced = _WORD.findall(latex)
    following = iter([*(word for word in spaced if not word.isspace()), ""][1:])
    out: list[str] = []
    scripts: list[set[str]] = [set()]  # at every depth: those of the last nucleus
    awaited = [False]  # at every depth: whether a script waits for its argument
    for word in spaced:
        out.append(word)
        if word.isspace():
            continue
        after = next(following)
        if word in ("_", "^"):
            if word in scripts[-1]:
                out[-1] = "{}" + word
                scripts[-1] = set()
            scripts[-1].add(word)
            awaited[-1] = after not in _ENDS_NUCLEUS
            if not awaited[-1]:
                out.append("{}")
        elif word == "}":
            if len(scripts) > 1:
                scripts.pop()
                awaited.pop()
        else:
            if not awaited[-1]:
                scripts[-1] = set()
            awaited[-1] = False
            if word == "{":
                scripts.append(set())
                awaited.append(False)
    return "".join(out)

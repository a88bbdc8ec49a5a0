"""Formulas typeset as those of im2latex-100k were: where each glyph and rule stands.

The pictures were made from pages of one display each, 345 pt wide, cut off at the depth of the
formula: that the pixel rows start at the lower edge of the page, and that what hangs below it is
missing, was found on the labelled pictures and holds for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from texlens.render.dvi import Character, DviPage, Rule, read_dvi
from texlens.render.tex import TypesetPage, typeset

# A display wider than the line shrinks, as TeX shrinks it. The page holds its height and depth in a
# special, since DVI has no sizes of boxes. What a broken formula leaves outside its box is thrown away
# by the output routine, or it would become one page too many. The pictures were typeset without
# amsmath: its dots and accents differ, and they show a \binom as its two arguments. What readings use
# of it is defined by what LaTeX itself has.
_PREAMBLE: Final = r"""
\documentclass[10pt]{article}
\hbadness=10000 \vbadness=10000 \hfuzz=\maxdimen \vfuzz=\maxdimen
\makeatletter
\newcommand\operatorname{\@ifstar{\@limitsoperator}{\@plainoperator}}
\newcommand\@plainoperator[1]{\mathop{\operator@font #1}\nolimits}
\newcommand\@limitsoperator[1]{\mathop{\operator@font #1}}
\newenvironment{aligned}{\begin{array}{rlrlrlrlrl}}{\end{array}}
\makeatother
\newcommand\dfrac[2]{{\displaystyle\frac{#1}{#2}}}
\newcommand\tfrac[2]{{\textstyle\frac{#1}{#2}}}
\newcommand\text[1]{\mbox{#1}}
\newcommand\boldsymbol[1]{\mbox{\boldmath$#1$}}
\newcommand\overset[2]{\stackrel{#1}{#2}}
\newcommand\mathscr[1]{\mathcal{#1}}
\newcommand\lvert{|} \newcommand\rvert{|} \newcommand\hdots{\ldots}
\newsavebox\formulabox
\newcommand\formulapage[2]{%
  \immediate\write-1{@@begin #1@@}%
  \setbox\formulabox\hbox{$\displaystyle #2$}%
  \ifdim\wd\formulabox>345pt \setbox\formulabox\hbox to345pt{\unhbox\formulabox}\fi
  \shipout\hbox to345pt{%
    \special{box \number\ht\formulabox\space\number\dp\formulabox}\hss\box\formulabox\hss}%
  \setbox\formulabox\vbox{\noindent\par}%
  \immediate\write-1{@@end #1@@}}
\begin{document}
\output={\setbox0\box255 \deadcycles=0 }
"""
# TeX takes a bracket or star that begins a row for an argument of the line break before it.
_ROW_OPENING: Final = re.compile(r"(?<=\\\\)(?=\s+[\[*])")
_BOX: Final = re.compile(r"box (-?\d+) (-?\d+)")


@dataclass(frozen=True, slots=True)
class FormulaPage:
    """A formula on its page; lengths in sp.

    Attributes:
        characters, rules: what is on the page; `y` counts downwards from the upper edge of the
            formula's box.
        height: from the upper edge of the formula's box to its lower edge, that of the page.
    """

    characters: tuple[Character, ...]
    rules: tuple[Rule, ...]
    height: int


def formula_pages(formulas: Sequence[str]) -> list[FormulaPage | str]:
    """The page of each formula, or why there is none: TeX's error, or nothing to be seen.

    Raises TexlensError when TeX is not installed.
    """
    pages: list[FormulaPage | str] = []
    read: dict[int, list[DviPage]] = {}
    for page in typeset(formulas, _document, "dvi"):
        if id(page.file) not in read:
            read[id(page.file)] = read_dvi(page.file) if page.file else []
        pages.append(_page(page, read[id(page.file)]))
    return pages


def _document(formulas: Sequence[str]) -> str:
    texts = (_ROW_OPENING.sub(r" \\relax", formula) for formula in formulas)
    pages = (rf"\formulapage{{{number}}}{{{text}}}" for number, text in enumerate(texts))
    return "\n".join([_PREAMBLE, *pages, r"\end{document}"])


def _page(page: TypesetPage, read: Sequence[DviPage]) -> FormulaPage | str:
    if page.error is not None:
        return page.error
    content = read[page.number]
    box = next(filter(None, map(_BOX.fullmatch, content.specials)), None)
    if box is None or not (content.characters or content.rules):
        return "the formula shows nothing"
    return FormulaPage(tuple(content.characters), tuple(content.rules), int(box[1]) + int(box[2]))

"""Two hundred formulas of our own: written by hand, the demo's, and from the grammar."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from texlens.data.formulas.grammar import generate
from texlens.latex import formula_of

# What the other lists lack.
RARE = [
    r"\boxed{E=mc^2}", r"\cancel{x}+\bcancel{y}+\xcancel{z}", r"\overrightarrow{AB}+\overleftarrow{CD}",
    r"\begin{array}{l|r}a&bbb\\\hline ccc&d\end{array}", r"\left\{\begin{array}{l}a\\b\end{array}\right.",
    r"\begin{array}{}a&b\\c&d\end{array}",
    r"\left(\begin{array}{cc}1&2\\3&4\end{array}\right]", r"x\phantom{abc}y", r"\color{red}\frac{a}{b}+c",
    r"\prescript{14}{6}{C}", r"\ce{2H2O -> 2H2 + O2}", r"\underset{x}{\operatorname{argmax}} f",
    r"\sum_{\substack{i<n\\j<m}} a", r"\left.\frac{a}{b}\middle|\frac{c}{d}\right)",
    r"\begin{gathered}a=b\\c=d+e\end{gathered}", r"\left(\begin{aligned}a&=b\\c&=d\end{aligned}\right)",
    r"\overbrace{a+b}^{n}+\underbrace{c}_{m}", r"\oint\limits_C f", r"a\equiv b\pmod{n}",
    r"\bigcup_{i}^{n} A_i \bigcap\nolimits_j", r"\textbf{bold} \textit{it} \texttt{tt}",
    r"\| x \|_2 + |y|^2", r"\langle a | b | c \rangle", r"f: A \xrightarrow[b]{\text{long}} B",
    r"\tag{3} a=b", r"\not\subset \not= \nleq", r"\#\ \$\ \%\ \&\ \_ \{ \} ", r"[0, 1) \cup ]a; b[",
    r"\begin{Bmatrix}a\\b\end{Bmatrix}\begin{Vmatrix}a\end{Vmatrix}", r"x \mathrel{\mathop:}= y",
    r"\backslash / * ` ' @ \sim", r"f'''(x) + x'^2_i", r"{}^{14}C {a b}^{2} {}_n",
    r'\text{say "hi" \& go \#1 $x_1$}', r"\frac{[0, 1)}{(a; b: c}", r"\sqrt{a, b}^{(n)}_{-1}",
    r"\left\lfloor \frac{a}{b} \right\rceil", r"\begin{cases}a\\b\end{cases}", r"< > <= >= -> => :=",
]  # fmt: skip


@pytest.fixture(scope="session")
def formulas() -> list[str]:
    tests = Path(__file__).parents[1]
    ours = (tests / "latex" / "formulas.txt").read_text(encoding="utf-8").splitlines()
    demo = (tests.parent / "src/texlens/demo/demo.jsonl").read_text(encoding="utf-8").splitlines()
    found = [formula_of(line) for line in ours if line]
    found += [json.loads(line)["latex"] for line in demo if line] + RARE
    return found + [generate(random.Random(seed)) for seed in range(200 - len(found))]

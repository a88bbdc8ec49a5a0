"""Formulas of our own, for where no corpus is at hand; tokens as in a normalised corpus."""

OWN_FORMULAS = (
    r"a ^ { 2 } + b ^ { 2 } = c ^ { 2 }",
    r"x _ { 1 , 2 } = \frac { - b \pm \sqrt { b ^ { 2 } - 4 a c } } { 2 a }",
    r"\sum _ { k = 1 } ^ { n } k ^ { 2 } = \frac { n ( n + 1 ) ( 2 n + 1 ) } { 6 }",
    r"\int _ { 0 } ^ { \infty } e ^ { - x ^ { 2 } } d x = \frac { \sqrt { \pi } } { 2 }",
    r"\lim _ { x \rightarrow 0 } \frac { \sin x } { x } = 1",
    r"\left( \begin{array} { c c } { a } & { b } \\ { c } & { d } \\ \end{array} \right) \left( \begin{array} { c } { x } \\ { y } \\ \end{array} \right) = 0",
    r"\hat { H } \psi = - \frac { \hbar ^ { 2 } } { 2 m } \nabla ^ { 2 } \psi + V ( x , t ) \psi",
    r"\mathbf { F } = q ( \mathbf { E } + \mathbf { v } \times \mathbf { B } )",
    r"f ^ { \prime \prime } ( x ) + k f ^ { \prime } ( x ) \neq 0 , \quad x \in [ 0 , 1 ]",
    r"\overline { A \cup B } = \overline { A } \cap \overline { B }",
    r"\sqrt [ 3 ] { x y z } \leq \frac { x + y + z } { 3 }",
    r"\mathrm { R e } \, z = | z | \cos \varphi , \qquad z = x + i y",
    r"p ( x | \theta ) = \prod _ { i = 1 } ^ { N } p ( x _ { i } | \theta )",
    r"\Gamma _ { i j } ^ { k } = \Gamma _ { j i } ^ { k }",
    r"A ^ { \dagger } A | n \rangle = n | n \rangle , \quad n = 0 , 1 , 2 , \ldots",
    r"f ( x ) = \left\{ \begin{array} { l l } { x ^ { 2 } } & { x > 0 } \\ { 0 } & { x \leq 0 } \\ \end{array} \right.",
    r"g : { \cal M } \rightarrow \mathbb { R } , \; m \mapsto \tilde { g } ( m )",
    r"x _ { n + 1 } = a x _ { n } + \cdots + b \partial _ { t } u",
)  # fmt: skip

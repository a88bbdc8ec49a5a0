# ruff: noqa: SIM905  (lists of commands read best as text)
r"""The commands that the official CDM code knows, and how its printer writes them.

Facts about its modified KaTeX of 2016, for the parser in `grammar`.
"""

from __future__ import annotations

from typing import Final

FRACTIONS: Final = {
    "\\frac": "\\frac", "\\dfrac": "\\frac", "\\tfrac": "\\frac",
    "\\binom": "\\binom", "\\dbinom": "\\binom", "\\tbinom": "\\binom",
}  # fmt: skip
INFIX: Final = {"\\over": "\\frac", "\\choose": "\\binom"}
TEXT: Final = frozenset("\\text \\mbox \\hbox \\vbox".split())
FONTS: Final = {
    **{
        name: name
        for name in r"""\mathrm \mathit \mathbf \mathop \stackrel \mathbb \mathcal \mathfrak \mathscr
        \mathsf \mathtt \label \comment \hspace \vspace \atop \fbox \tag \makebox \raisebox \framebox
        \circle \line \put \vphantom \textup \noalign""".split()
    },
    "\\Bbb": "\\mathbb",
    "\\bold": "\\mathbf",
    "\\frak": "\\mathfrak",
}
ACCENTS: Final = frozenset(r"\acute \grave \ddot \tilde \bar \breve \check \hat \vec \dot".split())
LINES: Final = frozenset(["\\overline", "\\underline"])
LAPS: Final = frozenset(["\\llap", "\\rlap"])
SIZES: Final = frozenset(
    r"""\tiny \scriptsize \footnotesize \small \normalsize \large \Large \LARGE \huge \Huge \textrm
    \rm \cal \bf \siptstyle \boldmath \it""".split()
)
STYLES: Final = frozenset(r"\displaystyle \textstyle \scriptstyle \scriptscriptstyle".split())
BIG: Final = frozenset(f"\\{b}{g}{s}" for b in "bB" for g in ("ig", "igg") for s in ("", *"lrm"))
DELIMITERS: Final = frozenset(
    r"""( ) [ ] < > / | . \lbrack \rbrack \{ \lbrace \} \rbrace \lfloor \rfloor \lceil \rceil
    \langle \rangle \lt \gt \lvert \rvert \lVert \rVert \lgroup \rgroup \lmoustache \rmoustache
    \backslash \vert \| \Vert \uparrow \Uparrow \downarrow \Downarrow \updownarrow
    \Updownarrow""".split()
)
OPERATORS: Final = frozenset(  # words without limits
    r"""\arcsin \arccos \arctan \arg \cos \cosh \cot \coth \csc \deg \dim \exp \hom \ker \lg \ln
    \log \sec \sin \sinh \tan \tanh""".split()
)
LIMIT_OPERATORS: Final = frozenset(
    r"\det \gcd \inf \lim \liminf \limsup \max \min \Pr \sup".split()
)
LARGE_OPERATORS: Final = frozenset(
    r"""\int \iint \iiint \oint \coprod \bigvee \bigwedge \biguplus \bigcap \bigcup \intop \prod
    \sum \bigotimes \bigoplus \bigodot \bigsqcup \smallint""".split()
)
# Its printer fails on any colour, and on its own logo.
REFUSED: Final = frozenset(
    [
        f"\\{colour}{shade}"
        for colour in "blue teal green gold red maroon purple gray mint".split()
        for shade in ("", *"ABCDEFGHI")
    ]
    + r"\color \KaTeX \orange \pink \kaBlue \kaGreen".split()
)

# Greediness as TeX's arguments go: a function may be the argument of a less greedy one.
GREEDY: Final = frozenset([*FRACTIONS, *TEXT, *FONTS])
FUNCTIONS: Final = frozenset(
    [
        *GREEDY, *INFIX, *ACCENTS, *LINES, *LAPS, *SIZES, *STYLES, *BIG, *OPERATORS,
        *LIMIT_OPERATORS, *LARGE_OPERATORS,
        *r"\sqrt \rule \phantom \left \right \begin \end \\ \cr".split(),
    ]
)  # fmt: skip

CELLS: Final = {  # environments: delimiters around the array, and whether it names its columns
    "array": ("", ""), "tabular": ("", ""), "matrix": ("", ""), "aligned": ("", ""),
    "pmatrix": ("(", ")"), "bmatrix": ("[", "]"), "Bmatrix": ("\\{", "\\}"),
    "vmatrix": ("|", "|"), "Vmatrix": ("\\Vert", "\\Vert"),
    "cases": ("\\{", "."), "picture": ("\\{", "."),
}  # fmt: skip
PLAIN_ARRAYS: Final = frozenset(["\\matrix", "\\pmatrix", "\\cases"])

# Words that `\operatorname` turns back into commands; `arccos` and `tanh` are missing in the
# official pattern, because of how it is joined.
NAMED_OPERATORS: Final = (
    frozenset(word[1:] for word in OPERATORS | LIMIT_OPERATORS) - {"arccos", "tanh"}
) | {"injlim", "projlim"}

# Commands of more than one character that the grammar knows as something else than a letter:
# they stay whole inside `\mathrm`.
SYMBOLS: Final = frozenset(
    r"""
    \! \# \$ \% \& \( \) \, \: \; \_ \{ \| \}
    \Box \Bumpeq \Cap \Cup \Delta \Diamond \Doteq \Downarrow \Finv \Game \Gamma \Im \Join \L \Lambda
    \Leftarrow \Leftrightarrow \Lleftarrow \Longleftarrow \Longleftrightarrow \Longrightarrow \Lsh
    \M \Omega \Phi \Pi \Psi \Re \Rightarrow \Rrightarrow \Rsh \S \Sigma \Subset \Supset \Theta
    \Uparrow \Updownarrow \Upsilon \Vdash \Vert \Vvdash \Xi \Bbbk
    \a \aleph \amalg \angle \approx \approxeq \ast \asymp \b \backepsilon \backprime \backsim
    \backsimeq \backslash \barwedge \because \beth \between \bigcirc \bigstar \bigtriangledown
    \bigtriangleup \blacklozenge \blacksquare \blacktriangle \blacktriangledown \blacktriangleleft
    \blacktriangleright \boldmathr \bot \bowtie \boxdot \boxminus \boxplus \boxtimes \bullet
    \bumpeq \c \cap \cases \cdot \cdotp \cdots \centerdot \checkmark \circ \circeq
    \circlearrowleft \circlearrowright \circledR \circledS \circledast \circledcirc \circleddash
    \clubsuit \colon \complement \cong \cup \curlyeqprec \curlyeqsucc \curlyvee \curlywedge
    \curvearrowleft \curvearrowright \d \dag \dagger \daleth \dashleftarrow \dashrightarrow \dashv
    \ddag \ddagger \ddots \diagdown \diagup \diamond \diamondsuit \digamma \dint \div
    \divideontimes \do \doteq \doteqdot \dotplus \dots \doublebarwedge \doublecap \doublecup
    \downarrow \downdownarrows \downharpoonleft \downharpoonright \e \eixsts \ell \em \emptyset
    \enspace \eqcirc \eqsim \eqslantgtr \eqslantless \equiv \eth \f \fallingdotseq \flat \forall
    \frown \g \ge \geq \geqq \geqslant \gets \gg \ggg \gggtr \gimel \gnapprox \gneq \gneqq \gnsim
    \gt \gtrapprox \gtrdot \gtreqless \gtreqqless \gtrless \gtrsim \gvertneqq \h \hbar \heartsuit
    \hline \hookleftarrow \hookrightarrow \hskip \hslash \i \in \infty \intd \intercal \intf \j \k
    \l \land \langle \lbrace \lbrack \lceil \ldotp \ldots \le \leadsto \leftarrow \leftarrowtail
    \leftharpoondown \leftharpoonup \leftleftarrows \leftrightarrow \leftrightarrows
    \leftrightharpoons \leftrightsquigarrow \leftthreetimes \leq \leqq \leqslant \lessapprox
    \lessdot \lesseqgtr \lesseqqgtr \lessgtr \lesssim \lfloor \lgroup \lhd \ll \llcorner \llless
    \lll \lmoustache \lnapprox \lneq \lneqq \lnot \lnsim \longleftarrow \longleftrightarrow
    \longmapsto \longrightarrow \looparrowleft \looparrowright \lor \lozenge \lrcorner \lt \ltimes
    \lvert \lVert \lvertneqq \m \mapsto \mathbin \measuredangle \mho \mid \mit \models \mp
    \multimap \n \nLeftarrow \nLeftrightarrow \nRightarrow \nVDash \nVdash \nabla \natural \nc
    \ncong \ne \nearrow \neg \neq \nexists \ngeq \ngeqq \ngeqslant \ngtr \ni \nleftarrow
    \nleftrightarrow \nleq \nleqq \nleqslant \nless \nmid \nonumber \not \notin \nparallel \nprec
    \npreceq \nrightarrow \nshortmid \nshortparallel \nsim \nsubseteq \nsubseteqq \nsucc \nsucceq
    \nsupseteq \nsupseteqq \ntriangleleft \ntrianglelefteq \ntriangleright \ntrianglerighteq \nvDash
    \nvdash \nwarrow \o \odot \ominus \oplus \oslash \otimes \overleftarrow \overrightarrow \owns
    \parallel \partial \perp \pii \pitchfork \pm \prec \precapprox \preccurlyeq \preceq
    \precnapprox \precneqq \precnsim \precsim \prime \propto \qquad \quad \rangle \rbrace \rbrack
    \rceil \restriction \rfloor \rgroup \rhd \rightarrow \rightarrowtail \rightharpoondown
    \rightharpoonup \rightleftarrows \rightleftharpoons \rightrightarrows \rightsquigarrow
    \rightthreetimes \risingdotseq \rmoustache \rtimes \rvert \rVert \sb \searrow \setminus \sf
    \sharp \shortmid \shortparallel \sim \simeq \slash \smallfrown \smallsetminus \smallskip
    \smallsmile \smile \sp \space \spadesuit \sphericalangle \sqcap \sqcup \sqsubset \sqsubseteq
    \sqsupset \sqsupseteq \square \star \subset \subseteq \subseteqq \subsetneq \subsetneqq \succ
    \succapprox \succcurlyeq \succeq \succnapprox \succneqq \succnsim \succsim \supset \supseteq
    \supseteqq \supsetneq \supsetneqq \surd \swarrow \textbf \therefore \thickapprox \thicksim
    \thinspace \times \to \top \triangle \triangledown \triangleleft \trianglelefteq \triangleq
    \triangleright \trianglerighteq \tt \twoheadleftarrow \twoheadrightarrow \ulcorner
    \underbrace \unitlength \unlhd \unrhd \uparrow \updownarrow \upharpoonleft \upharpoonright
    \uplus \upuparrows \urcorner \vDash \varkappa \varnothing \varpropto \varsubsetneq
    \varsubsetneqq \varsupsetneq \varsupsetneqq \vartriangle \vartriangleleft \vartriangleright
    \vdash \vdots \vee \veebar \vert \wedge \widehat \widetilde \wp \wr \yen
    """.split()
) | {"\\ "}

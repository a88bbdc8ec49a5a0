r"""The grammar by which the published CDM code splits a formula into tokens.

That code (UniMERNet, folder `cdm`, 2025) reads formulas with a KaTeX of 2016 whose printer writes
normalised LaTeX, as im2latex-100k's preprocessing did (Deng et al. 2017). Scores depend on what
that grammar takes, changes, forgets and refuses, so this module says the same language in a parser
of our own:

- a command that it does not know is a letter (inside `\mathrm` even a row of letters);
- `\text`, `\mbox` and the like become `\mathrm`; `\dfrac` and `\over` become `\frac`;
- every matrix, `cases` and `aligned` becomes an `array`; its lines and row gaps are forgotten;
- a second script of the same kind replaces the first, and primes are superscripts;
- `\limits`, and anything after a `%`, are forgotten;
- colours, `gathered` and other environments, a row that starts with `[`, a function where an
  argument should be (`\sqrt\sqrt x`) are refused: then the metric takes the raw text.

`tokens` writes in one pass: every method appends to `_Parser.out` what the printer would print.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import Final

MAX_DEPTH: Final = 60
"""Groups within groups beyond which a formula is refused (each takes six Python frames)."""

_TOKEN: Final = re.compile(
    "[ \r\n\t]+|---?|[!-\\[\\]-\u2027\u202a-\ud7ff\uf900-\uffff\U00010000-\U0010ffff]"
    r"|\\(?:[a-zA-Z]+|[^a-zA-Z])"
)
_SIZE: Final = re.compile(r"\s*(-?)\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]{2})")
_END: Final = "EOF"
_ENDS_EXPRESSION: Final = frozenset(["}", "\\end", "\\right", "&", "\\\\", "\\cr", _END])

_FRACTIONS: Final = {
    "\\frac": "\\frac", "\\dfrac": "\\frac", "\\tfrac": "\\frac",
    "\\binom": "\\binom", "\\dbinom": "\\binom", "\\tbinom": "\\binom",
}  # fmt: skip
_INFIX: Final = {"\\over": "\\frac", "\\choose": "\\binom"}
_TEXT: Final = frozenset("\\text \\mbox \\hbox \\vbox".split())
_FONTS: Final = {
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
_ACCENTS: Final = frozenset(r"\acute \grave \ddot \tilde \bar \breve \check \hat \vec \dot".split())
_LINES: Final = frozenset(["\\overline", "\\underline"])
_LAPS: Final = frozenset(["\\llap", "\\rlap"])
_SIZES: Final = frozenset(
    r"""\tiny \scriptsize \footnotesize \small \normalsize \large \Large \LARGE \huge \Huge \textrm
    \rm \cal \bf \siptstyle \boldmath \it""".split()
)
_STYLES: Final = frozenset(r"\displaystyle \textstyle \scriptstyle \scriptscriptstyle".split())
_BIG: Final = frozenset(f"\\{b}{g}{s}" for b in "bB" for g in ("ig", "igg") for s in ("", *"lrm"))
_DELIMITERS: Final = frozenset(
    r"""( ) [ ] < > / | . \lbrack \rbrack \{ \lbrace \} \rbrace \lfloor \rfloor \lceil \rceil
    \langle \rangle \lt \gt \lvert \rvert \lVert \rVert \lgroup \rgroup \lmoustache \rmoustache
    \backslash \vert \| \Vert \uparrow \Uparrow \downarrow \Downarrow \updownarrow
    \Updownarrow""".split()
)
_OPERATORS: Final = frozenset(  # words without limits
    r"""\arcsin \arccos \arctan \arg \cos \cosh \cot \coth \csc \deg \dim \exp \hom \ker \lg \ln
    \log \sec \sin \sinh \tan \tanh""".split()
)
_LIMIT_OPERATORS: Final = frozenset(
    r"\det \gcd \inf \lim \liminf \limsup \max \min \Pr \sup".split()
)
_LARGE_OPERATORS: Final = frozenset(
    r"""\int \iint \iiint \oint \coprod \bigvee \bigwedge \biguplus \bigcap \bigcup \intop \prod
    \sum \bigotimes \bigoplus \bigodot \bigsqcup \smallint""".split()
)
# Its printer fails on any colour, and on its own logo.
_REFUSED: Final = frozenset(
    [
        f"\\{colour}{shade}"
        for colour in "blue teal green gold red maroon purple gray mint".split()
        for shade in ("", *"ABCDEFGHI")
    ]
    + r"\color \KaTeX \orange \pink \kaBlue \kaGreen".split()
)

# Greediness as TeX's arguments go: a function may be the argument of a less greedy one.
_GREEDY: Final = frozenset([*_FRACTIONS, *_TEXT, *_FONTS])
_FUNCTIONS: Final = frozenset(
    [*_GREEDY, *_INFIX, *_ACCENTS, *_LINES, *_LAPS, *_SIZES, *_STYLES, *_BIG, *_OPERATORS]
    + [*_LIMIT_OPERATORS, *_LARGE_OPERATORS]
    + r"\sqrt \rule \phantom \left \right \begin \end \\ \cr".split()
)

_CELLS: Final = {  # environments: delimiters around the array, and whether it names its columns
    "array": ("", ""), "tabular": ("", ""), "matrix": ("", ""), "aligned": ("", ""),
    "pmatrix": ("(", ")"), "bmatrix": ("[", "]"), "Bmatrix": ("\\{", "\\}"),
    "vmatrix": ("|", "|"), "Vmatrix": ("\\Vert", "\\Vert"),
    "cases": ("\\{", "."), "picture": ("\\{", "."),
}  # fmt: skip
_PLAIN_ARRAYS: Final = frozenset(["\\matrix", "\\pmatrix", "\\cases"])

# Words that `\operatorname` gives back as commands. `arccos` and `tanh` are missing in the
# published pattern by the way it is joined.
_NAMED_OPERATORS: Final = frozenset(
    """arcsin arctan arg cos cosh cot coth csc deg det dim exp gcd hom inf injlim ker lg lim liminf
    limsup ln log max min Pr projlim sec sin sinh sup tan""".split()
)

# Commands of more than one character that the grammar knows as something else than a letter:
# they stay whole inside `\mathrm`.
_SYMBOLS: Final = frozenset(
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


class _Refused(Exception):
    """The published grammar does not take the formula."""


def tokens(latex: str) -> list[str] | None:
    """The tokens of a formula as the published grammar prints them; None where it refuses.

    `latex` is one line with comments, dollars and labels taken away (see `cdm_tokens`).
    """
    try:
        parser = _Parser(latex)
        parser.expression()
        if parser.next != _END:
            return None
    except _Refused:
        return None
    return _with_named_operators(parser.out)


class _Parser:
    """Recursive descent over one formula; `out` is what has been printed so far."""

    def __init__(self, latex: str) -> None:
        self.latex = latex
        self.words: list[str] = []  # with white space as " "
        self.starts: list[int] = []
        end = 0
        for match in _TOKEN.finditer(latex):
            if match.start() != end:
                raise _Refused
            word, end = match[0], match.end()
            self.words.append(" " if word[0] in " \r\n\t" else word)
            self.starts.append(match.start())
        if end != len(latex):
            raise _Refused
        self.words.append(_END)
        self.starts.append(end)
        self.index = -1
        self.depth = 0
        self.text = False  # text mode: white space prints, scripts do not exist
        self.roman = False  # within \mathrm, where letters of unknown commands fall apart
        self.out: list[str] = []
        self.next = ""
        self.advance()

    def advance(self) -> None:
        """Step to the next word, over white space in math."""
        index = self.index + 1
        word = self.words[index]
        if word == " " and not self.text:
            index += 1
            word = self.words[index]
        self.index = index
        self.next = word

    def reread(self) -> None:
        """Back in the outer mode: white space there may be none."""
        if self.next == " " and not self.text:
            self.advance()

    def expect(self, word: str) -> None:
        if self.next != word:
            raise _Refused
        self.advance()

    def expression(self, *, before_infix: bool = False, until: str = "") -> None:
        """Atoms up to a closing word; with `before_infix` also up to `\\over`."""
        out = self.out
        start = len(out)
        infix = -1
        name = ""
        while (word := self.next) not in _ENDS_EXPRESSION and word != until:
            if word in _INFIX:
                if before_infix:
                    break
                if infix >= 0:
                    raise _Refused
                infix, name = len(out), _INFIX[word]
                self.advance()
                if self.next in ("^", "_", "'", "\\limits", "\\nolimits"):
                    raise _Refused
            else:
                self.atom()
        if infix >= 0:
            numerator, denominator = out[start:infix], out[infix:]
            out[start:] = [name, *_grouped(numerator), *_grouped(denominator)]

    def atom(self) -> None:
        """A nucleus with its scripts, printed as nucleus, subscript, superscript."""
        out = self.out
        operator = self.nucleus()
        if self.text:
            return
        sub: list[str] | None = None
        sup: list[str] | None = None
        while True:
            word = self.next
            if word == "^":
                sup = self.script()
            elif word == "_":
                sub = self.script()
            elif word == "'":
                sup = ["{"]
                while self.next == "'":
                    sup.append("\\prime")
                    self.advance()
                sup.append("}")
            elif word == "\\limits" or word == "\\nolimits":
                if operator is None:
                    raise _Refused
                if operator:
                    del out[operator[0] :]
                    out += _operator(operator[1], limits=word == "\\limits")
                self.advance()
            else:
                break
        if sub is not None:
            out.append("_")
            out += sub
        if sup is not None:
            out.append("^")
            out += sup

    def script(self) -> list[str] | None:
        """The argument of `^` or `_`, always in braces; None at the end of the text."""
        self.advance()
        word = self.next
        if word == _END:
            return None
        out = self.out
        start = len(out)
        if word == "{":
            self.group()
            script = out[start:]
        else:
            if word in _FUNCTIONS and word not in _GREEDY or word in _REFUSED:
                raise _Refused
            if word in _GREEDY:
                self.function()
            else:
                self.symbol()
            script = ["{", *out[start:], "}"]
        del out[start:]
        return script

    def group(self) -> None:
        """`{...}`, with its braces."""
        out = self.out
        out.append("{")
        self.enter()
        self.advance()
        self.expression()
        self.expect("}")
        self.depth -= 1
        out.append("}")

    def enter(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _Refused

    def symbol(self) -> None:
        """One word that is no function."""
        word = self.next
        if self.roman and len(word) > 1 and word not in _SYMBOLS:
            self.out += word
        else:
            self.out.append("~" if word == " " else word)
        self.advance()

    def nucleus(self) -> tuple[int, str] | tuple[()] | None:
        """An atom without scripts.

        Returns None for anything but an operator, () for an operator that is one symbol, and for
        a word such as `\\max` its place in `out` and its name, as `\\limits` may follow.
        """
        word = self.next
        if word == "{":
            self.group()
        elif word not in _FUNCTIONS:
            if word in _PLAIN_ARRAYS:
                self.advance()
                self.expect("{")
                self.array(word[1:])
                self.expect("}")
            elif word in _REFUSED:
                raise _Refused
            else:
                self.symbol()
        elif word in _LARGE_OPERATORS:
            self.out.append(word)
            self.advance()
            return ()
        elif word in _OPERATORS or word in _LIMIT_OPERATORS:
            place = len(self.out)
            self.out += _operator(word, limits=word in _LIMIT_OPERATORS)
            self.advance()
            return place, word
        elif word == "\\left":
            self.fenced()
        elif word == "\\begin":
            self.environment()
        elif word in _SIZES or word in _STYLES:
            self.declaration()
        else:
            self.function()
        return None

    def declaration(self) -> None:
        """`\\bf`, `\\displaystyle`: what follows in the group belongs to it."""
        word = self.next
        self.enter()
        self.advance()
        if word == "\\rm":
            outer, self.roman = self.roman, True
            self.out += ["\\mathrm", "{"]
            self.expression()
            self.out.append("}")
            self.roman = outer
        else:
            self.out.append(word)
            self.expression(before_infix=word in _STYLES)
        self.depth -= 1

    def fenced(self) -> None:
        """`\\left( ... \\right)`."""
        self.enter()
        self.delimited()
        self.expression()
        if self.next != "\\right":
            raise _Refused
        self.delimited()
        self.depth -= 1

    def delimited(self) -> None:
        """`\\left` or `\\right` and its delimiter, printed as one token."""
        command = self.next
        self.advance()
        if self.next not in _DELIMITERS:
            raise _Refused
        self.out.append(command + self.next)
        self.advance()

    def function(self) -> None:
        """A command with arguments."""
        word = self.next
        out = self.out
        self.enter()
        self.advance()
        if word in _FRACTIONS:
            out.append(_FRACTIONS[word])
            start = len(out)
            self.argument(greedy=True)
            self.argument(greedy=True, previous=out[start:])
        elif word in _FONTS:
            name = _FONTS[word]
            outer, self.roman = self.roman, name == "\\mathrm"
            out.append(name)
            self.argument(greedy=True)
            self.roman = outer
        elif word in _TEXT:
            out.append("\\mathrm")
            self.text_argument()
        elif word in _ACCENTS:
            out.append(word)
            self.argument(braced=True)
        elif word in _LINES:
            out += [word, "{"]
            self.argument()
            out.append("}")
        elif word in _LAPS:
            out.append(word)
            self.argument()
        elif word == "\\phantom":
            out.append(word)
            self.argument(braced=True)
        elif word == "\\sqrt":
            out.append(word)
            index: list[str] | None = None
            if self.next == "[":
                start = len(out)
                out.append("[")
                self.advance()
                self.expression(until="]")
                self.expect("]")
                index = ["{", *out[start + 1 :], "}"]
                out.append("]")
            self.argument(previous=index)
        elif word in _BIG:
            if self.next not in _DELIMITERS:
                raise _Refused
            out += [word, self.next]
            self.advance()
        elif word == "\\rule":
            self.rule()
        else:
            raise _Refused
        self.depth -= 1

    def argument(
        self, *, greedy: bool = False, braced: bool = False, previous: list[str] | None = None
    ) -> None:
        """One argument; with `braced` in braces even if it is one symbol.

        A function cannot be the argument of one as greedy. The published parser then takes the
        previous argument again, and without one it fails.
        """
        word = self.next
        if word == "{":
            self.group()
            return
        if word == _END or word in _REFUSED:
            raise _Refused
        if braced:
            self.out.append("{")
        if word in _FUNCTIONS:
            if greedy or word not in _GREEDY:
                if previous is None:
                    raise _Refused
                self.out += previous
                self.advance()
            else:
                self.function()
        else:
            self.symbol()
        if braced:
            self.out.append("}")

    def text_argument(self) -> None:
        """The argument of `\\text`, where white space prints as `~`."""
        outer, self.text = self.text, True
        if self.next != "{":  # one word, with braces put around it
            if self.next == _END or self.next in _FUNCTIONS:
                raise _Refused
            self.out.append("{")
            self.symbol()
            self.out.append("}")
        else:
            self.group()
        self.text = outer
        self.reread()

    def size(self, opening: str, closing: str) -> str:
        """A length between brackets or braces, as it prints."""
        if self.next != opening:
            raise _Refused
        match = _SIZE.match(self.latex, self.starts[self.index] + 1)
        if match is None:
            raise _Refused
        self.index = bisect_left(self.starts, match.end()) - 1
        self.advance()
        self.expect(closing)
        sign, digits, unit = match.groups()
        return f"{float(sign + digits):g} {unit}"

    def rule(self) -> None:
        if self.next == "[":
            self.size("[", "]")
        width, height = self.size("{", "}"), self.size("{", "}")
        self.out += ["\\rule", "{", *width.split(), "}", "{", *height.split(), "}"]

    def environment(self) -> None:
        """`\\begin{array} ... \\end{array}`."""
        self.enter()
        name = self.name()
        if name not in _CELLS:
            raise _Refused
        self.array(name)
        if self.next != "\\end" or self.name() != name:
            raise _Refused
        self.depth -= 1

    def name(self) -> str:
        """The name after `\\begin` or `\\end`, which may not be padded with spaces."""
        self.advance()
        if self.next != "{":
            raise _Refused
        outer, self.text = self.text, True
        self.advance()
        name = ""
        while self.next not in _ENDS_EXPRESSION:
            name += self.next
            self.advance()
        self.expect("}")
        self.text = outer
        self.reread()
        return name

    def columns(self) -> list[str]:
        """The argument of `\\begin{array}`: only plain `l`, `c`, `r` are kept."""
        start = len(self.out)
        opened = self.next == "{"
        self.argument()
        printed = self.out[start:]
        del self.out[start:]
        depth = 0
        kept: list[str] = []
        for word, after in zip(printed, [*printed[1:], ""], strict=True):
            depth += (word == "{") - (word == "}")
            if depth == opened and word in ("l", "c", "r") and after not in ("^", "_"):
                kept.append(word)
        return kept

    def array(self, name: str) -> None:
        """Rows and cells; `name` says how columns are given and what stands around them."""
        out = self.out
        left, right = _CELLS[name]
        if left:
            out.append(f"\\left{left}")
        start = len(out)
        columns = self.columns() if name in ("array", "tabular") else []
        widths: list[int] = []
        while True:
            widths.append(self.row(empty_group=name == "aligned"))
            if self.next not in ("\\\\", "\\cr"):
                break
            self.advance()
            if self.next == "[":
                self.size("[", "]")
        if self.next not in ("\\end", "}"):
            raise _Refused
        if name in ("cases", "picture"):
            columns = ["l", "l"]
        elif name == "aligned":
            columns = ["rl"[n % 2] for n in range(max(widths))]
        elif name not in ("array", "tabular"):
            columns = ["l"] * widths[0]
        out[start:start] = ["\\begin{array}", "{", *columns, "}"]
        if out[-1] == "\\\\":
            out.pop()
        out.append("\\end{array}")
        if right:
            out.append(f"\\right{right}")

    def row(self, *, empty_group: bool) -> int:
        """One row, printed with its `\\\\` unless all its cells are empty; its number of cells.

        With `empty_group` every second cell starts with `{ }`, as `aligned` has it.
        """
        out = self.out
        start = len(out)
        cells, filled = 0, False
        while True:
            place = len(out)
            out.append("{")
            if empty_group and cells % 2:
                out += ["{", "}"]
            self.expression()
            out.append("}")
            cells += 1
            if len(out) == place + 2:
                del out[place:]
            else:
                filled = True
            if self.next != "&":
                break
            out.append("&")
            self.advance()
        if filled:
            out.append("\\\\")
        else:
            del out[start:]
        return cells


def _grouped(words: list[str]) -> list[str]:
    """One side of `\\over` in braces, unless it is one group already."""
    if words and words[0] == "{":
        depth = 0
        for place, word in enumerate(words):
            depth += (word == "{") - (word == "}")
            if depth == 0:
                if place == len(words) - 1:
                    return words
                break
    return ["{", *words, "}"]


def _operator(word: str, *, limits: bool) -> list[str]:
    """A named operator such as `\\max`, letter by letter."""
    return ["\\operatorname*" if limits else "\\operatorname", "{", *word[1:], "}"]


def _with_named_operators(printed: list[str]) -> list[str]:
    """`\\operatorname { s i n }` is `\\sin` again, whoever wrote it."""
    place = 0
    while True:
        try:
            place = printed.index("\\operatorname", place) + 1
        except ValueError:
            return printed
        if printed[place : place + 1] == ["{"]:
            end = printed.index("}", place)
            name = "".join(printed[place + 1 : end])
            if name in _NAMED_OPERATORS:
                printed[place - 1 : end + 1] = ["\\" + name]

r"""What the normal form knows of commands: how they are spelled, what arguments they take.

A command that stands in none of these tables is unknown: it and the groups after it are left as
they are. The facts are those of TeX, LaTeX, amsmath and amssymb, as the engine draws them.
"""

from __future__ import annotations


def _words(names: str) -> list[str]:
    return names.split()


def commands(names: str) -> frozenset[str]:
    """Commands by their names, separated by spaces."""
    return frozenset("\\" + name for name in names.split())


def _pairs(words: str) -> dict[str, str]:
    """Every second word by the word before it."""
    single = iter(words.split())
    return dict(zip(single, single, strict=True))


# Ordinary symbols (TeX's class Ord): braces around one of them leave no trace in the picture.
ORDINARY: frozenset[str] = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./|@"
) | commands(
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa varkappa "
    "lambda mu nu xi omicron pi varpi rho varrho sigma varsigma tau upsilon phi varphi chi "
    "psi omega digamma Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega "
    "varGamma varDelta varTheta varLambda varXi varPi varSigma varUpsilon varPhi varPsi "
    "varOmega aleph beth gimel daleth eth ell hbar hslash imath jmath wp Re Im infty "
    "emptyset varnothing Bbbk partial nabla forall exists nexists neg angle measuredangle "
    "sphericalangle top bot prime backprime sharp flat natural clubsuit diamondsuit "
    "heartsuit spadesuit triangle triangledown square Box Diamond lozenge blacklozenge "
    "blacksquare blacktriangle blacktriangledown bigstar circledR circledS complement "
    "checkmark maltese mho backslash yen Finv Game diagup diagdown vdots |"
)

# Relations (class Rel), arrows among them.
RELATIONS: frozenset[str] = frozenset("=<>") | commands(
    "approx approxeq asymp backepsilon backsim backsimeq because between blacktriangleleft "
    "blacktriangleright bowtie bumpeq Bumpeq circeq cong curlyeqprec curlyeqsucc dashv doteq "
    "Doteq eqcirc eqsim eqslantgtr eqslantless equiv fallingdotseq frown geq geqq geqslant "
    "gg ggg gnapprox gneq gneqq gnsim gtrapprox gtreqless gtreqqless gtrless gtrsim "
    "gvertneqq in Join leq leqq leqslant lessapprox lesseqgtr lesseqqgtr lessgtr lesssim ll "
    "lll lnapprox lneq lneqq lnsim lvertneqq mid models multimap ncong neq ngeq ngeqq "
    "ngeqslant ngtr ni nleq nleqq nleqslant nless nmid notin nparallel nprec npreceq "
    "nshortmid nshortparallel nsim nsubseteq nsubseteqq nsucc nsucceq nsupseteq nsupseteqq "
    "ntriangleleft ntrianglelefteq ntriangleright ntrianglerighteq nvdash nvDash nVdash "
    "nVDash parallel perp pitchfork prec precapprox preccurlyeq preceq precnapprox precneqq "
    "precnsim precsim propto risingdotseq shortmid shortparallel sim simeq smallfrown "
    "smallsmile smile sqsubset sqsubseteq sqsupset sqsupseteq subset Subset subseteq "
    "subseteqq subsetneq subsetneqq succ succapprox succcurlyeq succeq succnapprox succneqq "
    "succnsim succsim supset Supset supseteq supseteqq supsetneq supsetneqq therefore "
    "thickapprox thicksim triangleq trianglelefteq trianglerighteq varpropto varsubsetneq "
    "varsubsetneqq varsupsetneq varsupsetneqq vartriangle vartriangleleft vartriangleright "
    "vdash vDash Vdash Vvdash circlearrowleft circlearrowright curvearrowleft "
    "curvearrowright dashleftarrow dashrightarrow downarrow Downarrow downdownarrows "
    "downharpoonleft downharpoonright hookleftarrow hookrightarrow leadsto leftarrow "
    "Leftarrow leftarrowtail leftharpoondown leftharpoonup leftleftarrows leftrightarrow "
    "Leftrightarrow leftrightarrows leftrightharpoons leftrightsquigarrow Lleftarrow "
    "longleftarrow Longleftarrow longleftrightarrow Longleftrightarrow longmapsto "
    "longrightarrow Longrightarrow looparrowleft looparrowright Lsh mapsto nearrow "
    "nLeftarrow nLeftrightarrow nleftarrow nleftrightarrow nRightarrow nrightarrow nwarrow "
    "rightarrow Rightarrow rightarrowtail rightharpoondown rightharpoonup rightleftarrows "
    "rightleftharpoons rightrightarrows rightsquigarrow Rrightarrow Rsh searrow swarrow "
    "twoheadleftarrow twoheadrightarrow uparrow Uparrow updownarrow Updownarrow "
    "upharpoonleft upharpoonright upuparrows"
)

# Binary operators (class Bin).
BINARIES: frozenset[str] = frozenset("+-*") | commands(
    "amalg barwedge bigcirc bigtriangledown bigtriangleup boxdot boxminus boxplus "
    "boxtimes bullet cap Cap cdot centerdot circ circledast circledcirc circleddash cup "
    "Cup curlyvee curlywedge dagger ddagger diamond div divideontimes dotplus "
    "doublebarwedge gtrdot intercal lessdot lhd ltimes leftthreetimes mp odot ominus "
    "oplus oslash otimes pm rhd rightthreetimes rtimes setminus smallsetminus sqcap "
    "sqcup star times triangleleft triangleright unlhd unrhd uplus vee veebar wedge wr"
)

LARGE_OPERATORS: frozenset[str] = commands(
    "sum prod coprod int iint iiint iiiint oint oiint oiiint intop ointop smallint bigcap "
    "bigcup biguplus bigsqcup bigvee bigwedge bigodot bigoplus bigotimes idotsint"
)
NAMED_OPERATORS: frozenset[str] = commands(
    "arccos arcsin arctan arctg arcctg arg ch cos cosec cosh cot cotg coth csc ctg cth deg "
    "det dim exp gcd hom inf injlim ker lg lim liminf limsup ln log max min Pr projlim sec "
    "sh sin sinh sup tan tanh tg th varinjlim varliminf varlimsup varprojlim argmax argmin"
)

# All commands and characters without arguments that draw one atom of another class than Ord.
SYMBOLS: frozenset[str] = (
    RELATIONS
    | BINARIES
    | LARGE_OPERATORS
    | NAMED_OPERATORS
    | frozenset('()[]!?,;:`"')
    | commands(
        # delimiters, punctuation, dots, relations that come with their own space
        "bmod { } langle rangle lceil rceil lfloor rfloor lgroup rgroup lmoustache rmoustache lvert "
        "rvert lVert rVert ulcorner urcorner llcorner lrcorner llbracket rrbracket colon cdotp "
        "ldotp cdots ddots dots dotsb dotsc dotsi dotsm dotso iddots ldots iff implies "
        "impliedby "
        # ordinary ones that come as a group or as text
        "surd pounds mathsterling degree P S copyright mathsection mathparagraph mathdollar # $ "
        "% & _"
    )
)

# Commands that draw no atom: spaces, and switches that hold to the end of their group.
SPACES: frozenset[str] = frozenset(["~", "\\ "]) | commands(
    ", : ; ! quad qquad enspace enskip negmedspace negthickspace"
)
SWITCHES: frozenset[str] = commands(
    "displaystyle textstyle scriptstyle scriptscriptstyle rm bf it sf tt cal mit sl "
    "hline hdashline nobreak allowbreak relax mathstrut"
)
# Space that stretches to the edge of its cell, unless braces prevent that.
GLUE: frozenset[str] = commands("hfill hfil hss hfilneg dotfill hrulefill")
DROPPED: frozenset[str] = commands("nonumber notag")

# One spelling for commands that draw the same.
SYNONYMS: dict[str, str] = _pairs(
    r"""
    \ne \neq  \le \leq  \ge \geq  \to \rightarrow  \gets \leftarrow  \owns \ni  \land \wedge
    \lor \vee  \lnot \neg  \lbrace \{  \rbrace \}  \lbrack [  \rbrack ]  \lparen (  \rparen )
    \vert |  \Vert \|  \lt <  \gt >  \ast *  \doublecap \Cap  \doublecup \Cup  \doteqdot \Doteq
    \gggtr \ggg  \llless \lll  \restriction \upharpoonright  \thinspace \,  \negthinspace \!
    \medspace \:  \> \:  \thickspace \;  \Bbb \mathbb  \bold \mathbf  \frak \mathfrak
    \bm \boldsymbol  \hbox \mbox  \nobreakspace ~
    """
) | {"\\ ": "~"}
# Arrows between two thick spaces, and the command that is defined as that.
SPACED_ARROWS: dict[str, str] = _pairs(
    r"\Longrightarrow \implies  \Longleftarrow \impliedby  \Longleftrightarrow \iff"
)
# Characters beyond ASCII, each with its command. A font command may draw the two differently.
UNICODE: dict[str, str] = {
    pair[0]: pair[1:] if pair[1:] in ("-", "*", "~") else "\\" + pair[1:]
    for pair in _words(
        "αalpha βbeta γgamma δdelta ϵepsilon εvarepsilon ζzeta ηeta θtheta ϑvartheta ιiota κkappa "
        "λlambda μmu νnu ξxi πpi ϖvarpi ρrho ϱvarrho σsigma ςvarsigma τtau υupsilon ϕphi φvarphi "
        "χchi ψpsi ωomega ΓGamma ΔDelta ΘTheta ΛLambda ΞXi ΠPi ΣSigma ΥUpsilon ΦPhi ΨPsi ΩOmega "
        "ℵaleph ∀forall ∃exists ∇nabla ℏhbar ℓell ℘wp ℜRe ℑIm ∞infty ∅emptyset ∠angle ¬neg ♯sharp "
        "♭flat ♮natural ⋮vdots …ldots ⋯cdots ⋱ddots ∫int ∮oint −- ∗* ±pm ∓mp ×times ÷div ⋅cdot ∘circ "
        "∙bullet ⋆star ∩cap ∪cup ∖setminus ∧wedge ∨vee ⊕oplus ⊖ominus ⊗otimes ⊘oslash ⊙odot ⊎uplus "
        "⊓sqcap ⊔sqcup ≀wr ≤leq ≥geq ≠neq ≡equiv ∼sim ≃simeq ≈approx ≅cong ≐doteq ∝propto ≪ll ≫gg "
        "≺prec ≻succ ⪯preceq ⪰succeq ≍asymp ⊂subset ⊃supset ⊆subseteq ⊇supseteq ⊏sqsubset ⊑sqsubseteq "
        "⊒sqsupseteq ∈in ∋ni ∉notin ∣mid ∥parallel ⊢vdash ⊣dashv ⊨vDash ⌢frown ⌣smile ⋈bowtie "
        "⩽leqslant ⩾geqslant ≲lesssim ≳gtrsim ≜triangleq ∴therefore ∵because ⊊subsetneq ⊋supsetneq "
        "←leftarrow →rightarrow ↔leftrightarrow ⇐Leftarrow ⇒Rightarrow ⇔Leftrightarrow "
        "⟵longleftarrow ⟶longrightarrow ⟷longleftrightarrow ⟸Longleftarrow ⟹Longrightarrow "
        "⟺Longleftrightarrow ↦mapsto ⟼longmapsto ↩hookleftarrow ↪hookrightarrow ↑uparrow ↓downarrow "
        "↕updownarrow ⇑Uparrow ⇓Downarrow ⇕Updownarrow ↗nearrow ↘searrow ↙swarrow ↖nwarrow "
        "↼leftharpoonup ↽leftharpoondown ⇀rightharpoonup ⇁rightharpoondown ⟨langle ⟩rangle ⌊lfloor "
        "⌋rfloor ⌈lceil ⌉rceil ‖|"
    )
}

# After \left, \right, \middle and \big and its kin, these draw the same too.
DELIMITERS: dict[str, str] = _pairs(
    r"< \langle  > \rangle  \lvert |  \rvert |  \lVert \|  \rVert \|"
)
SIZED_DELIMITERS: frozenset[str] = frozenset(
    f"\\{size}{side}" for size in ("big", "Big", "bigg", "Bigg") for side in ("", "l", "r", "m")
)

# The old font switches and the commands with an argument that do the same to a group.
FONT_SWITCHES: dict[str, str] = _pairs(
    r"\rm \mathrm  \bf \mathbf  \it \mathit  \sf \mathsf  \tt \mathtt  \cal \mathcal"
)
# Switches that change what follows in the same group, across an infix command too.
DECLARATIONS: frozenset[str] = frozenset(FONT_SWITCHES) | commands(
    "displaystyle textstyle scriptstyle scriptscriptstyle mit sl color"
)
INFIX: dict[str, str] = _pairs(r"\over \frac  \choose \binom")
OTHER_INFIX: frozenset[str] = commands("atop brace brack")

_FONTS = "mathrm mathbf mathit mathsf mathtt mathcal mathscr mathfrak mathbb mathnormal mathsfit"
_ACCENTS = (
    "hat bar tilde vec dot ddot dddot ddddot acute grave breve check mathring widehat widetilde "
    "widecheck overline underline overrightarrow overleftarrow overleftrightarrow "
    "underrightarrow underleftarrow underleftrightarrow"
)
FONTS: frozenset[str] = commands(_FONTS + " boldsymbol")
ACCENTS: frozenset[str] = commands(_ACCENTS)
# Commands that make an Ord box of their own, as braces do. (`\boldsymbol{=}` is a relation.)
BOXES: frozenset[str] = commands(f"{_FONTS} {_ACCENTS} frac dfrac tfrac sqrt binom dbinom tbinom")
# Commands that draw no atom and have a length or a colour as their argument.
BARE_LENGTHS: frozenset[str] = commands("kern mkern hskip mskip")
NO_ATOMS: frozenset[str] = commands("color hspace hspace* mspace") | BARE_LENGTHS
# Commands with arguments, one letter each: a formula, k formula whose braces matter, o
# formula in brackets (optional), r tokens left alone, t one token that the tokeniser keeps whole.
SIGNATURES: dict[str, str] = {
    **dict.fromkeys(NO_ATOMS, "t"),
    **{
        f"\\{name}": letters
        for letters, names in (
            (
                "a",
                f"{_FONTS} {_ACCENTS} overbrace underbrace overbracket underbracket boxed substack",
            ),
            ("a", "pmod pod mathrel mathbin mathord mathopen mathclose mathpunct mathinner"),
            ("a", "operatorname operatorname* operatornamewithlimits"),
            ("k", "boldsymbol phantom hphantom vphantom cancel bcancel xcancel pmb"),
            ("k", "mathop mathllap mathrlap mathclap"),
            ("aa", "frac dfrac tfrac binom dbinom tbinom"),
            ("ak", "overset underset stackrel"),
            ("oa", "sqrt xrightarrow xleftarrow xRightarrow xLeftarrow xleftrightarrow xmapsto"),
            ("ok", "smash"),
            ("oaa", "cfrac"),
            ("tk", "textcolor mathcolor"),
            ("rra", "multicolumn"),
            ("rrrraa", "genfrac"),
            ("aaaa", "mathchoice"),
        )
        for name in names.split()
    },
}
# Commands that make an operator of letters.
OPERATORS: frozenset[str] = commands("mathop operatorname operatorname*")
# Operators that KaTeX knows and LaTeX does not, as what they are.
OPERATORS_OF_KATEX: dict[str, list[str]] = {
    f"\\{name}": ["\\operatorname", "{", *name, "}"]
    for name in _words("arctg arcctg ch cosec cotg ctg cth sh tg th")
}
# What `\operatorname` may be given that has a command of its own; with the star, one with limits.
OPERATOR_NAMES: dict[str, list[str]] = {
    "\\operatorname": _words(
        "arccos arcsin arctan arg cos cosh cot coth csc deg dim exp hom ker lg ln log sec sin "
        "sinh tan tanh"
    ),
    "\\operatorname*": _words("det gcd inf lim max min Pr sup"),
}

# Environments whose cells are formulas, and how many arguments they begin with. In the first kind
# a cell stands alone; in the second its atoms are spaced against those of the cell before.
CELLS: dict[str, int] = {
    **dict.fromkeys(_words("array darray subarray"), 1),
    **dict.fromkeys(_words("matrix pmatrix bmatrix Bmatrix vmatrix Vmatrix smallmatrix"), 0),
    **dict.fromkeys(_words("cases dcases rcases drcases"), 0),
}
ALIGNED_CELLS: dict[str, int] = {
    **dict.fromkeys(_words("aligned split align align* eqnarray eqnarray*"), 0),
    **dict.fromkeys(_words("gathered gather gather* multline multline*"), 0),
    **dict.fromkeys(_words("alignedat alignat alignat*"), 1),
}
# Environments that may begin with a position in brackets, `[t]`.
POSITIONED = frozenset(_words("array darray aligned gathered alignedat"))
# Environments of a whole display, and the one that draws the same inside a formula: if there is
# one pair of columns at most, for align spreads more of them over the line.
DISPLAYS: dict[str, str] = _pairs(
    "split aligned  align aligned  align* aligned  gather gathered  gather* gathered"
)

# A formula that defines commands is left alone: its tokens need not mean what they say.
DEFINITIONS: frozenset[str] = commands(
    "def edef gdef xdef let futurelet newcommand renewcommand providecommand global long "
    "DeclareMathOperator newenvironment renewenvironment catcode csname expandafter noexpand "
    "begingroup endgroup bgroup egroup makeatletter require verb char buildrel"
)

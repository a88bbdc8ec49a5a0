"""Random formulas, spelled in every way that people and models spell them."""

from __future__ import annotations

from hypothesis import strategies as st

ORDINARY = [*"abfgxyABVT019", r"\alpha", r"\Gamma", r"\infty", r"\partial", r"\ell", "|", "/", "."]
OTHERS = [
    *"+-=<>()[],;:!*",
    r"\le", r"\neq", r"\to", r"\in", r"\cdot", r"\times", r"\land", r"\sum", r"\int", r"\prod",
    r"\lim", r"\sin", r"\ldots", r"\cdots", r"\dots", r"\mid", r"\colon", r"\{", r"\rbrace", r"\|",
    r"\vert", r"\not=", r"\not\in", r"\dag", r"\iff", r"\;\Longrightarrow\;", r"\langle", r"\bmod",
    r"\operatorname{sin}", r"\operatorname{Hom}", r"\operatorname*{co lim}",
    r"\mathop{\mathrm{Hom}}\nolimits", r"\mathop{x}", r"\mathrel{+}", "≤", "α",
    "×", "∫",
]  # fmt: skip
SPACES = [r"\,", r"\;", r"\!", r"\ ", "~", r"\quad", r"\hspace{1em}", r"\kern 2pt", " ", "{}"]
FONTS = [r"\mathrm", r"\mathbf", r"\mathit", r"\mathcal", r"\mathbb", r"\mathsf", r"\boldsymbol"]
SWITCHES = [r"\rm", r"\bf", r"\it", r"\cal", r"\sf", r"\displaystyle", r"\textstyle"]
ACCENTS = [r"\hat", r"\bar", r"\vec", r"\tilde", r"\dot", r"\overline", r"\widehat", r"\underline"]
DELIMITERS = ["(", ")", "[", r"\lbrace", r"\}", "<", r"\rangle", r"\lvert", r"\|", "."]
ENVIRONMENTS = [
    (r"\begin{array}{cc}", r"\end{array}"),
    (r"\begin{array}{r|l}", r"\end{array}"),
    (r"\begin{matrix}", r"\end{matrix}"),
    (r"\begin{pmatrix}", r"\end{pmatrix}"),
    (r"\begin{cases}", r"\end{cases}"),
    (r"\begin{aligned}", r"\end{aligned}"),
    (r"\begin{split}", r"\end{split}"),
    (r"\begin{smallmatrix}", r"\end{smallmatrix}"),
]


def _joined(parts: st.SearchStrategy[str], most: int = 4) -> st.SearchStrategy[str]:
    return st.lists(parts, min_size=1, max_size=most).map(" ".join)


def _composites(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    content = _joined(inner)
    group = content.map("{{{}}}".format)
    argument = st.one_of(group, group, st.sampled_from(["x", "2", r"\beta"]))
    script = st.one_of(group, group, st.sampled_from(["n", "1", r"\infty", "*", r"\dag"]))
    mark = st.one_of(
        st.builds("_{}".format, script),
        st.builds("^{}".format, script),
        st.builds("_{} ^{}".format, script, script),
        st.builds("^{} _{}".format, script, script),
        st.sampled_from(["'", "''", "'^2", "_1'"]),
    )
    cell = st.one_of(content, group, st.just(""))
    return st.one_of(
        group,
        group.map("{{{}}}".format),
        st.builds("{}{}".format, inner, mark),
        st.builds("{}{}".format, inner, mark),
        st.builds(r"\frac {} {}".format, argument, argument),
        st.builds(r"{{{} \over {}}}".format, content, content),
        st.builds(r"{{{} \choose {}}}".format, content, content),
        st.builds(r"{{{} \atop {}}}".format, content, content),
        st.builds(r"\binom {} {}".format, argument, argument),
        st.builds(r"\sqrt {}".format, argument),
        st.builds(r"\sqrt[{}] {}".format, st.sampled_from(["3", "n", "{a}"]), argument),
        st.builds("{} {}".format, st.sampled_from(FONTS), argument),
        st.builds("{{{} {}}}".format, st.sampled_from(SWITCHES), content),
        st.builds("{} {}".format, st.sampled_from(ACCENTS), argument),
        st.builds(
            r"\left{} {} \right{}".format,
            st.sampled_from(DELIMITERS),
            content,
            st.sampled_from(DELIMITERS),
        ),
        st.builds("{}{}".format, st.sampled_from([r"\big", r"\Bigl"]), st.sampled_from(DELIMITERS)),
        st.builds(
            "{0[0]} {1} & {2} \\\\ {3} {4} {0[1]}".format,
            st.sampled_from(ENVIRONMENTS),
            cell,
            cell,
            cell,
            st.sampled_from(["", r"\\"]),
        ),
        st.builds(
            r"\text{{{}}}".format, st.sampled_from(["if  x", " and ", "a $x_1$ b", "%d"[1:]])
        ),
        st.builds(r"\sum\limits {}".format, mark),
        st.builds(r"\stackrel {} {}".format, argument, st.sampled_from(["=", "{=}", r"\to", "b"])),
        st.builds(r"\overset {} {}".format, argument, argument),
        st.builds(r"{{\color{{red}} {}}}".format, content),
        st.builds(r"\textcolor{{blue}} {}".format, group),
        st.builds(r"\phantom {}".format, group),
        st.builds(r"\underbrace {} _ {}".format, group, script),
        st.builds(r"\mathop {} \limits _ {}".format, group, script),
    )


# One formula as a person or a model may write it; most are valid, not all.
formulas = _joined(
    st.recursive(
        st.one_of(
            st.sampled_from(ORDINARY),
            st.sampled_from(ORDINARY),
            st.sampled_from(OTHERS),
            st.sampled_from(SPACES),
        ),
        _composites,
        max_leaves=12,
    ),
    most=6,
)
# Anything at all, with the characters that LaTeX cares about more often than chance has it.
texts = st.lists(
    st.one_of(
        st.text(max_size=3),
        st.sampled_from(
            [*"\\{}[]$%&_^'# ~\n\t", "\\\\", "\\text{", "\\begin{array}", "\\left(", "\\hspace{"]
        ),
        formulas,
    ),
    max_size=12,
).map("".join)

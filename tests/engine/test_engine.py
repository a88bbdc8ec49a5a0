"""The engine: what it accepts, what it refuses, and that nothing breaks it."""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path

import pytest

from texlens.engine import Drawing, Failure, fonts, get_engine, v8
from texlens.engine.limits import MAX_CHARACTERS, MAX_GLYPHS, MAX_NESTING, nesting
from texlens.engine.v8 import V8
from texlens.errors import InputError
from texlens.workers import get_pool

HOSTILE = {
    "1 MB": "x+" * 500_000,
    "braces": "{" * 10_000 + "x" + "}" * 10_000,
    "fewer braces": "{" * 9_000 + "}" * 9_000,
    "fractions": r"\frac{1}{" * 1_500 + "x" + "}" * 1_500,
    "scripts": "x^{" * 3_000 + "x" + "}" * 3_000,
    "delimiters": r"\left(" * 1_400 + r"\right)" * 1_400,
    "doubling": r"\def\a{\a\a}\a",
    "doubling 30 times": r"\def\a#1{#1#1}" + r"\a{" * 30 + "x" + "}" * 30,
    "growing argument": r"\newcommand{\x}[1]{\x{#1#1}}\x{aaaaaaaaaaaa}",
    "edef": r"\edef\x{\x}\x",
    "a million columns": r"\begin{array}{*{1000}{*{1000}{*{1000}{c}}}}x\end{array}",
    "slow chemistry": r"\ce{" + "->" * 3_000 + "}",
    "dollars": "$" * 5_000,
    "NUL": "a\0b",
    "surrogate": "a\ud800b",
    "right to left": "a\u202eb",
    "input": r"\input{/etc/passwd}",
    "write18": r"\write18{ls}",
    "picture": r"\includegraphics{/etc/passwd}",
    "href": r"\href{javascript:alert(1)}{x}",
    "rule": r"\rule{100000em}{100000em}",
    "infinite": r"\kern999999999999999999em x\hspace{1e300em}",
    "markup": r"</script><script>alert(1)</script>",
    "require": r"\require{html}\style{x}{y}",
    "attributes": r'\mmlToken{mi}[style="background:url(javascript:alert(1))" href="javascript:1"]{x}',
    "enclosure": r'\enclose{circle}[mathcolor="red" onload="alert(1)"]{x}',
    "colour": r"\color{url(http://example.org/a.svg#b)}x",
    "prototype": r"\begin{__proto__}x\end{__proto__}\constructor\__proto__",
}


def test_the_bundle_is_the_one_its_provenance_names() -> None:
    folder = resources.files("texlens.engine").joinpath("js")
    provenance = json.loads(folder.joinpath("provenance.json").read_text("utf-8"))
    bundle = folder.joinpath("engine.js").read_bytes()
    assert hashlib.sha256(bundle).hexdigest() == provenance["sha256"]
    assert len(bundle) < 4_000_000
    signature = get_engine().signature
    assert provenance["packages"]["katex"] in signature
    assert provenance["packages"]["@mathjax/src"] in signature


def test_validity_and_position() -> None:
    engine = get_engine()
    fine, broken, unknown = engine.parse([r"\frac{a}{b}", r"x + \frac{a", r"\nonsense"])
    assert fine is None
    assert isinstance(broken, Failure)
    assert (broken.position, broken.kind) == (11, "parse")
    assert isinstance(unknown, Failure)
    assert "nonsense" in unknown.message
    assert isinstance(engine.draw([r"\nonsense"])[0], Failure)


def test_tree_and_mathml() -> None:
    engine = get_engine()
    (node,) = engine.tree(["x^2"])[0]
    assert node["type"] == "supsub"
    assert node["sup"]["loc"] == [2, 3]
    assert "<msup>" in str(engine.mathml(["x^2"])[0])
    assert "<mn>123</mn>" in str(engine.mathml(["123"])[0])
    assert 'display="block"' not in str(engine.mathml(["x"], display=False)[0])
    display, text = (engine.draw([r"\sum_i^n"], display=style)[0] for style in (True, False))
    assert isinstance(display, Drawing)
    assert isinstance(text, Drawing)
    assert display.height > text.height


# Commands that one of MathJax and KaTeX lacks, or that packages add.
WRITTEN = [
    r"\bm{x}", r"\mathbbm{1}\mathds{R}", r"\ensuremath{x}", r"\textsc{abc}", r"\hdots \dag \ddag \pounds",
    r"\begin{array}{cc} \multicolumn{2}{c}{a} \cr b & c \end{array}", r"\scalebox{0.8}{$x$}",
    r"\raisebox{1ex}{$x$}", r"\mbox{tr}\hbox{a}\fbox{b}\makebox{c}", r"\label{eq:a_b}x\nonumber",
    r"\operatorname*{arg\,max}_x", r"\sideset{_a}{^b}\sum", r"{\rm a \bf b \it c \cal D \sl e \mit f}",
    r"\lefteqn{x} \protect \null \mathstrut \hspace{1cm} \hspace*{1em} \vspace{1ex}", r"\textsuperscript{2}",
    r"x \sp 2 \sb 3", r"\llbracket x \rrbracket \lang x \rang", r"\R \N \argmax_x \infin \Alpha",
    r"\ce{H2O}", r"\slashed{p}", r"\L \o \ae \text{\ss \c{c}}", r"a \* b \hfill", r"\prescript{a}{b}{X}",
    r"\cancel{x} \xcancel{y} \boxed{z} \tag{1}", r"\xleftarrow[a]{b} \xrightleftharpoons{c}",
    r"\begin{cases} a & b \end{cases} \begin{dcases} c \end{dcases}", r"\gdef\mine{x} \mine \mine",
    r"E @ 3", r"\href{https://example.org}{x}", r"\smash{x} \phantom{y} \mathchoice{a}{b}{c}{d}",
]  # fmt: skip


@pytest.mark.parametrize("formula", WRITTEN)
def test_what_people_write_is_valid_and_drawn(formula: str) -> None:
    engine = get_engine()
    assert engine.parse([formula]) == [None]
    assert isinstance(engine.draw([formula])[0], Drawing)


@pytest.mark.parametrize("formula", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_input_ends_no_worker_and_runs_nothing(formula: str) -> None:
    engine = get_engine()
    before = engine.draw([r"\frac{x}{y}"])
    workers = get_pool().pids
    for call in (engine.parse, engine.tree, engine.draw, engine.svg, engine.mathml):
        result = call([formula])[0]  # type: ignore[operator]
        assert not (isinstance(result, Failure) and result.kind == "fault")
        text = result[0] if isinstance(result, tuple) else result
        if isinstance(text, str) and text.startswith("<"):
            for danger in ("javascript:", "<script", "onload", "url(", " style=", "href="):
                assert danger not in text
    assert engine.draw([r"\frac{x}{y}"]) == before
    assert get_pool().pids == workers


OVER_LIMITS = {
    "x" * (MAX_CHARACTERS + 1): f"has {MAX_CHARACTERS + 1} characters",
    "x" * (MAX_GLYPHS + 1): f"has {MAX_GLYPHS + 1} glyphs",
    r"\sqrt{" * (MAX_NESTING + 1) + "x" + "}" * (MAX_NESTING + 1): "is nested 101 deep",
    r"\color{red}" * MAX_NESTING + "x": "is nested 101 deep",
    HOSTILE["doubling"]: "macro substitution",
    HOSTILE["growing argument"]: "buffer size",
}


@pytest.mark.parametrize(("formula", "reason"), OVER_LIMITS.items(), ids=OVER_LIMITS.values())
def test_over_a_limit_is_no_fault_and_says_which(formula: str, reason: str) -> None:
    (result,) = get_engine().draw([formula])
    assert isinstance(result, Failure)
    assert result.kind == "limit"
    assert reason in result.message


def test_what_is_at_the_limits_is_drawn() -> None:
    deepest = r"\begin{array}{c}" * (MAX_NESTING - 1) + "x" + r"\end{array}" * (MAX_NESTING - 1)
    colours = "".join(f"\\mathcolor{{#{i:06x}}}{{x}} " for i in range(MAX_GLYPHS))
    for formula in ("x" * MAX_GLYPHS, deepest, colours):
        assert isinstance(get_engine().draw([formula])[0], Drawing)


def test_nesting_counts_groups_and_switches() -> None:
    many = r"\alpha{}" * MAX_NESTING
    assert nesting("{{x}{y}}" + many) == 2
    assert nesting(r"\left(\begin{matrix}{x}\end{matrix}\right)" + many) == 3
    assert nesting(r"{\rm a \it b} \bf c" + many) == 3
    assert nesting(r"{\rm a & \it b \\ \bf c}" + many) == 2
    assert nesting(r"\{\{\{ \leftarrow \beginning \colorbox" + many) == 1
    assert nesting("}}}{x" + many) == 2


def test_only_the_guilty_formula_of_a_batch_fails() -> None:
    batch = ["a", "x" * (MAX_CHARACTERS + 1), "b", HOSTILE["fewer braces"], *["c"] * 70]
    results = get_engine().draw(batch)
    assert [n for n, result in enumerate(results) if isinstance(result, Failure)] == [1, 3]


def test_a_formula_that_eats_memory_is_a_fault_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v8, "MEMORY_BYTES", 20 * 2**20)
    small = V8("tex")
    answers = small.call("draw", ["a", "x+" * 9_900, "b"], True)
    assert [answer[0] for answer in answers] == [0, v8.FAULT, 0]
    assert answers[1][1] == "took more than 20 MB of memory"


def test_a_formula_that_hangs_is_a_fault_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = V8("tex")
    engine.call("parse", ["a"])
    monkeypatch.setattr(v8, "HANG_SECONDS", 1.0)
    answers = engine.call("draw", ["a", r"\ce{" + "->" * 20_000 + "}", "b"], True)
    assert [answer[0] for answer in answers] == [0, v8.FAULT, 0]


DEFINITIONS = {
    r"\def\mine{x}\mine": r"\mine",
    r"\newcommand{\mine}{y}\mine": r"\mine",
    r"\let\alpha=\beta \alpha": r"\alpha",
    r"\DeclareMathOperator{\mine}{op}\mine": r"\mine x",
    r"\DeclarePairedDelimiter{\mine}{\|}{\|}\mine{x}": r"\mine{x}",
    r"\newenvironment{mine}{a}{b}\begin{mine}x\end{mine}": r"\begin{mine}x\end{mine}",
    r"\newcolumntype{x}{cc}\begin{array}{x}1&2\end{array}": r"\begin{array}{x}1&2\end{array}",
    r"\definecolor{red}{rgb}{0,0,1}\color{red}x": r"\color{red}x",
    r"\mathtoolsset{centercolon=true}:=": r":=",
}


@pytest.mark.parametrize(("defines", "uses"), DEFINITIONS.items())
def test_definitions_do_not_reach_the_next_formula(defines: str, uses: str) -> None:
    engine = get_engine()
    before = engine.draw([uses])
    assert isinstance(engine.draw([defines])[0], Drawing)
    assert engine.draw([uses]) == before


def test_definitions_do_not_reach_the_next_formula_in_katex() -> None:
    engine = get_engine()
    assert engine.parse([r"\gdef\mine{z}\mine"]) == [None]
    assert isinstance(engine.parse([r"\mine"])[0], Failure)


def test_batches_keep_their_order() -> None:
    drawn = get_engine().draw([f"x_{{{n}}}" for n in range(150)])
    for n, drawing in enumerate(drawn):
        assert isinstance(drawing, Drawing)
        assert "".join(box.char for box in drawing.boxes) == f"x{n}"


@pytest.mark.slow
def test_what_katex_accepts_of_real_formulas_can_be_drawn(shared_data: Path) -> None:
    import pyarrow.parquet as parquet

    table = parquet.read_table(shared_data / "im2latex_val.parquet", columns=["latex_formula"])
    formulas = table["latex_formula"].to_pylist()
    engine = get_engine()
    valid = [f for f, failure in zip(formulas, engine.parse(formulas), strict=True) if not failure]
    failures = [d for d in engine.draw(valid) if isinstance(d, Failure)]
    assert len(valid) >= 1_400
    assert len(failures) <= 2, failures


def test_a_font_that_is_not_there_is_one_sentence() -> None:
    assert fonts()[0] == "tex"
    with pytest.raises(InputError, match=r"no font 'nope': there is tex.*texlens-fonts"):
        get_engine("nope")


def test_every_font_that_is_there_draws_in_its_own_shapes() -> None:
    pictures = {get_engine(font).svg([r"\alpha + x"])[0][0] for font in fonts()}  # type: ignore[index]
    assert len(pictures) == len(fonts())

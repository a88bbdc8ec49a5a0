"""Formulas in other forms: accepted by those they are for, with every sign still there."""

from __future__ import annotations

import io
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

import pypdfium2
import pytest
import typst
from omml_grammar import faults

from texlens.engine import Drawing, get_engine
from texlens.errors import InputError
from texlens.export import convert
from texlens.export.omml import MATH, omml

PAGE = "#set page(width: auto, height: auto)\n"
# The same sign under the names that fonts and PDF give it.
SAME = str.maketrans(
    {"−": "-", "∆": "Δ", "Ω": "Ω", "µ": "μ", "ϵ": "ε", "ϕ": "φ", "ℏ": "ħ", "ı": "i", "ȷ": "j"}
)


def signs(characters: Iterable[str]) -> Counter[str]:
    """Letters, digits and the commonest operators; scripts, fonts and brackets do not matter."""
    plain = unicodedata.normalize("NFKD", "".join(characters)).translate(SAME)
    letters = [char for char in plain if char.isalnum() and unicodedata.category(char) != "Lm"]
    return Counter(letters + [char for char in plain if char in "+-=±×∑∏∫∞∂∇∈≤≥"])


def drawn_signs(formula: str) -> Counter[str]:
    (drawing,) = get_engine().draw([formula])
    assert isinstance(drawing, Drawing)
    return signs(box.char for box in drawing.boxes)


def typst_pdf(text: str) -> bytes:
    made = typst.compile((PAGE + text).encode())
    assert isinstance(made, bytes)
    return made


def test_typst_takes_all_and_keeps_every_sign(formulas: list[str]) -> None:
    assert len(formulas) == 200
    pages = "\n#pagebreak()\n".join(str(convert(formula, "typst")) for formula in formulas)
    document = pypdfium2.PdfDocument(typst_pdf(pages))
    assert len(document) == len(formulas)
    for formula, page in zip(formulas, document, strict=True):
        assert signs(page.get_textpage().get_text_range()) == drawn_signs(formula), formula


def test_word_equations_are_native_and_keep_every_sign(formulas: list[str]) -> None:
    for formula in formulas:
        equation = fromstring(omml(formula))
        assert faults(equation) == [], formula
        for parent in list(equation.iter()):
            for phantom in parent.findall(f"{{{MATH}}}phant"):
                parent.remove(phantom)
        texts = [text.text or "" for text in equation.iter(f"{{{MATH}}}t")]
        large = [sign.get(f"{{{MATH}}}val", "") for sign in equation.iter(f"{{{MATH}}}chr")]
        assert signs(texts + large) == drawn_signs(formula), formula


def test_a_word_document_opens_and_holds_its_equation(tmp_path: Path) -> None:
    import docx

    content = convert(r"\sum_{i=1}^n \frac{x_i}{2}", "docx")
    assert isinstance(content, bytes)
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        assert package.testzip() is None
    body = docx.Document(io.BytesIO(content)).element.body
    (equation,) = body.iter(f"{{{MATH}}}oMath")
    assert [child.tag for child in equation] == [f"{{{MATH}}}nary"]
    assert equation.getparent().tag == f"{{{MATH}}}oMathPara"


WRITTEN_IN_TYPST = {
    r"x = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}": "x = frac(- b plus.minus sqrt(b^2 - 4 a c), 2 a)",
    r"\operatorname{Hom}_R(M, N)": 'op("Hom")_R (M, N)',
    r"f''(x)": "f'' (x)",
    r"\left( \begin{matrix} a & b \\ c & d \end{matrix} \right)": 'mat(delim: "(", a, b; c, d)',
    r"\begin{aligned} a &= b \\ c &= d \end{aligned}": r"a & = b \ c & = d",
    r"|x| + \|y\|": "abs(x) + norm(y)",
    r"\frac{a,b}{[0, 1)}": r"frac(a\, b, \[ 0\, 1 \))",
    r"\mathbf{x} \in \mathbb{R}": "upright(bold(x)) in bb(R)",
    r"3\,\mathrm{km}": '3 thin"km"',
    r"\binom{n}{k}": "binom(n, k)",
}


@pytest.mark.parametrize(("latex", "expected"), WRITTEN_IN_TYPST.items())
def test_typst_is_what_a_person_would_write(latex: str, expected: str) -> None:
    assert convert(latex, "typst") == f"$ {expected} $"


def tags(latex: str) -> list[str]:
    """The elements that a formula's equation is made of, without texts and properties."""
    skipped = ("Pr", "}t", "}r", "}oMath", "}chr", "}pos", "}val")

    def walk(element: Element) -> Iterable[str]:
        if not element.tag.endswith(skipped):
            yield element.tag.replace(f"{{{MATH}}}", "")
        if not element.tag.endswith("Pr"):
            for child in element:
                yield from walk(child)

    return list(walk(fromstring(omml(latex))))


def test_word_gets_structure_not_signs() -> None:
    assert tags(r"\overline{A \cup B}") == ["bar", "e"]
    assert tags(r"\hat x") == ["acc", "e"]
    assert tags(r"\sin x + 1") == ["func", "fName", "e"]
    assert tags(r"\left( \frac ab \right]") == ["d", "e", "f", "num", "den"]
    assert tags(r"\begin{aligned} a &= b \\ c &= d \end{aligned}") == ["eqArr", "e", "e"]
    assert tags(r"\underbrace{a}_n") == ["limLow", "e", "groupChr", "e", "lim"]
    assert tags(r"A \xrightarrow{f} B") == ["limUpp", "e", "lim"]


def test_a_sum_in_word_reaches_to_the_next_sign() -> None:
    (nary, plus, _) = fromstring(omml(r"\sum_i (a+b) c + d"))
    argument = "".join(text.text or "" for text in nary[-1].iter(f"{{{MATH}}}t"))
    assert argument == "(a+b)c"
    assert plus[-1].text == "+"
    (alone,) = fromstring(omml(r"\int"))
    assert alone.tag == f"{{{MATH}}}r"  # no empty box to fill in


def test_colours_are_kept() -> None:
    assert convert(r"\color{orange} x", "typst") == '$ #text(fill: rgb("#ff8000"), $x$) $'
    assert '<w:color w:val="FF8000" />' in omml(r"\color{orange} x")
    assert convert(r"\color[rgb]{0.5,0,1} x", "typst") == '$ #text(fill: rgb("#7f00ff"), $x$) $'


def test_latex_forms_stand_in_a_document() -> None:
    assert convert("$$ x $$", "inline") == "$x$"
    assert convert("x % note", "inline") == "$x$"
    assert convert("x \\% y", "display") == r"\[ x \% y \]"
    lines = r"a &= b \\ c &= d"
    inner = rf"\begin{{aligned}} {lines} \end{{aligned}}"
    align = rf"\begin{{align*}} {lines} \end{{align*}}"
    assert convert(align, "display") == rf"\[ {inner} \]"
    assert convert(align, "inline") == f"${inner}$"
    tagged = r"\begin{align} a &= b \tag{1} \end{align}"  # aligned could not hold the tag
    assert convert(tagged, "display") == tagged
    assert convert("a\n\n\nb", "markdown") == "$$\na\nb\n$$"
    assert str(convert("x^2", "mathml")).startswith('<math xmlns="http://www.w3.org/1998/Math/')


@pytest.mark.parametrize("form", ["mathml", "typst", "docx"])
@pytest.mark.parametrize(
    "latex", [r"\nonsense", r"\frac{a", "", "   ", "x^{" * 2000 + "}" * 2000, "{" * 90_000]
)
def test_what_cannot_be_converted_is_one_sentence(latex: str, form: str) -> None:
    with pytest.raises(InputError) as caught:
        convert(latex, form)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.endswith(".")
    assert len(message) < 250


def test_an_unknown_format_names_the_known() -> None:
    with pytest.raises(InputError, match="typst"):
        convert("x", "pdf")


@pytest.mark.parametrize(
    "hostile",
    [
        r'\text{"); \#read("/etc/passwd")}',
        r"\text{\#import} \# import",
        r"\text{\$ \} \\ }",
        "x ` raw ` // /* */",
    ],
)
def test_no_text_of_a_formula_runs_in_typst(hostile: str) -> None:
    written = str(convert(hostile, "typst"))
    document = pypdfium2.PdfDocument(typst_pdf(written))
    assert len(document) == 1
    assert signs(document[0].get_textpage().get_text_range()) == drawn_signs(hostile)


@pytest.mark.slow
def test_real_formulas(shared_data: Path) -> None:
    import pyarrow.parquet as parquet

    table = parquet.read_table(shared_data / "im2latex_train.parquet", columns=["latex_formula"])
    formulas = [f for f in table["latex_formula"].to_pylist()[:1000] if _is_drawn(f)]
    typst_pdf("\n".join(str(convert(formula, "typst")) for formula in formulas))
    assert [f for f in formulas if faults(fromstring(omml(f)))] == []


def _is_drawn(formula: str) -> bool:
    return isinstance(get_engine().draw([formula])[0], Drawing)


@pytest.mark.parametrize("name", ["matrix", "cases"])
def test_what_is_nested_too_deeply_for_a_format_is_refused_in_a_sentence(name: str) -> None:
    formula = rf"\begin{{{name}}}" * 99 + "x" + rf"\end{{{name}}}" * 99
    with pytest.raises(InputError, match="nested too deeply"):
        convert(formula, "docx")

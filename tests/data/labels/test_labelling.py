"""The loop and its command, on pictures that are drawn as im2latex's were."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from texlens.cli.data_label import label as command
from texlens.data.labels.drawing import draw
from texlens.data.labels.glyphs import GlyphTable
from texlens.data.labels.labelling import Labelling, grey_picture, label
from texlens.data.labels.pages import formula_pages
from texlens.data.labels.proving import Case, Prover
from texlens.data.parquet import write_examples
from texlens.errors import InputError, TexlensError
from texlens.records import Example

FORMULAS = [
    r"x _ { 1 } ^ { 2 } + y = \frac { \alpha } { 2 }",
    r"\int _ { 0 } ^ { 1 } f ( t ) d t = \sqrt { 1 + c _ { e } }",
    r"\hat { H } | \psi \rangle = E | \psi \rangle , \quad n = 1",
    r"\left( \begin{array} { c c } a & b \\ c & d \end{array} \right)",
    r"\sum _ { n = 1 } ^ { \infty } \frac { 1 } { n ^ { 2 } } = \frac { \pi ^ { 2 } } { 6 }",
    r"\operatorname { T r } \rho \ln \rho \leq 0",
]


@pytest.fixture(scope="module")
def table(pdflatex: str) -> GlyphTable:
    if shutil.which("gs") is None:
        pytest.skip("Ghostscript is not installed")
    return GlyphTable()


@pytest.fixture(scope="module")
def pictures(table: GlyphTable) -> dict[str, np.ndarray]:
    pages = formula_pages(FORMULAS)
    table.add(c.glyph for page in pages for c in page.characters)
    return dict(zip(FORMULAS, (draw(page, table) for page in pages), strict=True))


def _png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def parquet(pictures: dict[str, np.ndarray], tmp_path: Path) -> Path:
    examples = [Example(f"row_{n}", _png(p), "") for n, p in enumerate(pictures.values())]
    write_examples(tmp_path / "pictures.parquet", [*examples, Example("broken", b"", "")])
    return tmp_path / "pictures.parquet"


@pytest.mark.slow
def test_the_reading_that_redraws_the_picture_is_the_label(
    table: GlyphTable, pictures: dict[str, np.ndarray]
) -> None:
    x, integral, state, matrix, series, trace = FORMULAS
    cases = [
        Case("unseen", pictures[x], [r"x _ { 1 } ^ { 2 } \, + y ~ = \frac { \alpha } { 2 } \quad"]),
        Case("second", pictures[integral], [integral.replace("c _", "e _"), integral]),
        Case("alike", pictures[integral], [integral.replace("c _ { e }", "c _ { c }")]),
        Case("edit", pictures[state], [state.replace("\\quad", "\\qquad")]),
        Case("mixture", pictures[matrix], [
            matrix.replace("a &", "u &").replace("& d", "& \\delta"),
            matrix.replace("a &", "u &"),
            matrix.replace("& d", "& \\delta"),
        ]),
        Case("broken", pictures[series], [r"\begin{array} { c } \frac { 1", r"\undefined", "{"]),
        Case("nothing", pictures[trace], []),
    ]  # fmt: skip
    prover = Prover(table)
    prover.prove(cases, edit=True)
    found = {case.id: case.latex for case in cases}
    assert found["unseen"] == x
    assert found["second"] == integral
    assert cases[1].reading == 1
    assert found["alike"] == integral
    assert found["edit"] == state
    assert cases[3].reading == -1
    assert found["mixture"] == matrix
    assert found["broken"] is found["nothing"] is None


@pytest.mark.slow
def test_a_look_alike_is_refused(table: GlyphTable, pictures: dict[str, np.ndarray]) -> None:
    x, integral, *_ = FORMULAS
    cases = [
        Case("c for e", pictures[integral], [integral.replace("c _ { e }", "c _ { c }")]),
        Case("lower", pictures[x], [x.replace("x _ { 1 } ^ { 2 }", "{ x _ { 1 } } ^ { 2 }")]),
    ]
    Prover(table).prove(cases, edit=False)
    assert [case.latex for case in cases] == [None, None]
    assert 1.0 < cases[0].score < 8


@pytest.mark.slow
def test_a_run_labels_resumes_and_weighs(parquet: Path, tmp_path: Path) -> None:
    wrong = "a"
    made = {f"row_{n}": [wrong, formula] for n, formula in enumerate(FORMULAS)}
    made["row_1"] = [wrong]
    asked: list[str] = []

    def read(examples):
        for example in examples:
            asked.append(example.id)
            yield made.get(example.id, [])

    out = tmp_path / "out"
    document = label(Labelling([parquet]), out, read, quiet=True)
    assert (document["pictures"], document["labelled"], document["refused"]) == (7, 5, 2)
    rows = pq.read_table(out / "labels.parquet").to_pylist()
    assert [row["id"] for row in rows] == ["row_0", "row_2", "row_3", "row_4", "row_5"]
    assert all(row["score"] < 1 for row in rows)
    assert sum(row["weight"] for row in rows) == pytest.approx(7)
    # A run that was killed while it wrote a line goes on where it was.
    (out / "label.json").unlink()
    proofs = (out / "proofs-1.jsonl").read_text().splitlines(keepends=True)
    (out / "proofs-1.jsonl").write_text("".join(proofs[:3]) + proofs[3][:20])
    count = len(asked)
    label(Labelling([parquet]), out, read, quiet=True)
    assert len(asked) == count
    assert pq.read_table(out / "labels.parquet").to_pylist() == rows
    assert len((out / "proofs-1.jsonl").read_text().splitlines()) == 7


@pytest.mark.slow
def test_the_command_names_what_is_wrong(parquet: Path, tmp_path: Path) -> None:
    def run(*arguments: object) -> Result:
        return CliRunner().invoke(command, list(map(str, arguments)))

    readings = tmp_path / "readings.jsonl"
    lines = [{"id": f"row_{n}", "readings": [formula]} for n, formula in enumerate(FORMULAS)]
    readings.write_text("\n".join(map(json.dumps, lines)))
    out = tmp_path / "out"
    result = run(parquet, "--readings", readings, "--out", out, "--rounds", 1)
    assert result.exit_code == 0, result.output
    assert "labelled          6" in result.output
    with pytest.raises(InputError, match="finished result"):
        raise run(parquet, "--readings", readings, "--out", out).exception
    readings.write_text('{"id": "row_0", "readings": ["a"]}\n{"id": 3}\n')
    with pytest.raises(InputError, match=r"Line 2 of '.*' is not an object with `id`"):
        raise run(parquet, "--readings", readings, "--out", tmp_path / "new").exception
    with pytest.raises(InputError, match=r"Cannot read '.*absent\.parquet'"):
        raise run(tmp_path / "absent.parquet", "--out", tmp_path / "new").exception
    with pytest.raises(InputError, match=r"another picture has the id 'row_0' too"):
        raise run(parquet, parquet, "--out", tmp_path / "new").exception
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_an_unfinished_run_does_not_go_on_with_other_readings(
    parquet: Path, tmp_path: Path
) -> None:
    def readings_of(formula: str):
        return lambda examples: ([formula] for _ in examples)

    out = tmp_path / "out"
    with pytest.raises(TexlensError, match="No formula could be proved"):
        label(Labelling([parquet], rounds=1, readings="a"), out, readings_of("z"), quiet=True)
    with pytest.raises(InputError, match="with another readings"):
        label(Labelling([parquet], rounds=1, readings="b"), out, readings_of(FORMULAS[0]))
    job = Labelling([parquet], rounds=1, readings="b")
    assert label(job, out, readings_of(FORMULAS[0]), force=True, quiet=True)["labelled"] == 1


def test_what_is_missing_is_named_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_examples(tmp_path / "pictures.parquet", [Example("a", b"", "")])
    monkeypatch.setenv("PATH", str(tmp_path))
    job = Labelling([tmp_path / "pictures.parquet"])
    with pytest.raises(TexlensError, match="TeX is not installed"):
        label(job, tmp_path / "out", lambda _: pytest.fail("read"))
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_real_pictures_are_redrawn(shared_data: Path, table: GlyphTable) -> None:
    """From 120 known labels: bitmaps are learnt, and others of the pictures then fit."""
    from texlens.data.labels.drawing import compare
    from texlens.data.labels.labelling import typeset_known
    from texlens.data.labels.learning import learn
    from texlens.data.parquet import read_examples

    rows = list(read_examples(shared_data / "im2latex_more_0.parquet", limit=180))
    glyphs = GlyphTable()
    known = typeset_known([(row.image, row.latex_formula) for row in rows[:120]], glyphs)
    others = typeset_known([(row.image, row.latex_formula) for row in rows[120:]], glyphs)

    def fitting() -> float:
        scores = [compare(picture, page, glyphs, 1.0).score for picture, page in others]
        return float(np.mean(np.array(scores) < 1.0))

    before = fitting()
    learn(known, glyphs)
    learn(known, glyphs)
    assert before < 0.3
    assert fitting() > 0.5
    assert grey_picture(rows[0].image).dtype == np.uint8

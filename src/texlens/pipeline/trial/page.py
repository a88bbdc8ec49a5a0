"""A trial on one page: pass, or what to do; what was measured; what was read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from texlens.data.parquet import read_examples
from texlens.engine import Failure
from texlens.images import data_address
from texlens.metrics.report.page import RenderedText, marked_differences
from texlens.pages import render_page
from texlens.pipeline.trial.checks import Check
from texlens.reading.pictures.opening import picture_for_browsers
from texlens.render import svg_many
from texlens.runs import write_text
from texlens.tables import Table

PAGE = "trial.html"
_READING = {"base reads": "base", "tuned reads": "after stage 2", "merged reads": "merged"}
_TRAINING = {"stage 1": "stage 1", "stage 2": "stage 2", "GRPO": "GRPO"}
_PICTURES_SHOWN = 8
_VERSIONS = ("texlens", "torch", "transformers", "trl", "peft", "bitsandbytes")
_CURVES = {"stage1": "Stage 1", "stage2": "Stage 2", "grpo": "GRPO"}


def summary(document: dict[str, Any]) -> str:
    """The result as Markdown, for a terminal."""
    heading = [f"# {_title(document)}", f"**{_verdict(document)}**", _about(document)]
    todo = [f"- {line}" for line in _what_to_do(document)]
    return "\n\n".join([*heading, *todo, *(t.markdown() for t in _tables(document))]) + "\n"


def write_page(document: dict[str, Any], out: Path, answers: Mapping[str, Sequence[str]]) -> None:
    """Write `trial.html`.

    Args:
        document: the content of `trial.json`.
        out: the folder of the trial, with its test pictures and its curves.
        answers: what was read in the test pictures, in normal form, by when it was read.
    """
    curves = [(name, out / step / "curves.png") for step, name in _CURVES.items()]
    html = render_page(
        "texlens.pipeline",
        "trial",
        title=_title(document),
        passed=document["passed"],
        verdict=_verdict(document),
        about=_about(document),
        what_to_do=list(_what_to_do(document)),
        tables=_tables(document),
        curves=[(name, data_address(path.read_bytes())) for name, path in curves if path.is_file()],
        pictures=list(_pictures(out / "data" / "test.parquet", answers)),
    )
    write_text(out / PAGE, html)


def _title(document: dict[str, Any]) -> str:
    model = document["trial"]["model"]
    return f"Trial of {'the embedded model' if model == 'embedded' else model}"


def _verdict(document: dict[str, Any]) -> str:
    verdicts = [check["verdict"] for check in document["checks"] if check["verdict"]]
    failed = verdicts.count("fail")
    if failed:
        return (
            f"Not yet: {failed} of the {len(verdicts)} values that are checked are not as expected."
        )
    return f"Pass: all {len(verdicts)} values that are checked are as expected."


def _about(document: dict[str, Any]) -> str:
    checks = [check for check in document["checks"] if check["name"] == "seconds"]
    minutes = sum(float(check["value"]) for check in checks) / 60
    versions = document["versions"]
    shown = [f"{name} {versions[name]}" for name in _VERSIONS if versions.get(name)]
    return f"{document['device']}, {minutes:.0f} minutes; {', '.join(shown)}."


def _what_to_do(document: dict[str, Any]) -> Iterator[str]:
    for check in _checks(document):
        if check.verdict == "fail":
            yield f"{check.step}, {check.name}: {check.value}, expected: {check.expected}. {check.advice}"


def _checks(document: dict[str, Any]) -> list[Check]:
    return [Check(**check) for check in document["checks"]]


def _tables(document: dict[str, Any]) -> list[Table]:
    checks = _checks(document)
    known = [(f"{c.step}: {c.name}", c.value, c.expected, c.verdict) for c in checks if c.verdict]
    trial = document["trial"]
    where = "made here" if trial["data"] == "None" else f"of {trial['data']}"
    read = (
        f"{trial['pictures']} formulas, {where}, none of them trained on. Lower is better: "
        "edit_tokens. On a CPU, memory is the most so far."
    )
    trained = (
        f"{trial['steps']} steps of each stage and {trial['grpo_steps']} of GRPO, with the settings of "
        "the shipped recipes."
    )
    return [
        Table("Checked", ("value", "measured", "expected", ""), tuple(known)),
        _side_by_side("Reading", checks, _READING, read),
        _side_by_side("Training", checks, _TRAINING, trained),
    ]


def _side_by_side(
    title: str, checks: Sequence[Check], steps: Mapping[str, str], note: str
) -> Table:
    """The values of some steps: a row for each name, a column for each step."""
    values = {(check.step, check.name): check.value for check in checks}
    names = list(dict.fromkeys(check.name for check in checks if check.step in steps))
    names.sort(
        key=lambda name: name in ("peak memory (GiB)", "seconds")
    )  # what every step has, last
    rows = [(name, *(values.get((step, name), "") for step in steps)) for name in names]
    return Table(title, ("", *steps.values()), tuple(rows), note)


def _pictures(
    path: Path, answers: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str | None, list[RenderedText]]]:
    """The first pictures, each with its reference and what was read before and after training."""
    for place, example in enumerate(read_examples(path, _PICTURES_SHOWN)):
        texts = {"reference": example.latex_formula}
        texts |= {name: read[place] for name, read in answers.items()}
        sides = []
        for (name, latex), drawing in zip(
            texts.items(), svg_many(list(texts.values())), strict=True
        ):
            pieces = marked_differences(example.latex_formula, latex)[1]
            if isinstance(drawing, Failure):
                sides.append(
                    RenderedText(name, None, pieces, f"cannot be drawn: {drawing.message}")
                )
            else:
                sides.append(RenderedText(name, data_address(drawing.encode()), pieces))
        picture = picture_for_browsers(example.image)
        yield data_address(picture) if picture else None, sides

"""The first picture of a report: a panel for each measure, a line for each set, with intervals."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from texlens.evaluate.compare.runs import ScoredRun
from texlens.pipeline.chart import measures_chart


def run(set_: str, model: str, **values: float | None) -> ScoredRun:
    metrics = {
        key: {"value": value, "ci": None if value is None else [value - 0.1, value + 0.1]}
        for key, value in values.items()
    }
    return ScoredRun(Path(), model, set_, {"metrics": metrics, "n": 5})


def test_every_set_is_a_line_over_the_models() -> None:
    runs = [
        run(name, model, cdm=0.5, edit_unimer=0.2, compiles=None)
        for name in ("printed", "handwritten")
        for model in ("base", "stage1", "stage2")
    ]
    chart = measures_chart(runs, ["cdm", "edit_unimer", "compiles"])
    assert chart == measures_chart(runs, ["cdm", "edit_unimer", "compiles"])  # no date, no chance
    assert chart is not None
    texts = [element.text or "" for element in ElementTree.fromstring(chart).iter() if element.text]
    for name in ("printed", "handwritten", "base", "stage1", "stage2"):
        assert name in texts
    assert "cdm" in texts
    assert "edit_unimer (lower is better)" in texts
    assert not any("compiles" in text for text in texts)  # it has no value


def test_one_model_or_no_value_gives_no_picture() -> None:
    assert measures_chart([run("printed", "base", cdm=0.5)], ["cdm"]) is None
    two = [run("printed", model, cdm=None) for model in ("base", "stage1")]
    assert measures_chart(two, ["cdm"]) is None

"""Comparing evaluations: what is significant, what is refused, what the page shows."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from texlens.cli.compare import compare as command
from texlens.data.parquet import write_examples
from texlens.errors import InputError
from texlens.evaluate.compare.comparison import compare
from texlens.evaluate.compare.runs import ScoredRun, find_runs, open_run
from texlens.evaluate.compare.significance import Difference, set_statistics
from texlens.evaluate.run import DataSet, evaluate
from texlens.metrics.batches import ScoringConfig
from texlens.model.prompt_config import PromptConfig
from texlens.reading.sources import Item
from texlens.records import Example, Reading
from texlens.render import png

KEYS = ("bleu", "edit_tokens", "exact", "layout", "brace_valid")
REFERENCES = [rf"x _ {{ {n} }} + \frac {{ a }} {{ {n} }}" for n in range(24)]
REFERENCES[8] = r"\text { </script><b>bold</b> }"
REFERENCES[9] = r"\begin{array} { c } a \\ b \\ \end{array}"


class FixedReader:
    """A reader with a fixed answer for every id."""

    prompt_config, max_new_tokens = PromptConfig(), 64
    decoding_settings: dict[str, int] = {"constrained": 0}  # noqa: RUF012

    def __init__(self, name: str, answer: Callable[[int], str]) -> None:
        self.name, self.fingerprint, self.answer = name, name, answer

    def read_many(self, items: Iterable[Item]) -> Iterator[Reading]:
        for item in items:
            yield Reading(item.name, self.answer(int(item.name)), 0.5)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "test.parquet"
    picture = png("x")
    assert isinstance(picture, bytes)
    kinds = ("printed", "screen")
    write_examples(
        path,
        [Example(str(n), picture, t, "ours", kinds[n % 2]) for n, t in enumerate(REFERENCES)],  # type: ignore[arg-type]
    )
    return path


@pytest.fixture(scope="module")
def folders(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Evaluations: `base` wrong on every fourth, `same` as it, `good` always right, `odd`."""
    out = tmp_path_factory.mktemp("evaluations")
    answers: dict[str, Callable[[int], str]] = {
        "base": lambda n: "z" if n % 4 == 0 else REFERENCES[n],
        "same": lambda n: "z" if n % 4 == 0 else REFERENCES[n],
        "good": lambda n: REFERENCES[n],
        "odd": lambda n: r"\frac {" if n % 4 == 1 else REFERENCES[n],
    }
    for name, answer in answers.items():
        reader: Any = FixedReader(name, answer)
        evaluate(reader, DataSet(data), out / name, ScoringConfig(KEYS, cache=False), quiet=True)
    return {name: out / name for name in answers}


def differences(
    base: ScoredRun, run: ScoredRun, keys: tuple[str, ...] | list[str]
) -> dict[str, Difference]:
    return dict(set_statistics([base, run], keys).differences[run.model, base.model])


def test_differences_are_those_of_the_values_and_their_intervals_fit(
    folders: dict[str, Path],
) -> None:
    base, same, good, odd = (open_run(folder) for folder in folders.values())
    texts = [key for key in KEYS if key != "layout"]  # on a very busy machine drawing may time out
    for run in (same, good, odd):
        for key, difference in differences(base, run, texts).items():
            expected = run.metrics[key]["value"] - base.metrics[key]["value"]
            assert difference.value == pytest.approx(expected, abs=1e-12)
    still = differences(base, same, KEYS)["bleu"]
    assert (still.value, still.ci, still.p_bootstrap, still.p_holm) == (0, (0, 0), 1, 1)
    found = differences(base, odd, KEYS)["exact"]
    gains = np.array([odd.values[i]["exact"] - base.values[i]["exact"] for i in base.values])  # type: ignore[operator]
    spread = 1.96 * gains.std() / math.sqrt(len(gains))  # the normal approximation
    assert found.ci == pytest.approx((gains.mean() - spread, gains.mean() + spread), abs=0.04)
    assert found.p_bootstrap > 0.5
    assert found.p_randomisation > 0.5
    better = differences(base, good, KEYS)["exact"]
    assert better.value == 0.25
    assert (better.wins, better.losses, better.ties) == (6, 0, 18)
    assert better.p_bootstrap < 0.01
    # Six exchanges that must all fall one way, either way: 2 of 2 ** 6.
    assert better.p_randomisation == pytest.approx(2 / 2**6, abs=0.005)
    assert better.significant
    assert differences(base, good, ("cdm",)) == {}


def test_items_are_paired(folders: dict[str, Path]) -> None:
    """Runs that fail on the same items differ for certain where two samples would overlap."""
    base, same = open_run(folders["base"]), open_run(folders["same"])
    low, high = base.metrics["exact"]["ci"]
    assert high - low > 0.2
    found = differences(base, same, ("exact", "bleu"))
    assert [d.ci for d in found.values()] == [(0, 0), (0, 0)]


def damaged(folder: Path, out: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    out.mkdir()
    for file in folder.iterdir():
        (out / file.name).write_bytes(file.read_bytes())
    document = json.loads((out / "metrics.json").read_text())
    change(document)
    (out / "metrics.json").write_text(json.dumps(document))
    return out


def test_numbers_of_different_signatures_are_refused(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    def resign(document: dict[str, Any]) -> None:
        document["metrics"]["bleu"]["signature"] += "|tok:13a"

    other = damaged(folders["good"], tmp_path / "other", resign)
    with pytest.raises(InputError, match=r"The bleu of .*signatures differ: bleu\|.*tok:13a"):
        compare([open_run(folders["base"]), open_run(other)], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_pictures_names_twice_and_false_records_are_refused(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    def other_data(document: dict[str, Any]) -> None:
        document["run"]["data_sha256"] = "0" * 64

    def other_value(document: dict[str, Any]) -> None:
        document["metrics"]["bleu"]["value"] = 0.5

    base = open_run(folders["base"], set="test")
    moved = open_run(damaged(folders["good"], tmp_path / "moved", other_data), set="test")
    with pytest.raises(InputError, match="different pictures under the name 'test'"):
        compare([base, moved], tmp_path / "out")
    with pytest.raises(InputError, match="both called 'base'"):
        compare([base, open_run(folders["good"], model="base", set="test")], tmp_path / "out")
    false = open_run(damaged(folders["good"], tmp_path / "false", other_value), set="test")
    with pytest.raises(InputError, match="not what its predictions give"):
        compare([base, false], tmp_path / "out")
    with pytest.raises(InputError, match=r"has no metrics\.json"):
        find_runs([str(tmp_path)])


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_shows_wins_and_losses_and_nothing_from_outside(
    folders: dict[str, Path], data: Path, tmp_path: Path
) -> None:
    runs = find_runs([str(folders[name]) for name in ("base", "good", "odd")])
    document = compare(runs, tmp_path / "out", data=[data], reported=True)
    page = (tmp_path / "out" / "compare.html").read_text(encoding="utf-8")
    tags = Tags(page).found
    assert not any(tag == "script" for tag, _ in tags)
    assert "</script><b>bold" not in page
    assert "&lt;/script&gt;" in page
    (policy,) = [a["content"] for t, a in tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert all((a["src"] or "").startswith("data:image/") for t, a in tags if t == "img")
    assert not any("href" in a for t, a in tags)
    assert re.search("good against base, by layout: [456] better, 0 worse", page)
    assert "Losses: 4 of" in page
    assert page.count("the picture that was read") == 4 + 8
    assert re.search(r"<mark>\s*z\s*</mark>", page)
    assert document == json.loads((tmp_path / "out" / "compare.json").read_text())
    (first, *_) = document["sets"]["test.parquet"]["pairs"]
    assert (first["system"], first["other"]) == ("good", "base")
    assert first["metrics"]["exact"]["value"] == 0.25
    with pytest.raises(InputError, match="finished result"):
        compare(runs, tmp_path / "out")


def test_the_tables(folders: dict[str, Path], tmp_path: Path) -> None:
    runs = find_runs([f"before={folders['base']}", str(folders["good"])])
    compare(runs, tmp_path / "out", reported=True)
    text = (tmp_path / "out" / "compare.md").read_text(encoding="utf-8")
    assert re.search(r"\| before +\| +0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]", text)
    assert "### Recognition: against before" in text
    assert re.search(r"\| good +\| .*\+0\.250 \[\+0\.\d{3}, \+0\.\d{3}\] p 0\.0[123]\d\*", text)
    for title in (
        "tokens of the reference",
        "lines of the reference",
        "arrays in the reference",
        "kind",
    ):
        assert f"### By {title}" in text
    assert re.search(r"\| array, matrix, cases or the like +\| +good +\| +1 \|", text)
    assert "`exact|revision:1|text:normal." in text
    # A reported figure is only under a heading that says that it is not comparable.
    for part in text.split("\n## ")[1:]:
        assert ("0.68 | 0.91" in part or "0.7502" in part) == part.startswith(
            ("The qwen-ocr", "The GRPO")
        )
        if part.startswith(("The qwen-ocr", "The GRPO")):
            assert "not comparable" in part.splitlines()[0]


def test_other_conditions_are_named(folders: dict[str, Path], tmp_path: Path) -> None:
    def shorten(document: dict[str, Any]) -> None:
        document["run"]["max_new_tokens"] = 8
        document["run"]["prompt_config"]["system"] = "Think first. " * 9

    short = open_run(damaged(folders["good"], tmp_path / "short", shorten))
    base, good = open_run(folders["base"]), open_run(folders["good"])
    compare([base, short, good], tmp_path / "out")
    text = (tmp_path / "out" / "compare.md").read_text(encoding="utf-8")
    assert (
        "base and short read under different conditions: system, max_new_tokens (64 and 8)." in text
    )
    assert "base and good read under" not in text


def test_the_command(folders: dict[str, Path], tmp_path: Path) -> None:
    arguments = [str(folders["base"]), f"tuned={folders['good']}", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "| tuned" in result.stdout
    assert "compare.html" in result.stdout
    result = CliRunner().invoke(command, [*arguments, "--force", "--json"])
    assert json.loads(result.stdout)["base"] == "base"
    wrong = CliRunner().invoke(command, [str(tmp_path), "--out", str(tmp_path / "none")])
    assert isinstance(wrong.exception, InputError)
    assert not (tmp_path / "none").exists()
    other = tmp_path / "other.parquet"
    write_examples(other, [Example("0", b"", "x")])
    wrong = CliRunner().invoke(command, [*arguments, "--force", "--data", str(other)])
    assert "None of the systems has read" in str(wrong.exception)


def test_a_suite_stands_for_all_its_runs(folders: dict[str, Path], tmp_path: Path) -> None:
    for model in ("base", "good"):
        damaged(folders[model], (tmp_path / model), lambda document: None)
    (tmp_path / "suite" / "print").mkdir(parents=True)
    for model in ("good", "base"):
        (tmp_path / model).rename(tmp_path / "suite" / "print" / model)
    results = {"print": {"base": {}, "good": {}}}
    (tmp_path / "suite" / "suite.json").write_text(json.dumps({"results": results}))
    runs = find_runs([str(tmp_path / "suite"), f"odd={folders['odd']}"])
    assert [(run.set, run.model) for run in runs] == [
        ("print", "base"), ("print", "good"), ("print", "odd"),
    ]  # fmt: skip
    with pytest.raises(InputError, match="is a suite"):
        find_runs([f"name={tmp_path / 'suite'}"])

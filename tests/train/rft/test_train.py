"""Rejection sampling: which answers are kept, and a run on them from its start to its end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from texlens.cli.train import train
from texlens.data.parquet import read_examples, write_examples
from texlens.errors import InputError
from texlens.model.load import EMBEDDED
from texlens.records import Example
from texlens.render import png_many
from texlens.train.config import load_recipe
from texlens.train.grpo.groups import Group
from texlens.train.rewards.functions import ScoredCompletion
from texlens.train.rft.answers import best_answer
from texlens.train.rft.settings import RftConfig
from texlens.train.rft.train import train_rft
from texlens.train.run import run_folder

FORMULAS = [f"{a} {sign} {b}" for a in "abxyz" for sign in "+=" for b in "q1"]


def scored(answer: str | None, exact: float) -> ScoredCompletion:
    return ScoredCompletion("", answer, "x", {"exact": exact})


@pytest.mark.parametrize(
    ("answers", "best"),
    [
        ([("a", 0.5), ("b", 1.0)], "b"),
        ([("a", 1.0), ("b", 1.0), ("b", 1.0)], "b"),  # the most frequent of equal ones
        ([("a", 1.0), ("b", 1.0)], "a"),
        ([(None, 1.0), ("b", 0.0)], "b"),
        ([(None, 1.0), ("", 1.0)], None),
    ],
)
def test_the_best_answer(answers: list[tuple[str | None, float]], best: str | None) -> None:
    group = Group({}, len(answers), [], *[torch.zeros(0)] * 3)
    group.scored = [scored(*answer) for answer in answers]
    assert best_answer(group, {"exact": 1.0}) == best


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Formulas of three symbols that the embedded model reads, with one wrong label."""
    path = tmp_path_factory.mktemp("rft") / "data.parquet"
    drawn = [picture for picture in png_many(FORMULAS) if isinstance(picture, bytes)]
    labels = ["9 9 9", *FORMULAS[1:]]
    write_examples(path, map(Example, map(str, range(len(drawn))), drawn, labels))
    return path


@pytest.fixture
def recipe(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., RftConfig]:
    monkeypatch.setattr(run_folder, "write_curves", lambda *_, **__: None)

    def build(**answers: Any) -> RftConfig:
        return RftConfig.model_validate(
            {
                "model": str(EMBEDDED), "prompt_config": {"max_new_tokens": 8}, "device": "cpu",
                "data": [{"parquet": str(pictures)}], "max_steps": 2, "per_device_train_batch_size": 4,
                "gradient_accumulation_steps": 1, "dataloader_num_workers": 0, "report_to": [],
                "answers": {
                    "rewards": {"exact": 1}, "min_reward": 1, "num_generations": 2, "temperature": 0.3,
                    "batch_size": 8,
                } | answers,
            }
        )  # fmt: skip

    return build


def test_a_run_trains_on_answers_that_are_worth_enough(
    recipe: Callable[..., RftConfig], tmp_path: Path
) -> None:
    summary = train_rft(recipe(), tmp_path)
    records = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert len(records) == 20
    kept = {record["id"]: record["answer"] for record in records if record["kept"]}
    assert all((record["total"] >= 1) == record["kept"] for record in records)
    assert 10 <= len(kept) < 20, "one has a wrong label"
    assert "0" not in kept
    examples = list(read_examples(tmp_path / "answers.parquet"))
    assert {example.id for example in examples} == kept.keys()
    for example in examples:
        assert example.latex_formula == FORMULAS[int(example.id)], "an exact answer"
    assert summary["step"] == 2
    assert summary["data"]["examples"] == len(kept)
    assert json.loads((tmp_path / "answers.json").read_text())["kept"] == len(kept)
    # What was sampled is used again, but not under other settings.
    with pytest.raises(InputError, match="another temperature"):
        train_rft(recipe(temperature=0.4), tmp_path)


def test_no_answer_that_is_worth_enough_is_one_sentence(
    recipe: Callable[..., RftConfig], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="No answer to 4 prompts has a total of at least 2:"):
        train_rft(recipe(min_reward=2, max_prompts=4), tmp_path)
    assert not (tmp_path / "answers.parquet").exists()


def test_settings_that_make_no_sense_are_refused(recipe: Callable[..., RftConfig]) -> None:
    with pytest.raises(ValueError, match="'cmd' is no reward"):
        recipe(rewards={"cmd": 1})
    with pytest.raises(InputError, match="needs a limit below that"):
        load_recipe("rft_small", RftConfig, {"minutes": 10})


def test_the_recipe_and_its_dry_run(pictures: Path) -> None:
    config = load_recipe("rft_small", RftConfig)
    assert config.sft(minutes=1).learning_rate == config.learning_rate
    settings = ["--set", f"data.0.parquet={pictures}", "--set", "data.0.rows=null", "--set", "dev=[]",
                "--set", "metric_for_best_model=null"]  # fmt: skip
    done = CliRunner().invoke(train, ["rft", "rft_small", "--dry-run", *settings])
    assert done.exit_code == 0, done.output
    assert "answers: up to 20 minutes" in done.output

"""A run of GRPO: what it leaves, that it goes on exactly, from where it starts, in 4 bits too."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from click.testing import CliRunner
from safetensors.torch import load_file

from texlens.cli.train import train
from texlens.data.parquet import write_examples
from texlens.errors import InputError
from texlens.model.load import load_model
from texlens.records import Example
from texlens.render import png_many
from texlens.train.grpo import train as grpo
from texlens.train.grpo.settings import GrpoConfig
from texlens.train.grpo.train import train_grpo
from texlens.train.grpo.trainer import FormulaGrpoTrainer
from texlens.train.rewards.functions import BatchRewards, ScoredCompletion
from texlens.train.run import run_folder as tuning_run
from texlens.train.run import trl_trainers
from texlens.train.run.curves import read_log
from texlens.train.run.run_folder import save_weights
from texlens.train.run.stages import STAGES
from texlens.train.sft.settings import SftConfig
from texlens.train.sft.train import train_sft

Recipe = Callable[..., GrpoConfig]


FORMULAS = [f"{a} {sign} {b}" for a in "abxyz" for sign in "+-=" for b in "iq1"]
LONG = " + ".join(FORMULAS[:12])


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Formulas of three symbols, drawn, and a long one."""
    path = tmp_path_factory.mktemp("short") / "train.parquet"
    formulas = [*FORMULAS, LONG]
    write_examples(
        path,
        [
            Example(str(number), picture, formula)
            for number, (formula, picture) in enumerate(
                zip(formulas, png_many(formulas), strict=True)
            )
            if isinstance(picture, bytes)
        ],
    )
    return path


@pytest.fixture(scope="module")
def recipe(model_folder: Path, short: Path) -> Recipe:
    """A tiny recipe on a tiny model, with settings of one's own."""

    def build(**settings: Any) -> GrpoConfig:
        document: dict[str, Any] = {
            "model": str(model_folder),
            "prompt_config": {"max_new_tokens": 10},
            "lora": {"r": 4, "lora_alpha": 8},
            "data": [{"parquet": str(short)}],
            "rewards": {"validity_similarity": 1, "no_loop": 1, "overlong": 0.5},
            "num_generations": 4, "per_device_train_batch_size": 8, "gradient_accumulation_steps": 1, "max_prompt_length": 400,
            "temperature": 2.0, "learning_rate": 1e-2, "warmup_ratio": 0, "max_steps": 4, "logging_steps": 1,
            "report_to": [],
        }  # fmt: skip
        return GrpoConfig.model_validate(document | settings)

    return build


@pytest.fixture(autouse=True)
def no_curves(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves are drawn in one test alone: they take longer than the training."""
    if request.node.name != "test_what_a_run_leaves":
        monkeypatch.setattr(tuning_run, "write_curves", lambda *_, **__: None)


def adapter(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter" / "adapter_model.safetensors")


def test_what_a_run_leaves(recipe: Recipe, short: Path, tmp_path: Path) -> None:
    dev = [{"name": "printed", "parquet": str(short), "rows": [40, 50], "sample": 3}]
    config = recipe(
        dev=dev, eval_steps=4, dev_metrics=["edit_tokens"], completion_page_steps=2, beta=0.1,
        report_to=["tensorboard"],
    )  # fmt: skip
    summary = train_grpo(config, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "adapter", "best", "config.yaml", "curves.csv", "curves.png", "dataset.json", "log.jsonl", "start.json",
        "dev_printed.jsonl", "README.md", "run.json", "tensorboard", "rewards.jsonl", "completions",
    }  # fmt: skip
    resolved = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert GrpoConfig.model_validate(resolved) == config
    assert summary == json.loads((tmp_path / "run.json").read_text())
    assert summary["step"] == 4
    assert summary["data"]["left_out"] == {"reference longer than an answer may be": 1}

    log = read_log(tmp_path / "log.jsonl")
    trained = [record for record in log if "loss" in record]
    assert [record["step"] for record in trained] == [1, 2, 3, 4]
    for record in trained:
        assert {
            "reward", "reward_std", "reward_no_loop", "validity_bonus", "similarity", "tokens",
            "finished", "dead_groups", "kl", "entropy", "step_time", "learning_rate", "grad_norm",
            *(f"seconds_{stage}" for stage in STAGES),
        } <= record.keys()  # fmt: skip
        total = (
            record["validity_bonus"] + record["similarity"]
            + record["reward_no_loop"] + 0.5 * record["reward_overlong"]
        )  # fmt: skip
        assert math.isclose(record["reward"], total, abs_tol=1e-6)
    assert trained[0]["kl"] == pytest.approx(0, abs=1e-6) != trained[3]["kl"]
    assert [r["step"] for r in log if "printed_edit_tokens" in r] == [0, 4]

    lines = [json.loads(line) for line in (tmp_path / "rewards.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [s for s in (1, 2, 3, 4) for _ in range(8)]
    assert len({line["id"] for line in lines if line["step"] == 1}) == 2
    by_step = [
        sum(line["total"] for line in lines if line["step"] == step) / 8 for step in (1, 2, 3, 4)
    ]
    assert by_step == pytest.approx([record["reward"] for record in trained], abs=1e-5)
    pages = sorted(path.name for path in (tmp_path / "completions").iterdir())
    assert pages == ["step-000002.html", "step-000004.html"]

    # The adapter alone, without the copy of the start that the KL divergence needs.
    assert not (tmp_path / "adapter" / "ref").exists()
    loaded = load_model(config.model, tmp_path / "adapter", device="cpu")
    assert loaded.prompt_config.max_new_tokens == 10


class EvenTokens(BatchRewards):
    """Rewards the part of a completion's tokens that have even numbers: easy to learn."""

    def score(
        self,
        completions: Sequence[Any],
        solution: Sequence[Any],
        completion_ids: Sequence[Sequence[int]] | None = None,
    ) -> list[ScoredCompletion]:
        assert completion_ids is not None
        self.last = [
            replace(scored, rewards={"exact": sum(i % 2 == 0 for i in ids) / len(ids)})
            for scored, ids in zip(
                super().score(completions, solution, completion_ids), completion_ids, strict=True
            )
        ]
        return self.last


def test_rewards_rise(
    recipe: Recipe, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = load_model(model_folder, device="cpu")
    for parameter in start.model.parameters():
        if parameter.ndim >= 2:
            parameter.div_(2)  # less sure of its answers, so that it tries others
    save_weights(start, tmp_path / "start")
    monkeypatch.setattr(grpo, "BatchRewards", EvenTokens)
    config = recipe(
        model=str(tmp_path / "start"), rewards={"exact": 1}, max_steps=8, per_device_train_batch_size=32, num_generations=8,
        lora=None, learning_rate=0.02, temperature=1.0,
    )  # fmt: skip
    train_grpo(config, tmp_path / "run")
    rewards = [record["reward"] for record in read_log(tmp_path / "run" / "log.jsonl")]
    assert rewards[0] < 0.65, "no better than chance at the start"
    assert rewards[-1] > 0.75, rewards


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_a_killed_run_goes_on_to_the_same_weights(
    recipe: Recipe, tmp_path: Path, beta: float
) -> None:
    config = recipe(
        max_steps=4, save_steps=2, lora={"r": 4, "lora_alpha": 8, "lora_dropout": 0.1}, beta=beta
    )
    train_grpo(config, tmp_path / "whole")
    honest = FormulaGrpoTrainer.training_step

    def dying(trainer: FormulaGrpoTrainer, *arguments: Any, **settings: Any) -> torch.Tensor:
        if trainer.state.global_step == 3:
            raise Killed
        loss: torch.Tensor = honest(trainer, *arguments, **settings)
        return loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FormulaGrpoTrainer, "training_step", dying)
        with pytest.raises(Killed):
            train_grpo(config, tmp_path / "killed")
    assert not (tmp_path / "killed" / "run.json").exists()
    train_grpo(config, tmp_path / "killed")
    whole, killed = adapter(tmp_path / "whole"), adapter(tmp_path / "killed")
    assert any(weight.any() for name, weight in whole.items() if "lora_B" in name)
    for name, weight in whole.items():
        assert torch.equal(weight, killed[name]), name
    records = [(tmp_path / name / "rewards.jsonl").read_text() for name in ("whole", "killed")]
    assert records[0] == records[1]


def test_it_starts_from_an_adapter_continued_or_merged(
    recipe: Recipe, tuning: Callable[..., SftConfig], model_folder: Path, tmp_path: Path
) -> None:
    start = tuning(
        trainable_modules=["language_model"],
        lora={"r": 4, "lora_alpha": 8},
        max_steps=2,
        num_train_epochs=None,
    )
    train_sft(start, tmp_path / "sft")
    first = str(tmp_path / "sft" / "adapter")
    train_grpo(recipe(adapter=first, max_steps=1, learning_rate=1e-9), tmp_path / "continued")
    before, after = adapter(tmp_path / "sft"), adapter(tmp_path / "continued")
    for name, weight in before.items():
        torch.testing.assert_close(after[name], weight, atol=1e-6, rtol=1e-6)

    summary = train_grpo(
        recipe(adapter=first, adapter_use="merge", max_steps=1), tmp_path / "merged"
    )
    base = tmp_path / "merged" / "base"
    assert summary["prompt_config"]["base"] == str(base)
    expected = load_model(model_folder, first, device="cpu").model.merge_and_unload().state_dict()
    for name, weight in load_model(base, device="cpu").model.state_dict().items():
        torch.testing.assert_close(weight, expected[name])
    assert load_model(base, tmp_path / "merged" / "adapter", device="cpu")


@pytest.mark.parametrize(
    ("rewards", "prompts"), [({"no_loop": 1, "exact": 0}, 4), ({"no_loop": 1, "exact": 1}, 2)]
)
def test_pictures_without_latex_are_used_where_no_reward_needs_it(
    recipe: Recipe, tmp_path: Path, rewards: dict[str, float], prompts: int
) -> None:
    path = tmp_path / "mixed.parquet"
    pictures = [picture for picture in png_many(FORMULAS[:4]) if isinstance(picture, bytes)]
    labels = [FORMULAS[0], "", FORMULAS[2], ""]
    write_examples(path, map(Example, "0123", pictures, labels))
    config = recipe(data=[{"parquet": str(path)}], rewards=rewards, max_steps=2)
    summary = train_grpo(config, tmp_path / "run")
    assert summary["data"]["prompts"] == prompts
    assert summary["data"]["left_out"] == ({} if prompts == 4 else {"no formula": 2})


def test_the_vision_tower_can_be_trained_too(recipe: Recipe, tmp_path: Path) -> None:
    config = recipe(
        lora=None, max_steps=2, learning_rate=1e-3, beta=0.1, gradient_accumulation_steps=2,
        per_device_train_batch_size=4, trainable_modules=["language_model", "vision", "merger"],
    )  # fmt: skip
    train_grpo(config, tmp_path)
    before = load_model(config.model, device="cpu").model.state_dict()
    after = load_model(tmp_path / "model", device="cpu").model.state_dict()
    for name in ("visual.blocks.0.mlp.up_proj", "language_model.layers.0.mlp.up_proj"):
        assert not torch.equal(before[f"model.{name}.weight"], after[f"model.{name}.weight"]), name


def test_all_weights_are_trained_without_lora(recipe: Recipe, tmp_path: Path) -> None:
    config = recipe(lora=None, max_steps=2, learning_rate=1e-3, beta=0.1)
    summary = train_grpo(config, tmp_path)
    assert summary["weights"] == "model"
    name = "model.language_model.layers.0.mlp.up_proj.weight"
    before = load_model(config.model, device="cpu").model.state_dict()[name]
    after = load_model(tmp_path / "model", device="cpu").model.state_dict()[name]
    assert not torch.equal(before, after)


@pytest.mark.slow
def test_two_processes_give_the_curve_of_one(recipe: Recipe, tmp_path: Path) -> None:
    """Equal answers, so equal rewards, losses and gradients; what differs is the order of sums."""
    config = recipe(beta=0.1, per_device_train_batch_size=4, gradient_accumulation_steps=2)
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(config.document()), encoding="utf-8")
    train = [
        str(Path(__file__).with_name("given_answers.py")),
        "--debug",
        "train",
        "grpo",
        str(path),
    ]
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    run_python([*train, "--out", str(tmp_path / "one")])
    changes = ["--set", "gradient_accumulation_steps=1"]
    run_python([*launch, *train, *changes, "--out", str(tmp_path / "two")])
    logs = [read_log(tmp_path / name / "log.jsonl") for name in ("one", "two")]
    one, two = ([record for record in log if "reward" in record] for log in logs)
    assert len(one) == len(two) == 4
    assert len({record["reward"] for record in one}) > 1
    for ours, theirs in zip(one, two, strict=True):
        assert theirs["reward"] == pytest.approx(ours["reward"], abs=1e-6)
        assert theirs["loss"] == pytest.approx(ours["loss"], rel=1e-3, abs=1e-6)
        assert theirs["grad_norm"] == pytest.approx(ours["grad_norm"], rel=1e-2) != 0
    assert one[-1]["loss"] != one[0]["loss"]
    ours, theirs = adapter(tmp_path / "one"), adapter(tmp_path / "two")
    for name, weight in ours.items():
        torch.testing.assert_close(theirs[name], weight, rtol=1e-2, atol=1e-3)


def run_python(arguments: list[str]) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_base_of_4_bits_is_trained_on_the_cpu(recipe: Recipe, tmp_path: Path) -> None:
    """The setting of the GRPO report: nf4, double quantisation, paged 8-bit AdamW, its rewards."""
    config = recipe(
        quantisation="nf4", precision="bfloat16", optim="paged_adamw_8bit",
        rewards={
            "tag_presence": 1, "tag_order": 1, "validity_similarity": 1, "exact_match_bonus": 1,
        },
        lora={"r": 16, "lora_alpha": 32, "lora_dropout": 0.05}, max_steps=2, learning_rate=1e-2,
    )  # fmt: skip
    summary = train_grpo(config, tmp_path)
    assert summary["config"]["optim"] == "paged_adamw_8bit"
    weights = adapter(tmp_path)
    assert any(weight.any() for name, weight in weights.items() if "lora_B" in name)
    assert load_model(config.model, tmp_path / "adapter", device="cpu", quantisation="nf4")


def test_without_bitsandbytes_plain_adamw_takes_over_and_says_so(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trl_trainers.importlib.util, "find_spec", lambda name: None)
    assert trl_trainers.available_optimizer(recipe(optim="paged_adamw_8bit")) == "adamw_torch"
    assert "plain AdamW" in capsys.readouterr().err
    assert trl_trainers.available_optimizer(recipe()) == "adamw_torch"
    assert capsys.readouterr().err == ""


def test_fewer_prompts_than_a_step_takes_are_one_sentence(
    recipe: Recipe, short: Path, tmp_path: Path
) -> None:
    config = recipe(data=[{"parquet": str(short), "rows": [0, 1]}])
    with pytest.raises(InputError, match="1 prompts are left, and a step takes 2"):
        train_grpo(config, tmp_path / "run")


def test_vllm_that_is_not_installed_is_one_sentence(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs the Python package 'vllm'"):
        train_grpo(recipe(use_vllm=True, vllm_mode="colocate"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_by_the_clock_ends(recipe: Recipe, tmp_path: Path) -> None:
    summary = train_grpo(recipe(max_steps=None, minutes=0.02), tmp_path)
    assert summary["step"] >= 1
    assert 0.02 <= summary["minutes"] < 0.5


def test_the_command(recipe: Recipe, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(recipe(max_steps=1).document()))
    out = tmp_path / "run"
    done = CliRunner().invoke(train, ["grpo", str(path), "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["step"] == 1
    again = CliRunner().invoke(train, ["grpo", str(path), "--out", str(out)])
    assert isinstance(again.exception, InputError)
    assert "finished result" in str(again.exception)
    wrong = CliRunner().invoke(train, ["grpo", str(path), "--set", "num_generation=3"])
    assert "nearest: 'num_generations'" in str(wrong.exception)
    broken = CliRunner().invoke(
        train, ["grpo", str(path), "--set", "num_generations=3", "--out", str(tmp_path / "other")]
    )
    assert "no multiple of num_generations" in str(broken.exception)


@pytest.mark.slow
def test_two_processes_share_the_groups_of_a_step(recipe: Recipe, tmp_path: Path) -> None:
    """The answers of both are recorded once, in whole groups, and one adapter is written."""
    path, out = tmp_path / "two.yaml", tmp_path / "run"
    config = recipe(device="cpu", per_device_train_batch_size=6, prefilter=None, max_steps=2)
    path.write_text(yaml.safe_dump(config.document()))
    launch = Path(str(files("texlens.train") / "launch" / "ddp.yaml"))
    done = subprocess.run(
        [
            sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(launch),
            "-m", "texlens", "train", "grpo", str(path), "--out", str(out),
        ],
        env=os.environ | {"OMP_NUM_THREADS": "1", "MASTER_PORT": "29512"},
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in (out / "rewards.jsonl").read_text().splitlines()]
    for step in (1, 2):
        groups = Counter(line["id"] for line in lines if line["step"] == step)
        assert sorted(groups.values()) == [4, 4, 4]  # 2 x 6 answers, one group across both
    assert json.loads((out / "run.json").read_text())["processes"] == 2


def test_minutes_are_for_one_process(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="minutes works with one process"):
        train_grpo(recipe(max_steps=None, minutes=1), tmp_path)

"""A run whose reward can be had without reading ends, with the weights that read best."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from texlens.data.parquet import write_examples
from texlens.model.load import EMBEDDED, load_model
from texlens.reading import Reader
from texlens.records import Example
from texlens.render import png_many
from texlens.train.grpo.collapse import find_collapse
from texlens.train.grpo.settings import GrpoConfig
from texlens.train.grpo.train import train_grpo
from texlens.train.run import run_folder


def log_of(
    dev: dict[int, float], rewards: list[float], name: str = "p_exact"
) -> list[dict[str, Any]]:
    """A log with dev values by step, and the reward of each step."""
    records: list[dict[str, Any]] = [{"step": step, name: value} for step, value in dev.items()]
    return records + [{"step": step, "reward": reward} for step, reward in enumerate(rewards, 1)]


RISING = [0.1 * step for step in range(1, 13)]


@pytest.mark.parametrize(
    ("dev", "rewards", "collapses"),
    [
        ({0: 0.6, 4: 0.5, 8: 0.4}, RISING, True),
        ({0: 0.5, 4: 0.6, 8: 0.5, 12: 0.5}, RISING, True),
        ({0: 0.6, 4: 0.5}, RISING, False),  # one value may be low by chance
        ({0: 0.6, 4: 0.5, 8: 0.59}, RISING, False),
        ({0: 0.6, 4: 0.5, 8: 0.4}, RISING[::-1], False),  # it learns nothing, not the wrong thing
        ({0: 0.6, 4: 0.5, 8: 0.4}, [], False),
        ({}, RISING, False),
    ],
)
def test_a_reward_that_rises_while_dev_falls_is_a_collapse(
    dev: dict[int, float], rewards: list[float], collapses: bool
) -> None:
    assert (find_collapse(log_of(dev, rewards), "p", "exact", 0.05) is not None) == collapses


def test_errors_rise_where_others_fall() -> None:
    found = find_collapse(
        log_of({0: 0.1, 4: 0.3, 8: 0.4}, RISING, "p_edit_tokens"), "p", "edit_tokens", 0.05
    )
    assert found is not None
    assert "from 0.100 at step 0 to 0.400" in found


@pytest.mark.slow
def test_a_run_that_is_paid_for_short_answers_ends_with_the_weights_that_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Any answer that ends is paid, so the model learns to end at once."""
    monkeypatch.setattr(run_folder, "write_curves", lambda *_, **__: None)
    formulas = [f"{a} {sign} {b}" for a in "abxyz" for sign in "+-=" for b in "cq1"]
    pictures = [picture for picture in png_many(formulas) if isinstance(picture, bytes)]
    data = tmp_path / "data.parquet"
    write_examples(data, map(Example, map(str, range(len(formulas))), pictures, formulas))
    out = tmp_path / "run"
    summary = train_grpo(
        GrpoConfig.model_validate(
            {
                "model": str(EMBEDDED), "prompt_config": {"max_new_tokens": 6}, "lora": {"r": 8, "lora_alpha": 16},
                "data": [{"parquet": str(data), "rows": [0, 30]}], "rewards": {"finished": 1},
                "dev": [{"name": "printed", "parquet": str(data), "rows": [30, 45]}],
                "dev_metrics": ["exact"], "eval_steps": 5, "temperature": 3.0,
                "num_generations": 8, "per_device_train_batch_size": 16, "gradient_accumulation_steps": 1,
                "learning_rate": 3e-3, "warmup_ratio": 0, "lr_scheduler_type": "constant", "max_steps": 60,
                "logging_steps": 1, "report_to": [], "device": "cpu",
            }
        ),
        out,
    )  # fmt: skip
    assert summary["step"] < 60
    assert "while the reward rose from" in summary["ended_with_best"]
    assert "Its weights are the best ones." in capsys.readouterr().err
    assert summary["dev"]["printed_exact"] < summary["best"]["quality"] - 0.05
    reader = Reader(load_model(EMBEDDED, out / "adapter", device="cpu"), reread=False)
    right = [
        reader.read(picture).normal == formula
        for picture, formula in zip(pictures[30:], formulas[30:], strict=True)
    ]
    assert sum(right) / len(right) == pytest.approx(summary["best"]["quality"], abs=0.07)
    assert json.loads((out / "run.json").read_text()) == summary

"""Weights & Biases, offline: values on the axis of steps, and a table of readings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from texlens.train.sft.settings import SftConfig
from texlens.train.sft.train import train_sft


@pytest.mark.slow
def test_losses_dev_values_and_readings_are_logged(
    tuning: Callable[..., SftConfig], pictures: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    wandb = pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    dev = [{"name": "printed", "parquet": str(pictures), "rows": [40, 50], "sample": 3}]
    config = tuning(
        dev=dev, dev_metrics=["exact"], eval_loss_steps=4, report_to=["wandb"], logging_steps=1
    )
    train_sft(config, tmp_path / "run")
    summary = dict(wandb.run.summary)
    wandb.finish()
    assert {"train/loss", "eval/printed_exact", "eval/printed_loss"} <= summary.keys()
    assert summary["train/global_step"] == 8
    tables = list(tmp_path.glob("wandb/offline-*/files/media/table/readings/printed_*.table.json"))
    assert len(tables) == 3  # of steps 0, 4 and 8
    latest = max(tables, key=lambda path: path.stat().st_mtime)
    readings = (tmp_path / "run" / "dev_printed.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in readings]
    assert json.loads(latest.read_text())["data"] == [[r["id"], r["gt"], r["pred"]] for r in rows]

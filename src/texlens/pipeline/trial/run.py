"""The steps of a trial: every step of the two reports, short.

A model reads some pictures, is trained for some steps of both stages and of GRPO, reads again, is
merged, and reads once more.

    data/           made here, or the first rows of a file
    stage1/ stage2/ grpo/ merged/   as from `texlens train` and `texlens merge`
    steps/NAME.json                 what each step measured; a step that has it is not repeated
    trial.html, trial.json          the page
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

from texlens.data.clean import Limits
from texlens.data.corpora import open_corpus
from texlens.data.parquet import read_examples, write_examples
from texlens.data.prepare import Preparation, prepare
from texlens.errors import InputError
from texlens.metrics.batches import ScoringConfig
from texlens.metrics.scoring import score_predictions
from texlens.model.load import EMBEDDED
from texlens.model.merge import merge_adapter
from texlens.model.qwen_shapes import build_on_meta
from texlens.pipeline.trial.checks import GRPO_VALUES, Size, checks_of
from texlens.pipeline.trial.page import write_page
from texlens.reading import Reader
from texlens.reading.sources import Item
from texlens.records import Prediction
from texlens.runs import (
    begin_or_resume,
    open_out_folder,
    provenance,
    read_json,
    write_json,
)
from texlens.train import fine_tune
from texlens.train.config import load_recipe
from texlens.train.grpo.settings import GrpoConfig
from texlens.train.network.adapters import is_small
from texlens.train.run.curves import read_log
from texlens.train.sft.settings import SftConfig

MARKER = "trial.json"
_METRICS = ("exact", "edit_tokens", "cdm", "brace_valid")
_GRPO_NEW_TOKENS = 200
_DOES = {
    "model": "Looking at the model",
    "data": "Making pictures",
    "base": "Reading with the base",
    "stage1": "Stage 1",
    "stage2": "Stage 2",
    "grpo": "GRPO",
    "tuned": "Reading after stage 2",
    "merged": "Merging, and reading with the merged model",
}
_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Trial:
    """What to try.

    Attributes:
        model: a folder or a name on the hub; None: the embedded model.
        data: a prepared Parquet file to read and train on; None: pictures made here.
        pictures: how many are read.
        steps: of each stage of fine-tuning.
        grpo_steps: of GRPO.
        max_new_tokens: the limit of an answer. Random weights never end one.
        batch_size: pictures read at a time; None: the reader's own.
        device: as in a recipe.
    """

    model: str | None = None
    data: Path | None = None
    pictures: int = 100
    steps: int = 50
    grpo_steps: int = 5
    max_new_tokens: int = 256
    batch_size: int | None = None
    device: str = "auto"


def run_trial(
    trial: Trial, out: Path, *, force: bool = False, quiet: bool = False
) -> dict[str, Any]:
    """Try all steps in `out`, and write the page; the content of `trial.json`.

    Raises InputError when model or data cannot be used, TexlensError when a step fails.
    """
    open_out_folder(out, marker=MARKER, force=force)
    if force:
        for path in (out / "steps").glob("*.json"):
            path.unlink()
    begin_or_resume(out / "steps" / "settings.json", asdict(trial) | {"data": str(trial.data)})
    run = _Run(trial, out, quiet=quiet)
    size = run.step("model", run.size)["size"]
    run.step("data", run.make_data)
    found = {
        "base": run.step("base", run.read),
        "stage1": run.step("stage1", lambda: run.train_stage(1, size)),
        "stage2": run.step("stage2", lambda: run.train_stage(2, size)),
        "grpo": run.step("grpo", lambda: run.train_grpo(size)),
        "tuned": run.step("tuned", lambda: run.read(run.adapter)),
        "merged": run.step("merged", run.read_merged),
    }
    checks = checks_of(found, model=trial.model, size=size, device=run.device_name)
    document = {
        "passed": all(check.verdict != "fail" for check in checks),
        "trial": asdict(trial) | {"data": str(trial.data), "model": trial.model or "embedded"},
        "checks": [asdict(check) for check in checks],
        "versions": provenance("torch", "transformers", "trl", "peft", "bitsandbytes"),
        "device": run.device_name,
    }
    read = {"before training": "base", "after training": "tuned"}
    write_page(document, out, {when: found[step]["answers"] for when, step in read.items()})
    write_json(out / MARKER, document)
    return document


class _Run:
    """The steps of a trial, each of which returns what it measured."""

    def __init__(self, trial: Trial, out: Path, *, quiet: bool) -> None:
        self.trial, self.out, self.quiet = trial, out, quiet
        self.test = out / "data" / "test.parquet"
        self.adapter = str(out / "stage2" / "adapter")

    @property
    def device_name(self) -> str:
        """The GPU, or the CPU."""
        import torch

        on_gpu = torch.cuda.is_available() and self.trial.device != "cpu"
        return torch.cuda.get_device_name() if on_gpu else "CPU"

    def step(self, name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What a step measured, now or before, with its seconds and its peak of memory (GiB)."""
        path = self.out / "steps" / f"{name}.json"
        if path.is_file():
            return read_json(path)
        if not self.quiet:
            print(f"{_DOES[name]} ...", file=sys.stderr, flush=True)
        import torch

        on_gpu = torch.cuda.is_available()
        if on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        began = time.monotonic()
        found = work()
        peak = (
            torch.cuda.max_memory_allocated() / _GIB
            if on_gpu
            else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _GIB
        )
        found |= {"seconds": round(time.monotonic() - began, 1), "peak_gib": round(peak, 2)}
        write_json(path, found)
        return found

    def size(self) -> dict[str, Any]:
        """Which of the shipped recipes fit the model."""
        network = build_on_meta(self.trial.model or EMBEDDED)
        count = sum(parameter.numel() for parameter in network.parameters())
        if is_small(network):
            return {"size": "small", "parameters": count}
        return {"size": "3b" if count < 6e9 else "7b", "parameters": count}

    def make_data(self) -> dict[str, Any]:
        """Files to read and to train on: rows of the given file, or pictures made here."""
        trial, folder = self.trial, self.out / "data"
        training = trial.steps * 8
        if trial.data is None:
            for kind in ("printed", "handwritten"):
                count = 2 * (training + trial.pictures)
                corpus = open_corpus("synthetic", (), seed=1, kind=kind, count=count)
                sizes = (training, 0, trial.pictures)
                preparation = Preparation(corpus, sizes, 1, Limits(max_tokens=60))
                workers = min(8, os.cpu_count() or 1)
                prepare(preparation, folder / kind, workers=workers, quiet=self.quiet, force=True)
            write_examples(self.test, read_examples(folder / "printed" / "test.parquet"))
        else:
            rows = list(read_examples(trial.data, trial.pictures + training))
            if len(rows) <= trial.pictures:
                raise InputError(
                    f"'{trial.data}' has {len(rows)} rows: a trial reads {trial.pictures} and trains "
                    "on others."
                )
            write_examples(self.test, islice(rows, trial.pictures))
            for kind in ("printed", "handwritten"):
                write_examples(folder / kind / "train.parquet", rows[trial.pictures :])
        return {"training": training, "pictures": trial.pictures}

    def read(self, adapter: str | None = None, model: str | None = None) -> dict[str, Any]:
        """Read the test pictures and score them."""
        trial, examples = self.trial, list(read_examples(self.test))
        reader = Reader(
            model or trial.model, adapter, device=trial.device, batch_size=trial.batch_size,
            max_new_tokens=trial.max_new_tokens, constrained=False, reread=False,
        )  # fmt: skip
        began = time.monotonic()
        readings = list(reader.read_many(Item(e.id, e.image) for e in examples))
        seconds = time.monotonic() - began
        pairs = zip(examples, readings, strict=True)
        predictions = [Prediction(e.id, e.latex_formula, r.normal) for e, r in pairs]
        scores = score_predictions(predictions, ScoringConfig(_METRICS), quiet=True).scores
        return {
            "scores": {key: score.value for key, score in scores.items()},
            "pictures_per_second": len(examples) / seconds,
            "answers": [reading.normal for reading in readings],
            "errors": sum(reading.error is not None for reading in readings),
            "sources": sorted({example.source for example in examples}),
        }

    def train_stage(self, number: int, size: Size) -> dict[str, Any]:
        """Some steps of a stage of fine-tuning, with the settings of the shipped recipe."""
        kind = "printed" if number == 1 else "handwritten"
        changes: dict[str, Any] = {"save_optimizer": number == 1, "continue_optimizer": number == 2}
        changes["adapter"] = str(self.out / "stage1" / "adapter") if number == 2 else None
        config = load_recipe(
            f"sft_{kind}_{size}", SftConfig, self._short(kind, self.trial.steps) | changes
        )
        out = self.out / f"stage{number}"
        fine_tune(config, out, overwrite=True)
        log = [record for record in read_log(out / "log.jsonl") if "loss" in record]
        part = max(1, len(log) // 5)
        return {
            "steps": len(log),
            "loss": [
                fmean(record["loss"] for record in some) for some in (log[:part], log[-part:])
            ],
            "examples_per_second": fmean(record["examples_per_second"] for record in log[part:]),
        }

    def train_grpo(self, size: Size) -> dict[str, Any]:
        """Some steps of GRPO from the base, as the GRPO report began."""
        changes = self._short("printed", self.trial.grpo_steps)
        changes |= {"adapter": None, "adapter_use": "continue", "completion_page_steps": 10**6}
        # Prompts whose reference is longer are left out: a trial that reads shortly needs some too.
        longest = max(self.trial.max_new_tokens, _GRPO_NEW_TOKENS)
        changes |= {"prompt_config.max_new_tokens": longest}
        if size == "small":
            changes |= {"num_generations": 4, "per_device_train_batch_size": 16}
        out = self.out / "grpo"
        fine_tune(load_recipe(f"grpo_{size}", GrpoConfig, changes), out, overwrite=True)
        log = [record for record in read_log(out / "log.jsonl") if "reward" in record]
        return {"steps": len(log)} | {
            name: fmean(record[name] for record in log if name in record)
            for name in GRPO_VALUES
            if any(name in record for record in log)
        }

    def read_merged(self) -> dict[str, Any]:
        """Merge the adapter of stage 2, and read with the merged model."""
        folder = self.out / "merged"
        if not (folder / "merge.json").is_file():
            folder.mkdir(exist_ok=True)
            merge_adapter(self.adapter, folder, model=self.trial.model)
        return self.read(model=str(folder))

    def _short(self, kind: str, steps: int) -> dict[str, Any]:
        """The changes that make a shipped recipe a short run on the trial's data."""
        return {
            "model": self.trial.model, "device": self.trial.device, "dev": [],
            "metric_for_best_model": None, "data": [
                {"parquet": str(self.out / "data" / kind / "train.parquet")}
            ],
            "prompt_config.max_new_tokens": self.trial.max_new_tokens,
            "max_steps": steps, "minutes": None, "num_train_epochs": None,
            "schedule_steps": None, "schedule_start": 0, "warmup_ratio": 0.05,
            "logging_steps": 1, "save_steps": 10**6, "report_to": [],
        }  # fmt: skip

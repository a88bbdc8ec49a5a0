"""From corpora to a report: prepare, evaluate the base, train stage by stage, evaluate, compare.

The folder of a pipeline:

    data/SET/               what `texlens data prepare` writes
    audit/                  what the sets share with one another
    evaluations/SET/MODEL/  what `texlens evaluate` writes; MODEL is `base` or a stage's name
    stages/STAGE/           what `texlens train` writes
    report/index.html       the report; beside it `compare.html`, `compare.md`, `compare.json`
    steps/                  what each step was asked (`steps`)

Every step calls what the command of its name calls, so that each part can be repeated by hand.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from texlens.data.audit import audit
from texlens.data.clean import Limits
from texlens.data.corpora import open_corpus
from texlens.data.prepare import MARKER as PREPARED
from texlens.data.prepare import Preparation, prepare
from texlens.errors import InputError
from texlens.evaluate.compare.comparison import MARKER as COMPARED
from texlens.evaluate.compare.comparison import compare
from texlens.evaluate.compare.runs import open_run
from texlens.evaluate.run import DataSet, evaluate
from texlens.metrics.batches import ScoringConfig
from texlens.metrics.registry import check_keys
from texlens.metrics.report.files import MARKER as SCORED
from texlens.model.load import EMBEDDED
from texlens.pipeline.config import PipelineConfig, SetPlan, Stage
from texlens.pipeline.page import write_index
from texlens.pipeline.steps import Steps, hash_files
from texlens.reading import Reader
from texlens.runs import open_out_folder
from texlens.train.grpo.settings import GrpoConfig
from texlens.train.grpo.train import train_grpo
from texlens.train.run.config import load_recipe
from texlens.train.run.run_folder import MARKER as TRAINED
from texlens.train.sft.settings import SftConfig
from texlens.train.sft.train import train_sft

BASE = "base"
_WEIGHTS = (".safetensors", ".json")


@dataclass(frozen=True, slots=True)
class Weights:
    """A model to read with: `model` and `adapter` as `Reader` takes them."""

    name: str
    model: str | None
    adapter: str | None

    def hash(self) -> str:
        """Of all that a reading depends on; a hub name stands for itself."""
        places = [str(EMBEDDED) if self.model is None else self.model, self.adapter]
        parts = [
            hash_files([Path(place)], suffixes=_WEIGHTS) if Path(place).is_dir() else place
            for place in places
            if place is not None
        ]
        return " + ".join(parts)


def run_pipeline(config: PipelineConfig, out: Path, *, quiet: bool = False) -> dict[str, Any]:
    """Run a pipeline in `out`; what is done there already, by the same inputs, is kept.

    Args:
        config: what to do.
        out: the folder to work in; the report is `out/report/index.html`.
        quiet: say nothing on the way.

    Returns:
        The content of `compare.json`.

    Raises:
        InputError: a corpus, a recipe or the model cannot be used. That every file is there and
            every recipe whole is seen before the first step runs.
    """
    for name, plan in config.sets.items():
        for file in (*plan.files, *([plan.captions] if plan.captions else [])):
            if not file.exists():
                raise InputError(f"There is no '{file}', which the set '{name}' is made of.")
    story = _Story(config, out, Steps(out, quiet=quiet))
    for place, stage in enumerate(config.stages):
        # A mistake in the last stage must not cost the hours of the first.
        story.recipe(stage, Weights(BASE, config.model, "to be trained" if place else None))
    for number, (name, plan) in enumerate(config.sets.items()):
        story.prepare(name, plan, number)
    story.check_splits()
    story.audit()
    weights = Weights(BASE, config.model, None)
    models = [weights]
    story.evaluate(weights)
    for stage in config.stages:
        weights = story.train(stage, weights)
        models.append(weights)
        story.evaluate(weights)
    return story.compare(models)


@dataclass(frozen=True)
class _Story:
    config: PipelineConfig
    out: Path
    steps: Steps

    # ---- data -----------------------------------------------------------------------------------

    def prepare(self, name: str, plan: SetPlan, number: int) -> None:
        """Make a set. Sets have seeds of their own, so that none repeats another's formulas."""
        seed = self.config.seed * 1000 + number
        source = open_corpus(
            plan.source,
            plan.files,
            captions=plan.captions,
            subset=plan.subset,
            kind=plan.kind,
            vary_ink=plan.vary_ink,
            seed=seed,
            count=plan.count,
        )
        sizes = plan.sizes or source.sizes
        data_plan = Preparation(source, sizes, seed, Limits(max_tokens=plan.max_tokens))
        files = [*plan.files, *([plan.captions] if plan.captions else [])]
        self.steps.run(
            f"prepare_{name}",
            {"plan": plan.model_dump(mode="json"), "seed": seed, "files": hash_files(files)},
            self._data(name) / PREPARED,
            lambda: prepare(
                data_plan,
                self._data(name),
                workers=self.config.workers,
                quiet=self.steps.quiet,
            ),
        )

    def check_splits(self) -> None:
        """Every set is tested on, and what is trained on has something to train on."""
        trained = {name for stage in self.config.stages for name in (*stage.data, *stage.rehearse)}
        for name in self.config.sets:
            for split in ("test", *(["train"] if name in trained else [])):
                if not self._counts(name).get(split):
                    raise InputError(
                        f"The set '{name}' has no {split} items: change its sizes or its count."
                    )

    def audit(self) -> None:
        """Find what the sets share; the report shows it."""
        folders = [self._data(name) for name in self.config.sets]
        self.steps.run(
            "audit",
            {"data": [self._data_hash(name) for name in self.config.sets]},
            self.out / "audit" / "audit.json",
            lambda: audit(folders, self.out / "audit"),
        )

    def _data(self, name: str) -> Path:
        return self.out / "data" / name

    def _dataset(self, name: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self._data(name) / PREPARED).read_text("utf-8"))
        return document

    def _counts(self, name: str) -> dict[str, int]:
        counts: dict[str, int] = self._dataset(name)["counts"]
        return counts

    def _data_hash(self, name: str) -> str:
        return str(self._dataset(name)["content_hash"])

    # ---- training -------------------------------------------------------------------------------

    def recipe(self, stage: Stage, start: Weights) -> SftConfig | GrpoConfig:
        """A stage's recipe with the pipeline's model, data, dev sets and seed."""
        data: list[dict[str, Any]] = [{"parquet": self._split(n, "train")} for n in stage.data]
        data += [
            {"parquet": self._split(name, "train"), "share": share}
            for name, share in stage.rehearse.items()
        ]
        prepared = [n for n in self.config.sets if (self._data(n) / PREPARED).is_file()]
        dev = [
            {"name": name.replace("_", ""), "parquet": self._split(name, "validation")}
            for name in prepared
            if self._counts(name).get("validation")
        ]
        changes: dict[str, Any] = {
            "model": start.model,
            "adapter": start.adapter,
            "data": data,
            "dev": dev,
            "best": None,
            "seed": self.config.seed,
        }
        if stage.job == "sft":
            return load_recipe(stage.recipe, SftConfig, changes | stage.settings)
        return load_recipe(stage.recipe, GrpoConfig, changes | stage.settings)

    def train(self, stage: Stage, start: Weights) -> Weights:
        """Train a stage from the weights of the one before it."""
        recipe = self.recipe(stage, start)
        out = self.out / "stages" / stage.name
        names = dict.fromkeys((*stage.data, *stage.rehearse, *self.config.sets))

        def work() -> None:
            open_out_folder(out, marker=TRAINED, force=False)
            if isinstance(recipe, GrpoConfig):
                train_grpo(recipe, out)
            else:
                train_sft(recipe, out)

        self.steps.run(
            f"train_{stage.name}",
            {
                "recipe": recipe.document(),
                "start": start.hash(),
                "data": {name: self._data_hash(name) for name in names},
            },
            out / TRAINED,
            work,
        )
        merged = out / "base"  # GRPO on an adapter that was merged first
        if recipe.lora is None:
            return Weights(stage.name, str(out / "model"), None)
        model = str(merged) if merged.is_dir() else start.model
        return Weights(stage.name, model, str(out / "adapter"))

    def _split(self, name: str, split: str) -> str:
        return str(self._data(name) / f"{split}.parquet")

    # ---- evaluating and comparing ---------------------------------------------------------------

    def evaluate(self, weights: Weights) -> None:
        """Read and score the test part of every set."""
        reading = self.config.reading
        plan = ScoringConfig(check_keys(reading.metrics))
        reader: list[Reader] = []  # opened when the first set needs it

        def read(name: str) -> None:
            if not reader:
                reader.append(
                    Reader(
                        weights.model,
                        weights.adapter,
                        batch_size=reading.batch_size,
                        constrained=reading.constrained,
                        reread=reading.reread,
                    )
                )
            evaluate(
                reader[0],
                DataSet(Path(self._split(name, "test")), reading.limit),
                self._evaluation(name, weights),
                plan,
                workers=self.config.workers,
                quiet=self.steps.quiet,
            )

        for name in self.config.sets:
            self.steps.run(
                f"evaluate_{weights.name}_{name}",
                {
                    "weights": weights.hash(),
                    "data": self._data_hash(name),
                    "reading": reading.model_dump(mode="json"),
                },
                self._evaluation(name, weights) / SCORED,
                partial(read, name),
            )

    def compare(self, models: list[Weights]) -> dict[str, Any]:
        """Compare all models on all sets, and write the report."""
        report = self.out / "report"
        runs = [
            open_run(self._evaluation(name, weights), model=weights.name, set=name)
            for weights in models
            for name in self.config.sets
        ]
        heading = [self.config.heading] if self.config.heading else []
        self.steps.run(
            "compare",
            {
                "runs": [[r.set, r.model, hash_files([r.folder / SCORED])] for r in runs],
                "heading": self.config.heading,
                "reported": self.config.reported,
            },
            report / COMPARED,
            lambda: compare(
                runs,
                report,
                data=[Path(self._split(name, "test")) for name in self.config.sets],
                reported=self.config.reported,
                title="Comparison",
                introduction=heading,
            ),
        )
        write_index(self.out, self.config, runs, self.steps.records)
        document: dict[str, Any] = json.loads((report / COMPARED).read_text("utf-8"))
        return document

    def _evaluation(self, name: str, weights: Weights) -> Path:
        return self.out / "evaluations" / name / weights.name

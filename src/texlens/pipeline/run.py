"""Run a pipeline: prepare data, evaluate the base model, train in stages, evaluate each, compare.

The folder of a pipeline:

    data/SET/               as from `texlens data prepare`
    audit/                  what the sets share with one another
    evaluations/SET/MODEL/  as from `texlens evaluate`; MODEL is `base` or the name of a stage
    stages/STAGE/           as from `texlens train`; STAGE_merged as from `texlens merge`
    report/index.html       the report; beside it `compare.html`, `compare.md`, `compare.json`
    steps/                  the inputs and the state of each step (`texlens.pipeline.steps`)

Every step calls the function behind the command of its name, so each can be repeated by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
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
from texlens.model.merge import MARKER as MERGED
from texlens.model.merge import merge_adapter
from texlens.pipeline.config import PipelineConfig, SetPlan, Stage
from texlens.pipeline.page import write_index
from texlens.pipeline.steps import Steps, hash_files
from texlens.reading import Reader
from texlens.runs import open_out_folder, read_json
from texlens.train import fine_tune
from texlens.train.config import load_recipe
from texlens.train.grpo.settings import MERGED_BASE, GrpoConfig
from texlens.train.run.run_folder import MARKER as TRAINED
from texlens.train.sft.settings import SftConfig


@dataclass(frozen=True, slots=True)
class Weights:
    """A model to evaluate: `model` and `adapter` are those of `Reader`."""

    name: str
    model: str | None
    adapter: str | None = None

    def hash(self) -> str:
        """A hash of the weights' files; a hub name represents itself."""
        places = filter(None, [self.model or str(EMBEDDED), self.adapter])
        return " + ".join(
            hash_files([Path(place)], suffixes=(".safetensors", ".json"))
            if Path(place).is_dir()
            else place
            for place in places
        )


def run_pipeline(config: PipelineConfig, out: Path, *, quiet: bool = False) -> dict[str, Any]:
    """Run a pipeline in `out`. Finished steps are kept if their inputs have not changed.

    Args:
        config: what to do.
        out: the folder to work in; the report is `out/report/index.html`.
        quiet: show no progress.

    Returns:
        The content of `compare.json`.

    Raises:
        InputError: a corpus, a recipe or the model cannot be used. Missing files and wrong recipes
            are found before the first step runs.
    """
    for name, plan in config.sets.items():
        for file in plan.all_files:
            if not file.exists():
                raise InputError(f"There is no '{file}', which the set '{name}' needs.")
    base = Weights("base", config.model)
    pipeline = _Pipeline(config, out, Steps(out, quiet=quiet))
    for number, stage in enumerate(config.stages):
        # A mistake in the last recipe must not cost the hours of the first.
        adapter = "not trained yet" if number else None
        pipeline.recipe(stage, Weights(base.name, base.model, adapter))
    for number, (name, plan) in enumerate(config.sets.items()):
        pipeline.prepare(name, plan, number)
    pipeline.check_splits()
    pipeline.audit()
    models = [base]
    pipeline.evaluate(base)
    for stage in config.stages:
        models.append(pipeline.train(stage, models[-1]))
        pipeline.evaluate(models[-1])
    return pipeline.compare(models)


@dataclass(frozen=True)
class _Pipeline:
    config: PipelineConfig
    out: Path
    steps: Steps

    # ---- data -----------------------------------------------------------------------------------

    def prepare(self, name: str, plan: SetPlan, number: int) -> None:
        """Prepare a set. Each set has its own seed, so that no two have the same formulas."""
        seed = self.config.seed * 1000 + number if plan.seed is None else plan.seed
        options = plan.model_dump(
            include={"captions", "subset", "kind", "vary_ink", "count", "revision"}
        )
        limits = Limits(max_tokens=plan.max_tokens)
        folder, files = self._data(name), hash_files(plan.all_files)

        def work() -> None:
            source = open_corpus(plan.source, plan.files, seed=seed, **options)
            sizes = plan.sizes or source.sizes
            preparation = Preparation(source, sizes, seed, limits, order=plan.order)
            prepare(preparation, folder, workers=self.config.workers, quiet=self.steps.quiet)

        self.steps.run(
            f"prepare_{name}",
            {"plan": plan.model_dump(mode="json"), "seed": seed, "files": files},
            folder / PREPARED,
            work,
        )

    def check_splits(self) -> None:
        """Check that every set has test items, and that sets for training have training items."""
        trained = {name for stage in self.config.stages for name in stage.sets}
        for name in self.config.sets:
            for split in ("test", *(["train"] if name in trained else [])):
                if not self._dataset(name)["counts"].get(split):
                    raise InputError(
                        f"The set '{name}' has no {split} items: change its sizes or its count."
                    )

    def audit(self) -> None:
        """Find the formulas and pictures that sets share."""
        folders = [self._data(name) for name in self.config.sets]
        self.steps.run(
            "audit",
            {"data": [self._dataset(name)["content_hash"] for name in self.config.sets]},
            self.out / "audit" / "audit.json",
            lambda: audit(folders, self.out / "audit"),
        )

    def _data(self, name: str) -> Path:
        return self.out / "data" / name

    def _split(self, name: str, split: str) -> Path:
        return self._data(name) / f"{split}.parquet"

    def _dataset(self, name: str) -> dict[str, Any]:
        return read_json(self._data(name) / PREPARED)

    # ---- training -------------------------------------------------------------------------------

    def recipe(self, stage: Stage, start: Weights) -> SftConfig | GrpoConfig:
        """A stage's recipe with the pipeline's model, data, dev sets and seed."""
        ratios = [*((name, None) for name in stage.data), *stage.rehearse.items()]
        data = [
            {"parquet": str(self._split(name, "train")), "mixing_ratio": ratio}
            for name, ratio in ratios
        ]
        dev = [
            {"name": name.replace("_", ""), "parquet": str(self._split(name, "validation"))}
            for name in self.config.sets
            if self._has_validation(name)
        ]
        changes: dict[str, Any] = {
            "model": start.model,
            "adapter": start.adapter,
            "data": data,
            "dev": dev,
            "metric_for_best_model": None,
            "seed": self.config.seed,
        }
        kind: type[SftConfig | GrpoConfig] = SftConfig if stage.job == "sft" else GrpoConfig
        return load_recipe(stage.recipe, kind, changes | stage.settings)

    def _has_validation(self, name: str) -> bool:
        """Whether a set has validation items, by its plan where it is not prepared yet."""
        if (self._data(name) / PREPARED).is_file():
            return bool(self._dataset(name)["counts"].get("validation"))
        sizes = self.config.sets[name].sizes
        return sizes is None or sizes[1] > 0

    def train(self, stage: Stage, start: Weights) -> Weights:
        """Train a stage from the weights of the previous one."""
        recipe = self.recipe(stage, start)
        out = self.out / "stages" / stage.name
        names = dict.fromkeys((*stage.sets, *self.config.sets))

        def work() -> None:
            open_out_folder(out, marker=TRAINED, force=False)
            fine_tune(recipe, out)

        self.steps.run(
            f"train_{stage.name}",
            {
                "recipe": recipe.document(),
                "start": start.hash(),
                "data": {name: self._dataset(name)["content_hash"] for name in names},
            },
            out / TRAINED,
            work,
        )
        chosen = "best" if stage.best else "model" if recipe.lora is None else "adapter"
        if recipe.lora is None:
            return Weights(stage.name, str(out / chosen))
        merged = out / MERGED_BASE  # GRPO merges the adapter it starts from
        model = str(merged) if merged.is_dir() else start.model
        trained = Weights(stage.name, model, str(out / chosen))
        return self.merge(trained) if stage.merge else trained

    def merge(self, weights: Weights) -> Weights:
        """Add a stage's adapter to its base, as `texlens merge` does."""
        assert weights.adapter is not None
        adapter = weights.adapter
        out = self.out / "stages" / f"{weights.name}_merged"

        def work() -> None:
            open_out_folder(out, marker=MERGED, force=False)
            merge_adapter(adapter, out, model=weights.model or EMBEDDED)

        self.steps.run(f"merge_{weights.name}", {"weights": weights.hash()}, out / MERGED, work)
        return Weights(weights.name, str(out))

    # ---- evaluating and comparing ---------------------------------------------------------------

    def evaluate(self, weights: Weights) -> None:
        """Read and score the test split of every set."""
        reading = self.config.reading
        scoring = ScoringConfig(check_keys(reading.metrics))
        options = reading.model_dump(exclude={"limit", "metrics"})
        open_reader = cache(partial(Reader, weights.model, weights.adapter, **options))

        def work(name: str) -> None:
            evaluate(
                open_reader(),
                DataSet(self._split(name, "test"), reading.limit),
                self._evaluation(name, weights),
                scoring,
                workers=self.config.workers,
                quiet=self.steps.quiet,
            )

        for name in self.config.sets:
            self.steps.run(
                f"evaluate_{weights.name}_{name}",
                {
                    "weights": weights.hash(),
                    "data": self._dataset(name)["content_hash"],
                    "reading": reading.model_dump(mode="json"),
                },
                self._evaluation(name, weights) / SCORED,
                partial(work, name),
            )

    def compare(self, models: list[Weights]) -> dict[str, Any]:
        """Compare all models on all sets, and write the report."""
        config, report = self.config, self.out / "report"
        runs = [
            open_run(self._evaluation(name, weights), model=weights.name, set=name)
            for weights in models
            for name in config.sets
        ]
        self.steps.run(
            "compare",
            {
                "runs": [[r.set, r.model, hash_files([r.source / SCORED])] for r in runs],
                "heading": config.heading,
                "reported": config.reported,
            },
            report / COMPARED,
            lambda: compare(
                runs,
                report,
                data=[self._split(name, "test") for name in config.sets],
                reported=config.reported,
                title="Comparison",
                introduction=[config.heading] if config.heading else [],
            ),
        )
        write_index(self.out, config, runs, self.steps.records)
        return read_json(report / COMPARED)

    def _evaluation(self, name: str, weights: Weights) -> Path:
        return self.out / "evaluations" / name / weights.name

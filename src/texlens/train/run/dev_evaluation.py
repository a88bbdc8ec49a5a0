"""Evaluating the network under training on the dev sets of its recipe."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from texlens import runs
from texlens.latex import normalize
from texlens.metrics.batches import ScoringConfig
from texlens.metrics.registry import check_keys, goodness
from texlens.metrics.scoring import score_predictions
from texlens.model.load import Loaded
from texlens.model.merge import merged
from texlens.reading import Reader
from texlens.reading.backends.base import graphs_of, has_onnxruntime
from texlens.reading.sources import Item
from texlens.records import Example, Prediction
from texlens.train.data.examples import dev_examples
from texlens.train.network.adapters import is_small
from texlens.train.network.compiled import without_compilation
from texlens.train.run.processes import (
    from_main,
    gathered_weights,
    is_main_process,
    joined,
    my_share,
)
from texlens.train.settings import FineTuningConfig

DevValues = dict[str, dict[str, float | None]]
"""The value of each metric (0..1) on each dev set, by their names; None where it is not defined."""


class DevEvaluator:
    """The dev sets of a recipe, by name, and their metrics.

    `batch_size` is the number of pictures read at a time; None: the reader's own. `smallest` is the
    least width and height of a framed picture. With `shared` the processes of a run share the reading:
    all of them must evaluate, and all get the values.
    """

    def __init__(
        self,
        sets: Mapping[str, Sequence[Example]],
        metrics: Sequence[str],
        *,
        batch_size: int | None = None,
        smallest: tuple[int, int] = (0, 0),
        shared: bool = False,
    ) -> None:
        self.scoring = ScoringConfig(check_keys(metrics)) if metrics else None
        self.sets = dict(sets) if metrics else {}
        self.batch_size, self.smallest, self.shared = batch_size, smallest, shared

    def evaluate(self, loaded: Loaded, out: Path) -> DevValues:
        """Read and score every set; `out` gets the predictions as `dev_NAME.jsonl`.

        Afterwards the network is in training mode again if it was before.
        """
        was_training = loaded.model.training
        loaded.model.eval()
        try:
            with gathered_weights(loaded.model):
                # The network alone: constraints and reading again would hide what it has learnt.
                copied = _for_reading(loaded)
                with tempfile.TemporaryDirectory() as folder:
                    reader = Reader(
                        _saved_for_onnx(copied, Path(folder)) or copied,
                        batch_size=self.batch_size,
                        constrained=False,
                        reread=False,
                    )
                if reader.frame is not None:
                    reader.frame = replace(reader.frame, smallest=self.smallest)
                with _half_precision(copied.model), without_compilation(copied.model):
                    answers = {
                        name: self._read(reader, examples) for name, examples in self.sets.items()
                    }
            if not self.shared or is_main_process():
                values = {name: self._score(name, latex, out) for name, latex in answers.items()}
            else:
                values = {}
            return from_main(values) if self.shared else values
        finally:
            loaded.model.train(was_training)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _read(self, reader: Reader, examples: Sequence[Example]) -> list[str]:
        """The LaTeX that the model reads in each picture, in normal form."""
        items = [Item(name=str(i), picture=e.image) for i, e in enumerate(examples)]
        mine = my_share(items) if self.shared else items
        answers = [reading.normal for reading in reader.read_many(mine)]
        return joined(answers, len(items)) if self.shared else answers

    def _score(self, name: str, answers: Sequence[str], out: Path) -> dict[str, float | None]:
        """Score the answers to a set's pictures, and write them beside the references."""
        assert self.scoring is not None
        predictions = [
            Prediction(f"{i}", " ".join(normalize(example.latex_formula).split()), latex)
            for i, (example, latex) in enumerate(zip(self.sets[name], answers, strict=True))
        ]
        runs.write_json_lines(
            out / f"dev_{name}.jsonl",
            ({"id": p.id, "gt": p.gt, "pred": p.pred} for p in predictions),
        )
        scores = score_predictions(predictions, self.scoring, quiet=True).scores
        return {key: score.value for key, score in scores.items()}


def dev_evaluator(config: FineTuningConfig) -> DevEvaluator:
    """The dev sets of a fine-tuning recipe. Raises InputError when a file cannot be read."""
    return DevEvaluator(
        {dev.name: dev_examples(dev) for dev in config.dev},
        config.dev_metrics,
        batch_size=config.per_device_eval_batch_size,
        shared=True,
    )


def _half_precision(network: Any) -> torch.autocast:
    """Arithmetic in bfloat16 where frozen weights are kept in it and trained ones are not."""
    kinds = {parameter.dtype for parameter in network.parameters()}
    return torch.autocast(network.device.type, torch.bfloat16, enabled=torch.bfloat16 in kinds)


def _for_reading(loaded: Loaded) -> Loaded:
    """The network as it reads fastest: a small one as a copy in float32, its adapter merged."""
    network = loaded.model
    if getattr(network, "is_loaded_in_4bit", False) or not is_small(network):
        return loaded
    network = merged(copy.deepcopy(network).float())
    return Loaded(network.eval(), loaded.processor, loaded.prompt_config)


def _saved_for_onnx(loaded: Loaded, folder: Path) -> Path | None:
    """The folder with the network's weights, where onnxruntime reads them; else None."""
    if loaded.model.device.type != "cpu" or hasattr(loaded.model, "peft_config"):
        return None
    loaded.model.config.save_pretrained(folder)
    if graphs_of(folder) is None or not has_onnxruntime():
        return None
    for part in (loaded.model, loaded.processor):
        part.save_pretrained(folder)
    loaded.prompt_config.save(folder)
    return folder


def values_by_name(results: DevValues) -> dict[str, float]:
    """The values of all sets by `SET_METRIC`, as the log has them."""
    return {
        f"{name}_{key}": round(value, 5)
        for name, values in results.items()
        for key, value in values.items()
        if value is not None
    }


def quality_of(results: DevValues, metric: tuple[str, str]) -> float:
    """The chosen metric of the chosen set on a scale where 1 is perfect, whatever the metric."""
    name, key = metric
    value = results[name][key]
    return 0.0 if value is None else goodness(key, value)

"""Reading fixed pictures with the network under training, so that one sees what it can do."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from texlens import runs
from texlens.latex import normalize
from texlens.metrics.batches import ScoringConfig
from texlens.metrics.registry import check_keys, goodness
from texlens.metrics.scoring import score_predictions
from texlens.model.load import Loaded
from texlens.reading import Reader
from texlens.reading.sources import Item
from texlens.records import Example, Prediction
from texlens.train.run.adapters import is_small
from texlens.train.run.examples import dev_examples
from texlens.train.run.settings import DevSet


@dataclass(frozen=True, slots=True)
class Readings:
    """One reading of a dev set: the predictions, and the value of each metric (0..1)."""

    name: str
    predictions: tuple[Prediction, ...]
    values: dict[str, float | None]


class DevReader:
    """The dev sets of a recipe, opened once, and their metrics."""

    def __init__(self, sets: Sequence[DevSet], metrics: Sequence[str]) -> None:
        self.plan = ScoringConfig(check_keys(metrics)) if metrics else None
        self.sets: list[tuple[str, list[Example]]] = [
            (dev.name, dev_examples(dev)) for dev in sets if metrics
        ]

    def read(self, loaded: Loaded, out: Path | None = None) -> list[Readings]:
        """Read and score every set; `out` gets the predictions as `dev_NAME.jsonl`.

        The network is left as it was, in training mode or not.
        """
        if self.plan is None or not self.sets:
            return []
        was_training = loaded.model.training
        loaded.model.eval()
        try:
            # The network alone: constraints and reading again would hide what it has learnt.
            copied = readable(loaded)
            reader = Reader(copied, constrained=False, reread=False)
            with _half_precision(copied.model):
                results = [self._read_set(reader, name, examples) for name, examples in self.sets]
        finally:
            loaded.model.train(was_training)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        if out is not None:
            for result in results:
                runs.write_json_lines(
                    out / f"dev_{result.name}.jsonl",
                    ({"id": p.id, "gt": p.gt, "pred": p.pred} for p in result.predictions),
                )
        return results

    def _read_set(self, reader: Reader, name: str, examples: Sequence[Example]) -> Readings:
        assert self.plan is not None
        items = [Item(name=str(i), picture=e.image) for i, e in enumerate(examples)]
        predictions = tuple(
            Prediction(f"{i}", " ".join(normalize(example.latex_formula).split()), reading.latex)
            for i, (example, reading) in enumerate(
                zip(examples, reader.read_many(items), strict=True)
            )
        )
        scores = score_predictions(predictions, self.plan, quiet=True).scores
        return Readings(name, predictions, {key: score.value for key, score in scores.items()})


def _half_precision(network: Any) -> torch.autocast:
    """Arithmetic in bfloat16 where frozen weights are kept in it and trained ones are not."""
    kinds = {parameter.dtype for parameter in network.parameters()}
    return torch.autocast(network.device.type, torch.bfloat16, enabled=torch.bfloat16 in kinds)


def readable(loaded: Loaded) -> Loaded:
    """The network as it reads fastest: a small one as a copy in float32, its adapter merged."""
    network = loaded.model
    if getattr(network, "is_loaded_in_4bit", False) or not is_small(network):
        return loaded
    network = copy.deepcopy(network).float()
    if hasattr(network, "merge_and_unload"):
        network = network.merge_and_unload()
    return Loaded(network.eval(), loaded.processor, loaded.prompt_config)


def record_of(readings: Sequence[Readings]) -> dict[str, float]:
    """The values of all sets, by `SET_METRIC`, as the log holds them."""
    return {
        f"{reading.name}_{key}": round(value, 5)
        for reading in readings
        for key, value in reading.values.items()
        if value is not None
    }


def goodness_of(readings: Sequence[Readings], best: tuple[str, str]) -> float:
    """How good the chosen metric of the chosen set is: 1 is perfect, whatever the metric."""
    name, key = best
    value = next(reading.values[key] for reading in readings if reading.name == name)
    return 0.0 if value is None else goodness(key, value)

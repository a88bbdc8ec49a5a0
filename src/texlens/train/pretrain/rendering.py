"""The rendered pictures of a training run: formulas of a recipe, rendered while the run trains.

The shards go to a folder of the run. Each depends on the seed and its number alone, so a run that
was killed resumes with the same pictures: shards that exist are kept, the others are rendered.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from random import Random

from texlens.data.formulas.sources import FormulaSource
from texlens.data.pictures.printed import PrintedShards
from texlens.data.pictures.shards import write_shards
from texlens.latex import normalize
from texlens.runs import write_text
from texlens.train.pretrain.augmentation import read_columns
from texlens.train.pretrain.settings import FormulaList, PictureSource

PICTURES_PER_SHARD = 1000
_CURRICULUM = 0.2  # part of the shards in which the longest formula grows
_SAMPLED_FORMULAS = 20_000  # for the tokeniser; as many as a list has lines when it has more


class Rendering:
    """Renders a source's formulas into `folder`, in processes of their own."""

    def __init__(self, source: PictureSource, folder: Path, *, max_tokens: int, seed: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.lists = tuple(
            FormulaSource(part.kind, part.weight, _text_file(part, folder, number))
            for number, part in enumerate(source.formulas)
        )
        per_shard = min(PICTURES_PER_SHARD, source.pictures)
        self.shards = -(-source.pictures // per_shard)
        self.source = PrintedShards(
            self.lists,
            per_shard,
            seed,
            curriculum_shards=int(self.shards * _CURRICULUM),
            max_tokens=max_tokens,
        )
        self.error: Exception | None = None
        self._stop = threading.Event()

    def sample(self) -> list[str]:
        """Formulas in normal form as they will be rendered, to build the tokeniser from.

        Raises InputError when a list cannot be read or is empty.
        """
        random = Random(self.source.seed)
        total = sum(source.weight for source in self.lists)
        formulas = []
        for source in self.lists:
            sample = source.sampler()
            count = round(_SAMPLED_FORMULAS * source.weight / total)
            formulas += [sample(random) for _ in range(count)]
            if source.kind in ("list", "varied") and source.path is not None:
                formulas += map(normalize, source.path.read_text(encoding="utf-8").splitlines())
        return formulas

    def start(self, processes: int | None) -> None:
        """Begin in the background; None: all cores but two, and two at least (one runs in-process)."""
        cores = os.cpu_count() or 1
        thread = threading.Thread(
            target=self._render, args=(processes or max(2, cores - 2),), daemon=True
        )
        thread.start()

    def stop(self) -> None:
        """End after the shards that are being rendered."""
        self._stop.set()

    def _render(self, processes: int) -> None:
        try:
            for _ in write_shards(self.source, self.folder, self.shards, workers=processes):
                if self._stop.is_set():
                    return
        except Exception as error:  # it is raised where training waits for pictures
            self.error = error


def _text_file(part: FormulaList, folder: Path, number: int) -> Path | None:
    """A list's file with one formula a line; Parquet is written out into the folder."""
    if part.path is None or part.path.suffix != ".parquet":
        return part.path
    path = folder / f"formulas-{number}.txt"
    if not path.exists():
        formulas = [row[0] for row in read_columns(part.path, part.rows, "latex_formula")]
        write_text(path, "\n".join(" ".join(formula.split()) for formula in formulas) + "\n")
    return path

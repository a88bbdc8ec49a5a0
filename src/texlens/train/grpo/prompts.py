"""The prompts of a GRPO run: framed pictures and their references, within the limits of length."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from texlens.errors import InputError
from texlens.model.load import Loaded
from texlens.model.prompt import prompt_of
from texlens.model.prompt_config import PromptConfig
from texlens.reading.pictures.opening import open_picture
from texlens.train.data.prepared import FineTuningData, column, prepare_examples
from texlens.train.settings import DataFile


@dataclass(frozen=True, slots=True)
class Prompts:
    """The prompts of a run.

    Attributes:
        data: their examples, with pictures and references.
        prompt_config: has the words.
        names: of the data files, in front of their ids; empty where there is one file.
        record: the content of `dataset.json`.
    """

    data: FineTuningData
    prompt_config: PromptConfig
    names: tuple[str, ...]
    record: dict[str, Any]

    def __len__(self) -> int:
        return len(self.data.lengths)

    @property
    def ids(self) -> list[str]:
        """The id of each prompt."""
        return self._ids(self.data.table["id"], self.data.files)

    def select(self, places: Sequence[int]) -> Prompts:
        """The prompts at these places, in ascending order."""
        kept = np.zeros(len(self), dtype=bool)
        kept[list(places)] = True
        return replace(self, data=self.data.select(kept))

    def table(self) -> Any:
        """The prompts as TRL takes them: a `datasets.Dataset` whose rows are made when they are read.

        Columns: `id`, `prompt` (messages without the picture), `image` (RGB), `solution` (the reference
        in normal form).
        """
        columns = self.data.table.select_columns(["id", "file", "picture", "latex"])
        return columns.with_transform(self._as_trl)

    def _as_trl(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        # TRL puts the picture before the words of the user.
        messages = [
            {"role": "system", "content": self.prompt_config.system},
            {"role": "user", "content": self.prompt_config.instruction},
        ]
        # A batch has every picture once for each answer of its group.
        opened = {content: open_picture(content) for content in set(rows["picture"])}
        return {
            "id": self._ids(rows["id"], rows["file"]),
            "prompt": [messages for _ in rows["id"]],
            "image": [opened[content] for content in rows["picture"]],
            "solution": rows["latex"],
        }

    def _ids(self, ids: Iterable[str], files: Iterable[int]) -> list[str]:
        if not self.names:
            return list(ids)
        return [f"{self.names[file]}/{name}" for name, file in zip(ids, files, strict=True)]


def within_limit(loaded: Loaded, max_prompt_length: int) -> Loaded:
    """The model with pictures bounded so that a prompt has at most so many tokens.

    The bound is `max_pixels`, of both prompt configuration and image processor. It is lowered where
    the visual tokens of so large a picture and the words together would be too many.

    Raises InputError when the words alone leave no room.
    """
    images = loaded.processor.image_processor
    side = images.patch_size * images.merge_size
    words = prompt_of(loaded.processor, loaded.prompt_config).length
    room = (max_prompt_length - words) * side**2
    prompt_config = loaded.prompt_config
    if room < prompt_config.min_pixels:
        raise InputError(
            f"The words of the prompt take {words} of the {max_prompt_length} tokens of "
            "max_prompt_length: no picture fits beside them."
        )
    prompt_config = prompt_config.model_copy(
        update={"max_pixels": min(prompt_config.max_pixels, room)}
    )
    images.size = {
        "shortest_edge": prompt_config.min_pixels,
        "longest_edge": prompt_config.max_pixels,
    }
    return replace(loaded, prompt_config=prompt_config)


def prepare_prompts(
    files: Sequence[DataFile],
    loaded: Loaded,
    *,
    max_prompt_length: int,
    unlabelled: bool = False,
    quiet: bool = False,
) -> Prompts:
    """Read files for a model that is `within_limit`; with `unlabelled`, also pictures without LaTeX.

    Left out and counted, besides what `prepare_examples` leaves out: prompts over the limit, and
    references longer than an answer may be, to which no answer could be right.

    Raises InputError when a file cannot be read, or nothing is left.
    """
    data = prepare_examples(
        files, loaded, max_length=sys.maxsize, unlabelled=unlabelled, quiet=quiet
    )
    visual = column(data.table, "rows") * column(data.table, "columns")
    answers = data.lengths - data.prompt.length - visual
    fits = data.prompt.length + visual <= max_prompt_length
    can_be_right = answers <= loaded.prompt_config.max_new_tokens
    left_out = data.record["left_out"] | {
        reason: int(count)
        for reason, count in (
            ("prompt too long", (~fits).sum()),
            ("reference longer than an answer may be", (fits & ~can_be_right).sum()),
        )
        if count
    }
    kept = fits & can_be_right
    if not kept.any():
        raise InputError(f"No prompt is left to train on: {left_out}.")
    record = data.record | {
        "prompts": int(kept.sum()),
        "left_out": left_out,
        "max_pixels": loaded.prompt_config.max_pixels,
    }
    stems = tuple(str(file.parquet.with_suffix("")) for file in files)
    names = stems if len(stems) > 1 else ()
    return Prompts(data.select(kept), loaded.prompt_config, names, record)

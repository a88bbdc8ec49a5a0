"""The prompts of a GRPO run: framed pictures and their references, within the limits of length."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from texlens.errors import InputError
from texlens.model.load import Loaded
from texlens.model.prompt import prompt_of
from texlens.train.grpo.settings import GrpoConfig
from texlens.train.run.examples import prepare_examples


@dataclass(slots=True)
class Prompts:
    """Prompts as TRL takes them, and what was left out.

    Columns of `table` (a `datasets.Dataset`): `id`, `prompt` (messages without the picture),
    `image`, `solution` (the reference in normal form).
    """

    table: Any
    record: dict[str, Any]


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


def prepare_prompts(config: GrpoConfig, loaded: Loaded, *, quiet: bool = False) -> Prompts:
    """Read the files of a recipe for a model that is `within_limit`.

    Left out and counted, besides what `prepare_examples` leaves out: prompts over the limit, and
    references longer than an answer may be, to which no answer could be right.

    Raises InputError when a file cannot be read, or nothing is left.
    """
    from datasets import Dataset, Features, Image, List, Value

    data = prepare_examples(config.data, loaded, max_length=sys.maxsize, quiet=quiet)
    table, longest = data.table, loaded.prompt_config.max_new_tokens
    left_out = Counter(data.record["left_out"])
    kept = []
    for place, (rows, columns, answer) in enumerate(
        zip(table["rows"], table["columns"], table["answer"], strict=True)
    ):
        if data.prompt.length + rows * columns > config.max_prompt_length:
            left_out["prompt too long"] += 1
        elif len(answer) > longest:
            left_out["reference longer than an answer may be"] += 1
        else:
            kept.append(place)
    if not kept:
        raise InputError(f"No prompt is left to train on: {dict(left_out)}.")
    record = data.record | {
        "prompts": len(kept),
        "left_out": dict(left_out),
        "max_pixels": loaded.prompt_config.max_pixels,
    }
    table = table.select(kept)
    message = {"role": Value("string"), "content": Value("string")}
    # TRL puts the picture before the words of the user.
    messages = [
        {"role": "system", "content": loaded.prompt_config.system},
        {"role": "user", "content": loaded.prompt_config.instruction},
    ]
    columns_ = {
        "id": _ids(config, table),
        "prompt": [messages] * len(kept),
        "image": [{"bytes": picture, "path": None} for picture in table["picture"]],
        "solution": list(table["latex"]),
    }
    features = Features(
        id=Value("string"), prompt=List(message), image=Image(mode="RGB"), solution=Value("string")
    )
    return Prompts(Dataset.from_dict(columns_, features=features), record)


def _ids(config: GrpoConfig, table: Any) -> list[str]:
    """The ids of the examples, with the name of their file where there are several files."""
    if len(config.data) == 1:
        return list(table["id"])
    stems = [file.parquet.with_suffix("") for file in config.data]
    return [f"{stems[file]}/{name}" for file, name in zip(table["file"], table["id"], strict=True)]

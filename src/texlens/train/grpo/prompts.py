"""The prompts of a GRPO run: framed pictures, their references, and the limits they keep to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from texlens.errors import InputError
from texlens.model.load import Loaded
from texlens.model.prompt import prompt_of
from texlens.train.grpo.settings import GrpoConfig
from texlens.train.run.examples import prepare_examples

_ANY_LENGTH = 1 << 30


@dataclass(slots=True)
class Prompts:
    """Prompts as TRL takes them, and what was left out.

    Columns of `table` (a `datasets.Dataset`): `id`, `prompt` (messages without the picture),
    `image`, `solution` (the reference in normal form).
    """

    table: Any
    record: dict[str, Any]

    def only(self, places: Sequence[int]) -> Prompts:
        """The prompts at these places."""
        return Prompts(self.table.select(places), self.record)


def within_limit(loaded: Loaded, max_prompt_tokens: int) -> Loaded:
    """The model with pictures bounded so that a prompt has at most so many tokens.

    The bound is the prompt configuration's `max_pixels`, lowered where the visual tokens of so large a picture
    would leave no room for the words; prompt_config and image processor both hold it.

    Raises InputError when the words alone leave no room.
    """
    images = loaded.processor.image_processor
    side = images.patch_size * images.merge_size
    words = prompt_of(loaded.processor, loaded.prompt_config).length
    room = (max_prompt_tokens - words) * side**2
    prompt_config = loaded.prompt_config
    if room < prompt_config.min_pixels:
        raise InputError(
            f"The words of the prompt take {words} of max_prompt_tokens, {max_prompt_tokens}: no "
            "picture fits beside them."
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

    Left out and counted, beside what `prepare_examples` leaves out: prompts over the limit, and
    references that are longer than an answer may be, so that no answer could be right.

    Raises InputError when a file cannot be read, or nothing is left.
    """
    from datasets import Dataset, Features, Image, List, Value

    data = prepare_examples(config.data, loaded, cutoff=_ANY_LENGTH, quiet=quiet)
    table, longest = data.table, loaded.prompt_config.max_new_tokens
    kept, too_long, unreachable = [], 0, 0
    for place, (rows, columns, answer) in enumerate(
        zip(table["rows"], table["columns"], table["answer"], strict=True)
    ):
        if data.prompt.length + rows * columns > config.max_prompt_tokens:
            too_long += 1
        elif len(answer) > longest:
            unreachable += 1
        else:
            kept.append(place)
    left_out = {"prompt too long": too_long, "reference longer than an answer may be": unreachable}
    record = data.record | {
        "prompts": len(kept),
        "left_out": data.record["left_out"] | {why: n for why, n in left_out.items() if n},
        "max_pixels": loaded.prompt_config.max_pixels,
    }
    if not kept:
        raise InputError(f"No prompt is left to train on: {record['left_out']}.")
    table = table.select(kept)
    message = {"role": Value("string"), "content": Value("string")}
    columns_ = {
        "id": _ids(config, table),
        "prompt": [_messages(loaded)] * len(kept),
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


def _messages(loaded: Loaded) -> list[dict[str, str]]:
    """The conversation without its picture, which TRL puts before the words of the user."""
    prompt_config = loaded.prompt_config
    return [
        {"role": "system", "content": prompt_config.system},
        {"role": "user", "content": prompt_config.instruction},
    ]

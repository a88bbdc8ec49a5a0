"""A data set in the forms that trainers read: LLaMA-Factory, TRL, and the published GRPO files.

Pictures become PNG files named by split and number, since an id can be any string.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from PIL import Image, ImageOps

from texlens.data.parquet import read_examples
from texlens.images import encode_png, on_paper
from texlens.model.prompt_config import PromptConfig
from texlens.records import Example
from texlens.runs import atomic_write, write_json

Format = Literal["messages", "grpo", "prompt_completion"]

# The prompts of the two published settings. The first is quoted from its report; of the second the
# report gives only what it asks for, so the words are ours.
PROMPTS: dict[str, PromptConfig] = {
    "plain": PromptConfig(),
    "think_answer": PromptConfig(
        system=(
            "You are a LaTeX OCR expert. First look closely at the picture and describe what you "
            "see inside <think> and </think>; then write the LaTeX of the formula, and nothing "
            "else, inside <answer> and </answer>."
        ),
        answer_format="think_answer",
    ),
}


def write_format(folder: Path, split: str, form: Format, prompt: str) -> Path:
    """Write one split of the data set `folder` in another form, into a sub-folder named after it.

    `prompt` is a key of PROMPTS. Returns the sub-folder:

    - messages: `SPLIT.json` in LLaMA-Factory's sharegpt form with OpenAI's role names, and
      `dataset_info.json`, which declares the columns and tags;
    - grpo: `SPLIT.jsonl` with image, conversations of human and gpt, system, answer;
    - prompt_completion: `SPLIT.jsonl` with TRL's prompt, completion and images.
    """
    out = folder / form
    prompt_config = PROMPTS[prompt]
    record = _RECORDS[form]
    records = (
        record(example, picture, prompt_config)
        for example, picture in _with_pictures(folder, split, out)
    )
    if form == "messages":
        _write_json_array(out / f"{split}.json", records)
        _declare(out)
    else:
        with atomic_write(out / f"{split}.jsonl") as stream:
            for entry in records:
                stream.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
    return out


def _with_pictures(folder: Path, split: str, out: Path) -> Iterator[tuple[Example, str]]:
    """Every example with the path of its PNG, relative to `out`.

    The pictures are written plainly: the list that names them comes last, and atomically.
    """
    (out / "images").mkdir(parents=True, exist_ok=True)
    for number, example in enumerate(read_examples(folder / f"{split}.parquet")):
        name = f"images/{split}-{number:07d}.png"
        (out / name).write_bytes(as_png(example.image))
        yield example, name


def as_png(content: bytes) -> bytes:
    """A picture as PNG: PNG bytes as they are, others re-encoded, upright, transparency on white."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return content
    with Image.open(io.BytesIO(content)) as stored:
        picture = on_paper(ImageOps.exif_transpose(stored))
        return encode_png(picture.convert("L" if picture.mode in ("1", "L") else "RGB"))


def answer_text(prompt_config: PromptConfig, latex: str) -> str:
    """What a model that keeps to this prompt configuration is taught to answer for a formula."""
    if prompt_config.answer_format == "plain":
        return latex
    return f"<think>\nI read the formula from left to right.\n</think>\n<answer>{latex}</answer>"


def _messages(example: Example, picture: str, prompt_config: PromptConfig) -> dict[str, Any]:
    return {
        "messages": [
            {"role": "system", "content": prompt_config.system},
            {"role": "user", "content": f"<image>{prompt_config.instruction}"},
            {"role": "assistant", "content": answer_text(prompt_config, example.latex_formula)},
        ],
        "images": [picture],
    }


def _grpo(example: Example, picture: str, prompt_config: PromptConfig) -> dict[str, Any]:
    return {
        "image": picture,
        "conversations": [
            {"from": "human", "value": f"<image>{prompt_config.instruction}"},
            {"from": "gpt", "value": example.latex_formula},
        ],
        "system": prompt_config.system,
        "answer": example.latex_formula,
    }


def _prompt_completion(
    example: Example, picture: str, prompt_config: PromptConfig
) -> dict[str, Any]:
    text = answer_text(prompt_config, example.latex_formula)
    return {
        "prompt": [
            {"role": "system", "content": [{"type": "text", "text": prompt_config.system}]},
            {
                "role": "user",
                "content": [{"type": "image"}, {"type": "text", "text": prompt_config.instruction}],
            },
        ],
        "completion": [{"role": "assistant", "content": [{"type": "text", "text": text}]}],
        "images": [picture],
    }


_RECORDS: dict[str, Callable[[Example, str, PromptConfig], dict[str, Any]]] = {
    "messages": _messages,
    "grpo": _grpo,
    "prompt_completion": _prompt_completion,
}


def _write_json_array(path: Path, records: Iterator[dict[str, Any]]) -> None:
    """One JSON array, a record a line, without holding them all."""
    with atomic_write(path) as stream:
        separator = b"[\n"
        for record in records:
            stream.write(separator + json.dumps(record, ensure_ascii=False).encode())
            separator = b",\n"
        stream.write(b"\n]\n" if separator == b",\n" else b"[]\n")


def _declare(out: Path) -> None:
    """LLaMA-Factory's `dataset_info.json` for the splits that are there."""
    entries = {}
    for path in sorted(out.glob("*.json")):
        if path.name == "dataset_info.json":
            continue
        entries[f"texlens_{path.stem}"] = {
            "file_name": path.name,
            "formatting": "sharegpt",
            "columns": {"messages": "messages", "images": "images"},
            "tags": {
                "role_tag": "role",
                "content_tag": "content",
                "user_tag": "user",
                "assistant_tag": "assistant",
                "system_tag": "system",
            },
        }
    write_json(out / "dataset_info.json", entries)

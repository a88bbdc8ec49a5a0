"""A data set in the forms that trainers read: LLaMA-Factory, ms-swift, TRL, and the GRPO report's.

The first two are Parquet with the pictures inside, and the features of Hugging Face `datasets`. The
last has PNG files, named by split and number, since an id can be any string.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from texlens.data.items import Format
from texlens.data.parquet import IMAGE, STRING, Column, picture_value, read_examples, write_rows
from texlens.images import dark_on_white, encode_png
from texlens.model.prompt_config import PROMPTS, PromptConfig
from texlens.records import Example
from texlens.runs import atomic_write, write_json

_MESSAGE: Column = [{"role": STRING, "content": STRING}]
_COLUMNS: dict[str, dict[str, Column]] = {
    "messages": {"id": STRING, "image": IMAGE, "latex_formula": STRING, "messages": _MESSAGE},
    "prompt_completion": {"prompt": _MESSAGE, "completion": _MESSAGE, "images": [IMAGE]},
}


def write_format(folder: Path, split: str, form: Format, prompt: str) -> None:
    """Write one split of the data set `folder` in another form, into a sub-folder named after it.

    `prompt` is a key of PROMPTS. The forms are:

    - messages: `SPLIT.parquet` in LLaMA-Factory's sharegpt form with OpenAI's role names, as in the
      qwen-ocr report (id, image, latex_formula, messages), and `dataset_info.json`, which declares
      the columns and tags;
    - prompt_completion: `SPLIT.parquet` with TRL's prompt, completion and images;
    - grpo: `SPLIT.jsonl` with image, conversations of human and gpt, system, answer.
    """
    out = folder / form
    examples = read_examples(folder / f"{split}.parquet")
    if form == "grpo":
        _write_grpo(out, split, examples, PROMPTS[prompt])
        return
    rows = (_record(form, example, PROMPTS[prompt]) for example in examples)
    write_rows(out / f"{split}.parquet", _COLUMNS[form], rows)
    if form == "messages":
        _declare(out)


def _record(form: Format, example: Example, prompt_config: PromptConfig) -> dict[str, Any]:
    picture = picture_value(as_png(example.image))
    answer = {
        "role": "assistant", "content": answer_text(prompt_config, example.latex_formula),
    }  # fmt: skip
    prompt = [
        {"role": "system", "content": prompt_config.system},
        {"role": "user", "content": prompt_config.instruction},
    ]
    if form == "prompt_completion":  # TRL puts the picture before the instruction itself
        return {"prompt": prompt, "completion": [answer], "images": [picture]}
    prompt[1]["content"] = f"<image>{prompt_config.instruction}"
    return {
        "id": example.id,
        "image": picture,
        "latex_formula": example.latex_formula,
        "messages": [*prompt, answer],
    }


def _write_grpo(
    out: Path, split: str, examples: Iterator[Example], prompt_config: PromptConfig
) -> None:
    """The list is written atomically and last, and names the pictures, which are not."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    with atomic_write(out / f"{split}.jsonl") as stream:
        for number, example in enumerate(examples):
            name = f"images/{split}-{number:07d}.png"
            (out / name).write_bytes(as_png(example.image))
            latex = example.latex_formula
            turns = [
                {"from": "human", "value": f"<image>{prompt_config.instruction}"},
                {"from": "gpt", "value": latex},
            ]
            record = {
                "image": name,
                "conversations": turns,
                "system": prompt_config.system,
                "answer": latex,
            }
            stream.write((json.dumps(record, ensure_ascii=False) + "\n").encode())


def as_png(content: bytes) -> bytes:
    """A picture as PNG, upright, dark on white where it has transparent parts.

    PNG bytes without transparent parts are returned as they are.
    """
    with Image.open(io.BytesIO(content)) as stored:
        if stored.format == "PNG" and not stored.has_transparency_data:
            return content
        picture = dark_on_white(ImageOps.exif_transpose(stored))
        return encode_png(picture.convert("L" if picture.mode in ("1", "L") else "RGB"))


def answer_text(prompt_config: PromptConfig, latex: str) -> str:
    """The answer that a model with this prompt configuration is trained to give for a formula."""
    if prompt_config.answer_format == "plain":
        return latex
    return f"<think>\nI read the formula from left to right.\n</think>\n<answer>{latex}</answer>"


def _declare(out: Path) -> None:
    """Write LLaMA-Factory's `dataset_info.json` for the splits in the folder."""
    entries = {
        f"texlens_{path.stem}": {
            "file_name": path.name,
            "formatting": "sharegpt",
            "columns": {"messages": "messages", "images": "image"},
            "tags": {
                f"{tag}_tag": tag for tag in ("role", "content", "user", "assistant", "system")
            },
        }
        for path in sorted(out.glob("*.parquet"))
    }
    write_json(out / "dataset_info.json", entries)

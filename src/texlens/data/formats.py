"""A data set in the forms that trainers read: LLaMA-Factory, TRL, and the files of the GRPO report.

Pictures become PNG files named by split and number, since an id can be any string.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from texlens.data.items import Format
from texlens.data.parquet import read_examples
from texlens.images import encode_png, on_paper
from texlens.model.prompt_config import PROMPTS, PromptConfig
from texlens.records import Example
from texlens.runs import atomic_write, write_json


def write_format(folder: Path, split: str, form: Format, prompt: str) -> None:
    """Write one split of the data set `folder` in another form, into a sub-folder named after it.

    `prompt` is a key of PROMPTS. The forms are:

    - messages: `SPLIT.json` in LLaMA-Factory's sharegpt form with OpenAI's role names, and
      `dataset_info.json`, which declares the columns and tags;
    - grpo: `SPLIT.jsonl` with image, conversations of human and gpt, system, answer;
    - prompt_completion: `SPLIT.jsonl` with TRL's prompt, completion and images.
    """
    out = folder / form
    if form == "messages":
        suffix, opening, separator, closing = "json", "[\n", ",\n", "\n]\n"
    else:
        suffix, opening, separator, closing = "jsonl", "", "\n", "\n"
    with atomic_write(out / f"{split}.{suffix}") as stream:
        before = opening
        for example, picture in _with_pictures(folder, split, out):
            record = _record(form, example, picture, PROMPTS[prompt])
            stream.write((before + json.dumps(record, ensure_ascii=False)).encode())
            before = separator
        stream.write(closing.encode())
    if form == "messages":
        _declare(out)


def _with_pictures(folder: Path, split: str, out: Path) -> Iterator[tuple[Example, str]]:
    """Every example with the path of its PNG, relative to `out`.

    The pictures are not written atomically: the list that names them is, and comes last.
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
    """The answer that a model with this prompt configuration is trained to give for a formula."""
    if prompt_config.answer_format == "plain":
        return latex
    return f"<think>\nI read the formula from left to right.\n</think>\n<answer>{latex}</answer>"


def _record(
    form: Format, example: Example, picture: str, prompt_config: PromptConfig
) -> dict[str, Any]:
    system, instruction = prompt_config.system, prompt_config.instruction
    answer = answer_text(prompt_config, example.latex_formula)
    match form:
        case "messages":
            messages = [
                {"role": "system", "content": system},
                {"role": "user", "content": f"<image>{instruction}"},
                {"role": "assistant", "content": answer},
            ]
            return {"messages": messages, "images": [picture]}
        case "grpo":
            latex = example.latex_formula
            turns = [
                {"from": "human", "value": f"<image>{instruction}"},
                {"from": "gpt", "value": latex},
            ]
            return {"image": picture, "conversations": turns, "system": system, "answer": latex}
        case "prompt_completion":
            completion = {"role": "assistant", "content": [{"type": "text", "text": answer}]}
            return {
                "prompt": prompt_config.messages(),
                "completion": [completion],
                "images": [picture],
            }


def _declare(out: Path) -> None:
    """Write LLaMA-Factory's `dataset_info.json` for the splits in the folder."""
    entries = {
        f"texlens_{path.stem}": {
            "file_name": path.name,
            "formatting": "sharegpt",
            "columns": {"messages": "messages", "images": "images"},
            "tags": {
                f"{tag}_tag": tag for tag in ("role", "content", "user", "assistant", "system")
            },
        }
        for path in sorted(out.glob("*.json"))
        if path.name != "dataset_info.json"
    }
    write_json(out / "dataset_info.json", entries)

"""The draft of a model card: made from the record of a run."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from texlens.runs import write_text
from texlens.tables import markdown_table, number


def write_card(path: Path, summary: dict[str, Any]) -> None:
    """Write a run's `README.md`, with the Hub's metadata, from the content of its `run.json`."""
    base, licence = summary["prompt_config"]["base"], summary["prompt_config"]["licence"]
    is_adapter = summary["config"]["lora"] is not None
    is_custom = " " in licence  # a name, not an identifier of the Hub
    reader_arguments = 'adapter="this folder"' if is_adapter else '"this folder"'
    if is_adapter and base:
        reader_arguments = f"{base!r}, {reader_arguments}"
    template = resources.files(__package__) / "templates" / "model_card.md"
    card = ModelCard.from_template(
        ModelCardData(
            base_model=base if re.fullmatch(r"[\w-]+/[\w.-]+", base) else None,
            library_name="peft" if is_adapter else "transformers",
            license="other" if is_custom else licence.lower() or None,
            license_name=licence if is_custom else None,
            pipeline_tag="image-to-text",
            tags=["latex-ocr", "texlens"],
        ),
        template_str=template.read_text(encoding="utf-8"),
        **summary | {"base": base or "the small model that comes with TexLens"},
        data_table=_data_table(summary["data"]["files"]),
        dev_table=_dev_table(summary),
        reader_arguments=reader_arguments,
    )
    write_text(path, f"{card}\n")


def _data_table(files: list[dict[str, Any]]) -> str:
    rows = []
    for file in files:
        left_out = ", ".join(f"{reason} {count}" for reason, count in file["left_out"].items())
        name = f"`{Path(file['parquet']).name}`"
        rows.append((name, str(file["rows"]), str(file["kept"]), left_out or "-"))
    return markdown_table(("file", "rows", "trained on", "left out"), rows)


def _dev_table(summary: dict[str, Any]) -> str:
    names = list(summary["dev"])
    if not names:
        return ""
    scores = {"at the start": summary["dev_at_start"], "at the end": summary["dev"]}
    if summary["best"] is not None:
        scores[f"best, step {summary['best']['step']}"] = summary["best"]
    rows = [
        (label, *(number(values.get(name), 3) for name in names))
        for label, values in scores.items()
    ]
    return markdown_table(("weights", *names), rows)

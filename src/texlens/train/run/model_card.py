"""The draft of a model card: made from the record of a run."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard

from texlens.model.card import base_in_words, metadata, usage
from texlens.model.prompt_config import PromptConfig
from texlens.runs import write_text
from texlens.tables import markdown_table, number


def write_card(path: Path, summary: dict[str, Any]) -> None:
    """Write a run's `README.md`, with the Hub's metadata, from the content of its `run.json`."""
    prompt_config = PromptConfig.model_validate(summary["prompt_config"])
    is_adapter = summary["config"]["lora"] is not None
    template = resources.files(__package__) / "templates" / "model_card.md"
    card = ModelCard.from_template(
        metadata(prompt_config, is_adapter=is_adapter),
        template_str=template.read_text(encoding="utf-8"),
        **summary | {"base": base_in_words(prompt_config)},
        data_table=_data_table(summary["data"]["files"]),
        dev_table=_dev_table(summary),
        usage=usage(prompt_config, is_adapter=is_adapter),
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

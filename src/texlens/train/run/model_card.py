"""The draft of a model card: what a run's own record says about its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from texlens.runs import write_text
from texlens.tables import markdown_table, number


def write_card(path: Path, summary: dict[str, Any]) -> None:
    """Write a run's `README.md` from what its `run.json` holds."""
    config, data, prompt_config = summary["config"], summary["data"], summary["prompt_config"]
    lora = config["lora"]
    how = "in full" if lora is None else f"by LoRA of rank {lora['rank']}, alpha {lora['alpha']}"
    base = prompt_config["base"] or "the small model that comes with TexLens"
    examples = config["batch"] * config["accumulation"] * summary["processes"]
    trained, total = summary["parameters"]["trained"], summary["parameters"]["total"]
    files = "\n".join(
        f"| `{Path(file['parquet']).name}` | {file['rows']} | {file['kept']} | "
        f"{', '.join(f'{reason} {count}' for reason, count in file['left_out'].items()) or '-'} |"
        for file in data["files"]
    )
    table = _dev_table(summary)
    write_text(
        path,
        f"""# Formulas to LaTeX, fine-tuned from {base}

Draft, written by `texlens train`: say what the data are and where the model fails before you
publish it.

- Base: {base}
- Licence: {prompt_config["licence"] or "that of the base; look it up"}
- Trained: {", ".join(config["parts"])}, {how}; {trained:,} of {total:,} weights
- Budget: {summary["step"]} steps of {examples} examples, {summary["minutes"]:.1f} minutes,
  learning rate {config["learning_rate"]:g}, seed {config["seed"]}
- Prompt: "{prompt_config["instruction"]}" (the whole prompt_config is in `texlens.json`)

## Data

| file | rows | trained on | left out |
|---|---:|---:|---|
{files}

SHA-256 of pictures and LaTeX: `{data["sha256"]}`.

## Readings of the dev pictures

These pictures chose the best weights: they are no test.

{table}
## Use

```python
from texlens import Reader

Reader({_reader_arguments(summary)}).read("formula.png").latex
```

Versions: {", ".join(f"{name} {version}" for name, version in summary["versions"].items())}.
""",
    )


def _dev_table(summary: dict[str, Any]) -> str:
    rows = [("at the start", summary["dev_at_start"]), ("at the end", summary["dev"])]
    if summary["best"] is not None:
        rows.append((f"best, step {summary['best']['step']}", summary["best"]))
    names = list(summary["dev"])
    if not names:
        return "None were given.\n"
    cells = [
        (label, *(number(values[name], 3) if name in values else "-" for name in names))
        for label, values in rows
    ]
    return markdown_table(("weights", *names), cells) + "\n"


def _reader_arguments(summary: dict[str, Any]) -> str:
    if summary["config"]["lora"] is None:
        return '"this folder"'
    model = summary["prompt_config"]["base"]
    return f'{f"{model!r}, " if model else ""}adapter="this folder"'

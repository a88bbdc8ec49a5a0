"""`README.md` of a data set: what `datasets` and the hub load from the folder, and where it is from.

Without it, `load_dataset` takes a folder that has pictures below it for a folder of pictures.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from texlens.runs import write_text
from texlens.tables import Table

_FORMS = ("messages", "prompt_completion")  # those in Parquet


def write_card(out: Path, document: dict[str, Any]) -> None:
    """Write the card of a prepared data set, whose `dataset.json` has this content."""
    splits = list(document["counts"])
    forms = [form for form in document["formats"] if form in _FORMS]
    # `datasets` finds what it has cached by the folder's last name and these settings, not by the files.
    content = f"content {document['content_hash'][:16]}, prompt {document['prompt']}"
    folders = {"default": "", **{form: f"{form}/" for form in forms}}
    header = {
        "configs": [_config(name, folder, splits, content) for name, folder in folders.items()]
    }
    rows = [
        (source, *(str(counts[split]) for split in splits))
        for source, counts in document["sources"].items()
    ]
    hub = [f"`{origin['repository']}` at commit `{origin['commit']}`" for origin in document["hub"]]
    parts = [
        f"---\n{yaml.safe_dump(header, sort_keys=False)}---",
        f"# {document['source']}",
        "Pictures of formulas with their LaTeX in normal form, prepared by `texlens data prepare`. "
        "`dataset.json` has the settings, `dropped.jsonl` what was left out and why.",
        *([f"From {', '.join(hub)}."] if hub else []),
        Table("", ("source", *splits), tuple(rows)).markdown(),
        "The licence is that of the corpus.",
    ]
    write_text(out / "README.md", "\n\n".join(parts) + "\n")


def _config(name: str, folder: str, splits: list[str], content: str) -> dict[str, Any]:
    files = [{"split": split, "path": f"{folder}{split}.parquet"} for split in splits]
    return {"config_name": name, "description": content, "data_files": files}

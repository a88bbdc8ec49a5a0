"""`texlens merge`: merge a LoRA adapter into its base model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import click


@click.command()
@click.argument("adapter")
@click.option(
    "--model",
    help="Folder or hub name of the base model. Default: that in the adapter's configuration.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder to write.")
@click.option(
    "--dtype", type=click.Choice(["auto", "float32", "bfloat16", "float16"]), default="auto",
    show_default=True, help="Type of the weights; auto: that of the base model.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace a finished result.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
def merge(
    adapter: str,
    model: str | None,
    out: Path,
    dtype: Literal["auto", "float32", "bfloat16", "float16"],
    force: bool,
    as_json: bool,
) -> None:
    """Merge a LoRA ADAPTER into its base model: a folder for transformers, vLLM and others."""
    from texlens.errors import require_extra
    from texlens.runs import open_out_folder

    require_extra("Merging", "model", "torch", "transformers", "peft")
    from texlens.model.merge import MARKER, merge_adapter

    open_out_folder(out, marker=MARKER, force=force)
    record = merge_adapter(adapter, out, model=model, dtype=dtype)
    if as_json:
        click.echo(json.dumps(record, ensure_ascii=False))
    else:
        click.echo(f"{record['parameters']:,} weights in {record['dtype']}. Written: {out}")

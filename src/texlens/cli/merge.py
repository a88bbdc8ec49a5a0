"""`texlens merge`: merge a LoRA adapter into its base model."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from texlens.cli.options import force_option, json_option, out_option, print_result


@click.command()
@click.argument("adapter")
@click.option(
    "--model",
    help="Folder or hub name of the base model. Default: that in the adapter's configuration.",
)
@out_option
@click.option(
    "--dtype", type=click.Choice(["auto", "float32", "bfloat16", "float16"]), default="auto",
    help="Type of the weights; auto: that of the base model.",
)  # fmt: skip
@force_option
@json_option()
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
    text = f"{record['parameters']:,} weights in {record['dtype']}. Written: {out}"
    print_result(record, text, as_json=as_json)

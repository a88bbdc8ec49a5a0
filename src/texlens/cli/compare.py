"""`texlens compare`: evaluations side by side."""

from __future__ import annotations

import json
from pathlib import Path

import click

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--out", required=True, type=_PATH, help="The folder to write.")
@click.option(
    "--data", multiple=True, type=_PATH,
    help="A Parquet file that the runs read, to show the pictures of wins and losses.",
)  # fmt: skip
@click.option(
    "--reported", is_flag=True,
    help="Add the figures of the qwen-ocr and the GRPO report, marked as not comparable.",
)  # fmt: skip
@click.option("--title", default="Comparison", show_default=True, help="The heading of the page.")
@click.option("--force", is_flag=True, help="Replace a finished result.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
def compare(
    runs: tuple[str, ...],
    out: Path,
    data: tuple[Path, ...],
    reported: bool,
    title: str,
    force: bool,
    as_json: bool,
) -> None:
    """Compare evaluations: tables, intervals, significance against the first, wins and losses.

    RUN is a folder of `texlens evaluate`, of one model or of a suite, or NAME=FOLDER to name its
    model. Numbers with different signatures are never in one column.
    """
    from texlens.evaluate.compare.comparison import PAGE
    from texlens.evaluate.compare.comparison import compare as run
    from texlens.evaluate.compare.runs import find_runs

    document = run(find_runs(runs), out, data=data, reported=reported, title=title, force=force)
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False))
        return
    text = (out / "compare.md").read_text(encoding="utf-8")
    click.echo(text.split("\n\n## ")[1].partition("\n\n")[2] + "\n")
    click.echo(f"Written: {out / PAGE}")

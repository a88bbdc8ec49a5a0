"""`texlens compare`: evaluations side by side."""

from __future__ import annotations

from pathlib import Path

import click

from texlens.cli.options import PATH, force_option, json_option, out_option, print_result


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@out_option
@click.option(
    "--data", multiple=True, type=PATH,
    help="A Parquet file that the runs read, to show the pictures of wins and losses.",
)  # fmt: skip
@click.option(
    "--reported", is_flag=True,
    help="Add the figures of the qwen-ocr and the GRPO report, marked as not comparable.",
)  # fmt: skip
@click.option("--title", default="Comparison", help="The heading of the page.")
@force_option
@json_option()
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
    from texlens.evaluate.compare.comparison import PAGE, read_overview
    from texlens.evaluate.compare.comparison import compare as run
    from texlens.evaluate.compare.runs import find_runs

    document = run(find_runs(runs), out, data=data, reported=reported, title=title, force=force)
    print_result(document, f"{read_overview(out)}\n\nWritten: {out / PAGE}", as_json=as_json)

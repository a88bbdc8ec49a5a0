"""`texlens compare`: systems side by side."""

from __future__ import annotations

from pathlib import Path

import click

from texlens.cli.options import PATH, POSITIVE, force_option, json_option, out_option, print_result


@click.command()
@click.argument("systems", nargs=-1, required=True, metavar="SYSTEM...")
@out_option
@click.option(
    "--data", multiple=True, type=PATH,
    help="A Parquet file that the systems read, to show the pictures of wins and losses.",
)  # fmt: skip
@click.option(
    "--reported", is_flag=True,
    help="Add the figures of the qwen-ocr and the GRPO report, marked as not comparable.",
)  # fmt: skip
@click.option(
    "--metrics", "names",
    help="Keys by which files of predictions are scored, comma-separated.  [default: those of the "
    "folders, or all]",
)  # fmt: skip
@click.option("--workers", type=POSITIVE, default=1, help="Processes that share the scoring.")
@click.option("--title", default="Comparison", help="The heading of the page.")
@force_option
@json_option()
def compare(
    systems: tuple[str, ...],
    out: Path,
    data: tuple[Path, ...],
    reported: bool,
    names: str | None,
    workers: int,
    title: str,
    force: bool,
    as_json: bool,
) -> None:
    """Compare systems on the same items: tables, intervals, tests of significance, wins and losses.

    SYSTEM is a file of predictions (JSON Lines, CSV, TSV, Parquet, or the official CDM code's JSON
    array), a folder of `texlens score` or `texlens evaluate`, or the folder of a suite; NAME=SYSTEM
    names it. The first is the base. Systems with different references are refused, and numbers with
    different signatures are never in one column.
    """
    from texlens.evaluate.compare.comparison import PAGE, read_overview
    from texlens.evaluate.compare.comparison import compare as run
    from texlens.evaluate.compare.runs import find_runs

    runs = find_runs(systems, metrics=names, workers=workers, quiet=as_json)
    document = run(runs, out, data=data, reported=reported, title=title, force=force)
    print_result(document, f"{read_overview(out)}\n\nWritten: {out / PAGE}", as_json=as_json)

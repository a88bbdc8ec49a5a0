"""`texlens score`: predictions against references."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from texlens.cli.options import PLACE, POSITIVE, force_option, json_option, print_result
from texlens.cli.worker_options import WorkerOptions, worker_options
from texlens.errors import InputError

if TYPE_CHECKING:
    from texlens.metrics.base import CdmEngine
    from texlens.metrics.batches import ScoringConfig
    from texlens.records import Prediction


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--gt", help="The reference of a single pair, instead of FILE.")
@click.option("--pred", help="The prediction of a single pair.")
@click.option("--out", type=PLACE, help="The folder to write; without it, only the table is shown.")
@click.option(
    "--metrics", "names",
    help="Keys to compute, comma-separated.  [default: all; for one pair all but compiles]",
)  # fmt: skip
@click.option(
    "--cdm-engine", type=click.Choice(["mathjax", "tex"]), default="mathjax",
    help="The engine that draws the formulas for cdm.",
)  # fmt: skip
@click.option("--no-cache", is_flag=True, help="Do not use the cache of drawings on disk.")
@click.option("--limit", type=POSITIVE, help="Score only the first N lines.")
@click.option(
    "--explain", "explained", multiple=True, metavar="ID",
    help="Only write how this item was matched, as a picture and a page, to --out.",
)  # fmt: skip
@click.option("--report", is_flag=True, help="Also write report.html with the worst items.")
@force_option
@json_option("metrics.json instead of the table")
@worker_options
def score(
    files: tuple[str, ...],
    gt: str | None,
    pred: str | None,
    out: Path | None,
    names: str | None,
    work: WorkerOptions,
    cdm_engine: CdmEngine,
    no_cache: bool,
    limit: int | None,
    explained: tuple[str, ...],
    report: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Score predictions against references.

    FILE contains JSON Lines with id, gt and pred, the official CDM code's JSON array, or CSV, TSV or
    Parquet with these columns; `-` is standard input. Several files, a pattern or a folder are
    the shards of one. Or give one pair: --gt 'x^2' --pred 'x_2'.
    `texlens compare` takes several such files, or the folders of --out.
    """
    from texlens.addresses import remove_folder
    from texlens.metrics.batches import ScoringConfig
    from texlens.metrics.predictions import PREDICTIONS, write_predictions
    from texlens.metrics.registry import KEYS, check_keys
    from texlens.metrics.report.files import MARKER, metrics_document, write_scoring
    from texlens.metrics.report.page import scoring_page
    from texlens.metrics.report.table import markdown, metrics_table
    from texlens.metrics.scoring import score_predictions
    from texlens.runs import hold_folder, open_out_folder

    if names is None and not files:
        keys = tuple(key for key in KEYS if key != "compiles")  # TeX alone would take longer
    else:
        keys = check_keys(names)
    config = ScoringConfig(keys, cdm_engine, cache=not no_cache)
    predictions = _predictions(files, gt, pred, limit)
    if out is None and (explained or report):
        raise InputError("--explain and --report write files: give the folder with --out.")
    if explained and out is not None:
        _explain(predictions, explained, out, config)
        return
    if out is not None:
        hold_folder(open_out_folder(out, marker=MARKER, force=force))
    with work.connected(quiet=as_json):
        scoring = score_predictions(
            predictions,
            config,
            workers=work.open(quiet=as_json),
            self_test=bool(files),
            quiet=as_json,
            keep=None if out is None else out / ".work",
        )
    for warning in scoring.warnings:
        click.echo(f"texlens: {warning}", err=True)
    if out is None:
        document = metrics_document(scoring)
    else:
        page = (
            scoring_page(f"Scores of {', '.join(files) or 'one pair'}", scoring) if report else None
        )
        write_predictions(out / PREDICTIONS, predictions)
        document = write_scoring(out, scoring, page=page)
        remove_folder(out / ".work")
    text = (
        markdown(scoring, signatures=False) if files else metrics_table(scoring.scores).markdown()
    )
    print_result(document, f"{text}\nWritten: {out}" if out else text, as_json=as_json)
    scoring.check_faults()


def _predictions(
    files: tuple[str, ...], gt: str | None, pred: str | None, limit: int | None
) -> list[Prediction]:
    from texlens.addresses import find_files
    from texlens.metrics.predictions import SUFFIXES, read_predictions
    from texlens.records import Prediction

    if files and gt is None and pred is None:
        return read_predictions(find_files(files, SUFFIXES), limit=limit)
    if not files and gt is not None and pred is not None:
        return [Prediction("pair", gt, pred)]
    raise InputError("Give either a FILE of predictions, or one pair with --gt and --pred.")


def _explain(
    predictions: list[Prediction], explained: tuple[str, ...], out: Path, config: ScoringConfig
) -> None:
    from texlens.metrics.report.explain import explain, write_explanation

    by_id = {prediction.id: prediction for prediction in predictions}
    for id_ in explained:
        if id_ not in by_id:
            raise InputError(f"No prediction has the id '{id_}'.")
    for id_ in explained:
        for path in write_explanation(out, explain(by_id[id_], config)):
            click.echo(f"Written: {path}")

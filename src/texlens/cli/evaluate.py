"""`texlens evaluate`: one recogniser on one data set, or a suite of both."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import click

from texlens.cli.model_options import ModelOptions, model_options
from texlens.cli.options import (
    PATH,
    PLACE,
    POSITIVE,
    force_option,
    json_option,
    out_option,
    print_result,
)
from texlens.cli.worker_options import WorkerOptions, modules_of, worker_options
from texlens.errors import InputError


@click.command()
@click.option(
    "--data", type=PLACE,
    help="A Parquet file: id, image, latex_formula. For --suite unimer: UniMER-Test.",
)  # fmt: skip
@click.option(
    "--suite", "suite_file", type=PATH, metavar="FILE|unimer",
    help="A YAML file of models and sets instead; or the four parts of UniMER-Test.",
)  # fmt: skip
@out_option
@click.option(
    "--recogniser", metavar="MODULE:FACTORY",
    help="What reads instead of a model: a Python function that makes an object with the method "
    "read_many(pictures).",
)  # fmt: skip
@click.option("--limit", type=POSITIVE, help="Read only the first N rows.")
@click.option("--metrics", "names", help="Keys to compute, comma-separated.  [default: all]")
@force_option
@json_option("the numbers as one JSON document")
@model_options
@worker_options
def evaluate(
    data: Path | None,
    suite_file: Path | None,
    out: Path,
    recogniser: str | None,
    limit: int | None,
    names: str | None,
    force: bool,
    as_json: bool,
    model_options: ModelOptions,
    work: WorkerOptions,
) -> None:
    """Run a recogniser over a data set and score it, with a page of the worst predictions.

    To continue an interrupted run, give the same command again. --suite takes a YAML
    file: `models` (name, model, adapter, recogniser), `sets` (name, data, limit), and `metrics`.
    --suite unimer reads all of UniMER-Test with one model, from the hub or from --data.
    """
    from texlens.evaluate.recognisers import load_recogniser
    from texlens.evaluate.run import DataSet
    from texlens.evaluate.run import evaluate as run
    from texlens.evaluate.suite import evaluate_suite, load_suite, suite_table
    from texlens.metrics.batches import ScoringConfig
    from texlens.metrics.registry import check_keys

    document: dict[str, Any]
    is_unimer = suite_file == Path("unimer")
    if recogniser is not None and (
        model_options.names_a_model or (suite_file is not None and not is_unimer)
    ):
        raise InputError("Give --recogniser without --suite, --model, --adapter and --endpoint.")
    with work.connected(*modules_of(model_options), quiet=as_json):
        if is_unimer:
            from texlens.evaluate.unimer import METRICS, evaluate_unimer, unimer_table

            document = evaluate_unimer(
                _name(recogniser, model_options),
                partial(load_recogniser, recogniser)
                if recogniser
                else partial(work.reader, model_options, quiet=as_json),
                out,
                ScoringConfig(check_keys(names or METRICS)),
                source=data,
                limit=limit,
                workers=work.open(quiet=as_json),
                force=force,
                quiet=as_json,
            )
            table = unimer_table(document).markdown()
        elif suite_file is not None and data is None and not model_options.names_a_model:
            suite = load_suite(suite_file)
            config = ScoringConfig(check_keys(names or suite.metrics))
            document = evaluate_suite(
                suite,
                out,
                config,
                batch_size=model_options.values["batch_size"],
                workers=work.open(quiet=as_json),
                force=force,
                quiet=as_json,
            )
            table = suite_table(document)
        elif data is not None and suite_file is None:
            config = ScoringConfig(check_keys(names))
            found = DataSet(data, limit)
            found.count()  # raises for a wrong file before a model is loaded
            document = run(
                load_recogniser(recogniser)
                if recogniser is not None
                else work.reader(model_options, quiet=as_json),
                found,
                out,
                config,
                workers=work.open(quiet=as_json),
                force=force,
                quiet=as_json,
            )
            table = (out / "metrics.md").read_text(encoding="utf-8").split("\n## Signatures")[0]
        else:
            raise InputError(
                "Give --data FILE, or --suite FILE without --data, --model, --adapter and --endpoint."
            )
    print_result(document, f"{table}\nWritten: {out}", as_json=as_json)


def _name(recogniser: str | None, model_options: ModelOptions) -> str:
    """A name for the folder and the tables of a suite's only model."""
    values = model_options.values
    name = recogniser or values["adapter"] or values["model"] or "embedded"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", Path(name).name).lstrip(".-") or "model"

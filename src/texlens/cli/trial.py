"""`texlens trial`: every step of training and reading, short, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from texlens.cli.options import PATH, POSITIVE, force_option, json_option, print_result


@click.command()
@click.option("--model", help="Folder or hub name of a Qwen2.5-VL. Default: the embedded model.")
@click.option(
    "--data",
    type=PATH,
    help="A prepared Parquet file to read and train on. Default: pictures made here.",
)
@click.option("--pictures", type=POSITIVE, default=100, help="Pictures to read.")
@click.option("--steps", type=POSITIVE, default=50, help="Steps of each stage of fine-tuning.")
@click.option("--grpo-steps", type=POSITIVE, default=5, help="Steps of GRPO.")
@click.option("--max-new-tokens", type=POSITIVE, default=256, help="The limit of an answer.")
@click.option("--batch-size", type=POSITIVE, help="Pictures read at a time.")
@click.option("--device", default="auto", help="cpu, cuda or auto.")
@click.option("--out", type=PATH, default="runs/trial", help="The folder to write.")
@force_option
@json_option()
def trial(out: Path, force: bool, as_json: bool, **options: Any) -> None:
    """Try reading, both stages of fine-tuning, GRPO and merging on this machine, in minutes.

    It ends with one page: pass, or what to do. Run the same command again to resume.
    """
    from texlens.errors import TRAINING_MODULES, TexlensError, require_extra

    require_extra("The trial", "train", *TRAINING_MODULES)
    from texlens.pipeline.trial.page import PAGE, summary
    from texlens.pipeline.trial.run import Trial, run_trial

    document = run_trial(Trial(**options), out, force=force, quiet=as_json)
    print_result(document, f"{summary(document)}\nWritten: {out / PAGE}", as_json=as_json)
    if not document["passed"]:
        raise TexlensError(f"Some values are not as expected: '{out / PAGE}' has what to do.")

"""`texlens pipeline`: a whole experiment in one command."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("recipe", metavar="FILE")
@click.option(
    "--out", type=click.Path(path_type=Path), help="The folder to write. Default: runs/FILE."
)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE",
    help="Change a setting, such as seed=1 or sets.printed.files=[corpus].",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as one JSON document.")
def pipeline(recipe: str, out: Path | None, settings: tuple[str, ...], as_json: bool) -> None:
    """Prepare data, evaluate a model, train it in stages, evaluate each stage, and compare.

    FILE is pipeline_quick (a few minutes, no external data), pipeline_full (needs your copies of
    the corpora), or a YAML file. Run the same command again to resume: steps whose inputs have not
    changed are kept.
    """
    from texlens.errors import require_extra

    require_extra(
        "The pipeline", "train", "pyarrow", "torch", "transformers", "peft", "trl", "accelerate",
        "datasets",
    )  # fmt: skip
    from texlens.pipeline.config import PipelineConfig
    from texlens.pipeline.page import INDEX
    from texlens.pipeline.run import run_pipeline
    from texlens.train.run.config import load_recipe, parse_changes

    config = load_recipe(recipe, PipelineConfig, parse_changes(settings))
    out = out or Path("runs") / Path(recipe).stem
    document = run_pipeline(config, out, quiet=as_json)
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False))
        return
    text = (out / "report" / "compare.md").read_text(encoding="utf-8")
    overview = text.split("\n\n## ")[1].partition("\n\n")[2]
    click.echo("\n\n".join([config.heading, overview] if config.heading else [overview]))
    click.echo(f"\nWritten: {out / 'report' / INDEX}")

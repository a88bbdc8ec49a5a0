"""`texlens pipeline`: a whole experiment in one command."""

from __future__ import annotations

from pathlib import Path

import click

from texlens.cli.options import PATH, json_option, print_result


@click.command()
@click.argument("recipe", metavar="FILE")
@click.option("--out", type=PATH, help="The folder to write. Default: runs/FILE.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE",
    help="Change a setting, such as seed=1 or sets.printed.files=[corpus].",
)  # fmt: skip
@json_option("the comparison as one JSON document")
def pipeline(recipe: str, out: Path | None, settings: tuple[str, ...], as_json: bool) -> None:
    """Prepare data, evaluate a model, train it in stages, evaluate each stage, and compare.

    FILE is pipeline_quick (a few minutes, no external data), pipeline_qwen_ocr, pipeline_grpo_3b or
    pipeline_grpo_7b (the two reports, with a GPU), pipeline_full (needs your copies of the corpora),
    or a YAML file. Run the same command again to resume: steps whose inputs have not changed are
    kept.
    """
    from texlens.errors import TRAINING_MODULES, require_extra

    require_extra("The pipeline", "train", *TRAINING_MODULES)
    from texlens.pipeline.config import PipelineConfig
    from texlens.pipeline.page import INDEX, RESULTS
    from texlens.pipeline.run import run_pipeline
    from texlens.train.config import load_recipe, parse_changes

    config = load_recipe(recipe, PipelineConfig, parse_changes(settings))
    out = out or Path("runs") / Path(recipe).stem
    document = run_pipeline(config, out, quiet=as_json)
    report = out / "report"
    results = (report / RESULTS).read_text(encoding="utf-8").strip()
    parts = [config.heading, results, f"Written: {report / INDEX}"]
    print_result(document, "\n\n".join(filter(None, parts)), as_json=as_json)

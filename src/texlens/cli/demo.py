"""`texlens demo`: the package's own pictures."""

from __future__ import annotations

import time
from pathlib import Path

import click

from texlens.cli.options import PATH


@click.command()
@click.option("--out", default="demo-out", type=PATH, help="The folder to write report.html to.")
@click.option("--model", help="Folder or hub name of a Qwen2.5-VL. Default: the embedded model.")
@click.option("--adapter", help="Folder or hub name of a LoRA adapter for the model.")
@click.option(
    "--handwriting", metavar="FOLDER", envvar="TEXLENS_HANDWRITING",
    help="A second model, which reads what looks like handwriting.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace a finished report.")
def demo(
    out: Path, model: str | None, adapter: str | None, handwriting: str | None, force: bool
) -> None:
    """Read the example pictures and write a report.

    The pictures come with the package, from web pages, slides, scans and photos. Their fonts and
    sizes are not in the training data. The last ones are too hard.
    """
    from texlens.evaluate.demo import PAGE, DemoPicture, run_demo
    from texlens.reading import Reader
    from texlens.records import Reading

    start = time.perf_counter()

    def show(picture: DemoPicture, reading: Reading) -> None:
        click.echo(f"{picture.file}  ({picture.about})")
        notes = f"  [{', '.join(reading.warnings)}]" if reading.warnings else ""
        click.echo(f"  {reading.confidence:.2f}  {reading.latex}{notes}")

    reader = Reader(model, adapter, handwriting=handwriting)
    scores = run_demo(reader, out, show, force=force).scores
    key, what = next(
        (key, what)
        for key, what in (("exprate_layout", "look like"), ("exact", "are exactly"))
        if key in scores
    )
    values = scores[key].items
    click.echo(
        f"{sum(value == 1.0 for value in values)} of {len(values)} readings {what} their "
        f"reference, in {time.perf_counter() - start:.1f} s. Look at {out / PAGE}"
    )

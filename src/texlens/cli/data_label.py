"""`texlens data label`: label im2latex's pictures by drawing what was read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from texlens.cli.options import PATH, POSITIVE, force_option, json_option, out_option, print_result

if TYPE_CHECKING:
    from texlens.records import Example


@click.command()
@click.argument("pictures", nargs=-1, required=True, type=PATH)
@out_option
@click.option(
    "--readings", type=PATH, help="Readings made elsewhere: JSON Lines with `id` and `readings`."
)
@click.option("--model", type=PATH, help="The model that reads; the embedded one by default.")
@click.option(
    "--samples", type=click.IntRange(min=0), default=4,
    help="Sampled readings of each picture beside the likeliest.",
)  # fmt: skip
@click.option(
    "--rounds", type=POSITIVE, default=3,
    help="From the third on, small changes of refused readings are tried too.",
)  # fmt: skip
@click.option(
    "--accept", type=float, default=1.0, show_default=True,
    help="The score below which a formula is proved, in black pixels of difference.",
)  # fmt: skip
@click.option("--limit", type=POSITIVE, help="Label only the first pictures.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0)
@click.option(
    "--workers", type=POSITIVE, default=1, help="Processes; the result is the same for any number."
)
@force_option
@json_option("the content of label.json")
def label(
    pictures: tuple[Path, ...],
    out: Path,
    readings: Path | None,
    model: Path | None,
    samples: int,
    rounds: int,
    accept: float,
    limit: int | None,
    seed: int,
    workers: int,
    force: bool,
    as_json: bool,
) -> None:
    """Label pictures of im2latex-100k that a reading redraws pixel for pixel.

    PICTURES are Parquet files. Rows that have a label teach how glyphs were drawn; the others are
    read, drawn and compared. Needs TeX and Ghostscript. The same command resumes.
    """
    from texlens.data.labels.labelling import Labelling
    from texlens.data.labels.labelling import label as run

    source = f"{readings}" if readings else f"{model or 'embedded model'}, {samples} samples"
    job = Labelling(pictures, accept, rounds, limit, seed, source)
    read = _from_file(readings) if readings else _from_model(model, samples)
    document = run(job, out, read, workers=workers, force=force, quiet=as_json)
    counts = (f"{name:<10}{document[name]:>9}" for name in ("pictures", "labelled", "refused"))
    text = "\n".join([*counts, f"Written: {out / 'labels.parquet'}"])
    print_result(document, text, as_json=as_json)


def _from_model(
    model: Path | None, samples: int
) -> Callable[[Iterable[Example]], Iterator[list[str]]]:
    def read(examples: Iterable[Example]) -> Iterator[list[str]]:
        from texlens.data.labels.readings import readings
        from texlens.reading.reader import Reader

        return readings(Reader(model), examples, samples)

    return read


def _from_file(path: Path) -> Callable[[Iterable[Example]], Iterator[list[str]]]:
    """The readings of a file; none of a picture that is not in it."""
    from texlens.errors import InputError

    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"Cannot read '{path}': {error.strerror}.") from error
    made: dict[str, list[str]] = {}
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            made[str(record["id"])] = [str(reading) for reading in record["readings"]]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"Line {number} of '{path}' is not an object with `id` and a list `readings`."
            ) from error
    return lambda examples: (made.get(example.id, []) for example in examples)

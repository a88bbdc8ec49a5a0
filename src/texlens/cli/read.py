"""`texlens read`: pictures in, LaTeX out."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from texlens.cli.model_options import ModelOptions, model_options
from texlens.cli.options import PATH, PLACE, POSITIVE
from texlens.cli.readings import Tally, print_json, print_lines, word_document
from texlens.cli.worker_options import WorkerOptions, modules_of, worker_options
from texlens.errors import InputError, TexlensError
from texlens.export import FORMATS
from texlens.runs import atomic_write, check_out_file, progress, provenance, write_bytes

if TYPE_CHECKING:
    from texlens.evaluate.recognisers import ModelReader
    from texlens.reading.sources import Item


@click.command()
@click.argument("pictures", nargs=-1, metavar="PICTURE...")
@click.option(
    "--format", "form", type=click.Choice([*FORMATS, "docx", "json"]), default="latex",
    help="How formulas are written. docx needs --out.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--out", type=PLACE, help="Write to this file, not to the terminal.")
@click.option(
    "--shard-size", type=POSITIVE, metavar="N",
    help="Write JSON Lines of N readings each into the folder --out; a run that was cut short goes on.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite the targets of --out and --save-rendering.")
@click.option("--clipboard", is_flag=True, help="Read the picture on the clipboard.")
@click.option("--copy", is_flag=True, help="Copy the formulas to the clipboard.")
@click.option(
    "--save-rendering", type=PATH, metavar="DIR",
    help="Write each picture beside its rendered reading into this folder.",
)  # fmt: skip
@model_options
@worker_options
def read(
    pictures: tuple[str, ...],
    form: str,
    as_json: bool,
    out: Path | None,
    shard_size: int | None,
    force: bool,
    clipboard: bool,
    copy: bool,
    save_rendering: Path | None,
    model_options: ModelOptions,
    work: WorkerOptions,
) -> None:
    """Read pictures of formulas as LaTeX.

    PICTURE is a file (PNG, JPEG, WebP, TIFF, BMP, GIF), a folder, a pattern such as 'scans/*.png',
    a data set (.parquet), or - for standard input. For one picture the LaTeX alone is printed;
    for several, one line each: path, confidence and LaTeX, separated by tabs. Exit status 1 if any
    picture could not be read or written in the format.
    """
    from texlens.reading.desk.clipboard import clipboard_picture, copy_text, require_copying
    from texlens.reading.desk.renderings import check_folder, save_comparisons
    from texlens.reading.sources import find_pictures

    form = "json" if as_json else form
    if not pictures and not clipboard:
        raise InputError("There is nothing to read: name a picture, a folder, or --clipboard.")
    if form == "docx" and out is None:
        raise InputError("A Word document needs a file: give --out FILE.docx.")
    if copy and form in ("docx", "json"):
        raise InputError(f"--copy puts formulas on the clipboard: it does not go with {form}.")
    if shard_size is not None:
        if out is None or form != "latex" or clipboard or copy or save_rendering:
            raise InputError(
                "--shard-size needs --out FOLDER, and goes with no other form of output."
            )
    elif out is not None:
        check_out_file(out, force=force)
    if copy:
        require_copying()
    items = chain([clipboard_picture()] if clipboard else [], find_pictures(pictures))
    if save_rendering is not None:
        check_folder(save_rendering, force=force)
    with work.connected(*modules_of(model_options), quiet=as_json):
        reader = work.reader(model_options, quiet=as_json)
        if shard_size is not None and out is not None:
            _write_shards(pictures, items, reader, out, shard_size, force=force)
            return
        readings = (
            reader.read_many(items)
            if save_rendering is None
            else save_comparisons(items, reader.read_many, save_rendering)
        )
        tally = Tally()
        counted = tally.of(readings)
        if form == "docx" and out is not None:
            write_bytes(out, word_document(counted, tally))
        else:
            with _opened(out) as stream:
                if form == "json":
                    print_json(counted, stream)
                else:
                    formulas = print_lines(counted, form, stream, tally)
    if copy:
        copy_text("\n".join(formulas))
    if tally.failed:
        raise TexlensError(f"{tally.failed} of {tally.count} pictures could not be read.")


def _write_shards(
    pictures: tuple[str, ...],
    items: Iterable[Item],
    reader: ModelReader,
    out: Path,
    size: int,
    *,
    force: bool,
) -> None:
    """Read into a folder. Raises TexlensError at the end where a picture could not be read."""
    from texlens.reading.shards import write_shards

    settings = {
        "pictures": list(pictures),
        "fingerprint": reader.fingerprint,
        "decoding": reader.decoding_settings,
        "versions": provenance("pillow"),
    }
    tally = Tally()
    readings = write_shards(items, reader.read_many, out, size, settings, force=force)
    for _ in progress(tally.of(readings), total=None, unit="pictures"):
        pass
    click.echo(f"{tally.count} pictures were read. Written: {out}")
    if tally.failed:
        raise TexlensError(
            f"{tally.failed} of {tally.count} pictures could not be read: see 'error' in the shards."
        )


@contextlib.contextmanager
def _opened(out: Path | None) -> Iterator[IO[str]]:
    """Standard output, or a file that appears once all is written."""
    if out is None:
        yield sys.stdout
        return
    with atomic_write(out) as file:
        stream = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="\n")
        yield stream
        stream.flush()
        stream.detach()

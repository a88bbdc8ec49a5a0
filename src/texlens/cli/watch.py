"""`texlens watch`: read new pictures in a folder as soon as they are written."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import click

from texlens.cli.model_options import ModelOptions, model_options
from texlens.cli.options import PATH
from texlens.cli.readings import Tally, print_line
from texlens.errors import InputError
from texlens.export import FORMATS
from texlens.runs import write_text


@click.command()
@click.argument("folder", type=PATH)
@click.option(
    "--format", "form", type=click.Choice(list(FORMATS)), default="latex",
    help="How formulas are written.",
)  # fmt: skip
@click.option("--copy", is_flag=True, help="Copy each formula to the clipboard.")
@click.option(
    "--out", type=PATH, metavar="DIR",
    help="Write each formula into this folder, as PICTURE.tex; PICTURE-2.tex if that exists.",
)  # fmt: skip
@model_options
def watch(
    folder: Path, form: str, copy: bool, out: Path | None, model_options: ModelOptions
) -> None:
    """Read each new picture in FOLDER (screenshots, say) and print its formula, until Ctrl-C.

    A picture is read when its file is complete. Pictures that are already there are not read.
    """
    from texlens.reading.desk.clipboard import copy_text, require_copying
    from texlens.reading.desk.watching import new_pictures

    if copy:
        require_copying()
    if out is not None and out.exists() and not out.is_dir():
        raise InputError(f"'{out}' is a file, not a folder: give another --out.")
    pictures = new_pictures(folder)
    reader = model_options.open()
    print(f"Watching '{folder}'. Ctrl-C ends it.", file=sys.stderr, flush=True)
    tally = Tally()
    with contextlib.suppress(KeyboardInterrupt):
        for item in pictures:
            (reading,) = tally.of(reader.read_many([item]))
            text = print_line(reading, form, sys.stdout, tally)
            if text is not None and copy:
                copy_text(text)
            if text is not None and out is not None:
                write_text(_new_file(out, item.name, FORMATS[form].suffix), text + "\n")
    noun = "picture" if tally.count == 1 else "pictures"
    print(f"{tally.count} {noun} read, {tally.failed} failed.", file=sys.stderr)


def _new_file(out: Path, picture: str, suffix: str) -> Path:
    """The file for a picture's formula: one that is not there yet."""
    path, number = out / f"{Path(picture).stem}{suffix}", 1
    while path.exists():
        number += 1
        path = out / f"{Path(picture).stem}-{number}{suffix}"
    return path

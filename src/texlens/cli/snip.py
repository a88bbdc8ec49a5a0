"""`texlens snip`: a formula from the screen to the clipboard."""

from __future__ import annotations

import click

from texlens.cli.model_options import ModelOptions, model_options


@click.command()
@model_options
def snip(model_options: ModelOptions) -> None:
    """Choose a region of the screen, and get its LaTeX on the clipboard.

    Drag around a formula; Esc cancels. A small window shows the reading, alternatives and formats: what
    is selected is on the clipboard. Needs the extra `desk` and Python's Tk.
    """
    from texlens.errors import InputError
    from texlens.imports import is_installed
    from texlens.reading.desk.clipboard import copy_text, require_copying

    require_copying()
    if not is_installed("tkinter") or not is_installed("_tkinter"):
        raise InputError(
            "Python's Tk is not installed: on Debian and Ubuntu run  sudo apt install python3-tk."
        )
    from texlens.snip.snipping import Snipping

    Snipping(model_options.open, copy_text, lambda reading: click.echo(reading.latex)).run()

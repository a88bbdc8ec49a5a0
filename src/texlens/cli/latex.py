"""`texlens check` and `texlens normalize`: LaTeX as text."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from texlens.cli.options import PATH, echo, json_option, options

if TYPE_CHECKING:
    from texlens.latex.files import SourcedFormula

# How much of a formula is shown on each side of an error.
_SHOWN_CHARACTERS = 60


# FORMULAS and --file, which `read_given` reads.
formula_options = options(
    click.argument("formulas", nargs=-1),
    click.option(
        "--file", "files", multiple=True, type=PATH,
        help="A file with one formula per line, a .jsonl, a .json, or a .tex file with one "
        "formula; - is standard input.",
    ),
)  # fmt: skip
_text_options = options(
    formula_options,
    click.option("--key", help="The key of the formula in records of .json and .jsonl files."),
    json_option("one JSON document"),
)


@click.command()
@_text_options
def check(
    formulas: tuple[str, ...], files: tuple[Path, ...], key: str | None, as_json: bool
) -> None:
    """Check that LaTeX formulas are valid: that braces match and KaTeX can parse them.

    FORMULAS are LaTeX, with or without dollar signs; without any, they are read from --file or
    standard input. The exit status is 1 if a formula is not valid.
    """
    from texlens.errors import TexlensError
    from texlens.latex import check as check_formulas

    given = read_given(formulas, files, key)
    checks = check_formulas([formula.latex for formula in given])
    pairs = list(zip(given, checks, strict=True))
    valid = sum(result.ok for result in checks)
    if as_json:
        rows = [asdict(formula) | asdict(result) for formula, result in pairs]
        _print_json({"n": len(checks), "valid": valid, "formulas": rows})
    else:
        for formula, result in pairs:
            if not result.ok:
                echo(f"{formula.source}: {_printable(result.message)}")
                echo(_excerpt(formula.latex, result.position))
    if valid < len(checks):
        raise TexlensError(f"{len(checks) - valid} of {len(checks)} formulas are not valid.")
    if not as_json:
        echo(f"{len(checks)} of {len(checks)} formulas are valid.")


@click.command()
@_text_options
def normalize(
    formulas: tuple[str, ...], files: tuple[Path, ...], key: str | None, as_json: bool
) -> None:
    """Print the normal form of LaTeX formulas, one per line; it renders to the same picture.

    FORMULAS are LaTeX, with or without dollar signs; without any, they are read from --file or
    standard input.
    """
    from texlens.latex import normalize as normal_form

    rows = [
        asdict(formula) | {"normal": normal_form(formula.latex)}
        for formula in read_given(formulas, files, key)
    ]
    if as_json:
        _print_json({"n": len(rows), "formulas": rows})
    else:
        for row in rows:
            echo(row["normal"])


def read_given(
    formulas: tuple[str, ...], files: tuple[Path, ...], key: str | None = None
) -> list[SourcedFormula]:
    """The formulas of a command's arguments and files; without both, of standard input.

    Raises:
        InputError: there are none, or a file cannot be read.
    """
    from texlens.errors import InputError
    from texlens.latex.files import SourcedFormula, read_formulas

    given = [SourcedFormula(f"argument {n}", latex) for n, latex in enumerate(formulas, 1)]
    given += read_formulas(files or ([] if formulas else [Path("-")]), key)
    if not given:
        raise InputError("There are no formulas: give some as arguments, --file or standard input.")
    return given


def _excerpt(latex: str, position: int | None) -> str:
    """The formula around an error, with a caret below the position."""
    if position is None:
        cut = latex[: 2 * _SHOWN_CHARACTERS]
        return f"  {_printable(cut)}{'...' if len(cut) < len(latex) else ''}"
    start = max(0, position - _SHOWN_CHARACTERS)
    end = min(len(latex), position + _SHOWN_CHARACTERS)
    before = "..." if start else ""
    line = f"{before}{_printable(latex[start:end])}{'...' if end < len(latex) else ''}"
    return f"  {line}\n  {' ' * (len(before) + position - start)}^"


def _printable(text: str) -> str:
    """One column per character: controls and marks of writing direction are shown as a box."""
    return "".join(a if a.isprintable() else " " if a.isspace() else "\ufffd" for a in text)


def _print_json(document: Any) -> None:
    echo(json.dumps(document, ensure_ascii=False, indent=2))

"""`texlens doctor`: what is installed and what works."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from texlens.cli.options import json_option, print_result


@click.command()
@json_option("one JSON document")
def doctor(as_json: bool) -> None:
    """Show what is installed and what works."""
    from texlens.diagnosis import diagnose
    from texlens.errors import InputError

    # torch's MKL ends the process there, beyond any handler.
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise InputError(
            "The working directory has been deleted: change to another one."
        ) from error
    findings = diagnose()
    width = max(len(finding.what) for finding in findings)
    lines = (
        f"{'ok     ' if finding.works else 'missing'}  {finding.what:<{width}}  {finding.detail}"
        for finding in findings
    )
    print_result([asdict(finding) for finding in findings], "\n".join(lines), as_json=as_json)

"""`texlens doctor`: what is installed and what works."""

from __future__ import annotations

import json

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def doctor(as_json: bool) -> None:
    """Show what is installed and what works."""
    from texlens.diagnosis import diagnose

    findings = diagnose()
    if as_json:
        click.echo(json.dumps([finding.as_json() for finding in findings]))
        return
    for finding in findings:
        mark = "ok     " if finding.works else "missing"
        click.echo(f"{mark}  {finding.what:<22}{finding.detail}")

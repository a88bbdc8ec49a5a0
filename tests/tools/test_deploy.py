"""The container and the unit start the server with options that it has."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import click
import pytest

from texlens.cli import cli

REPOSITORY = Path(__file__).resolve().parents[2]
STEPS = runpy.run_path(str(REPOSITORY / "tools" / "deploy" / "run_steps.py"))


def container_arguments() -> list[str]:
    text = (REPOSITORY / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    (command,) = (json.loads(rest) for word, rest in STEPS["instructions"](text) if word == "CMD")
    return command  # type: ignore[no-any-return]


def unit_arguments() -> list[str]:
    unit = (REPOSITORY / "deploy" / "texlens.service").read_text(encoding="utf-8")
    (line,) = (line for line in unit.splitlines() if line.startswith("ExecStart="))
    return line.split()[1:]


@pytest.mark.parametrize("arguments", [container_arguments(), unit_arguments()])
def test_the_options_exist(arguments: list[str]) -> None:
    context = click.Context(cli, info_name="texlens")
    name, *rest = arguments
    command = cli.get_command(context, name)
    assert command is not None
    with command.make_context(name, rest, parent=context) as parsed:
        assert parsed.params["job_folder"] == Path("/var/lib/texlens/jobs")


def test_what_is_copied_into_the_container_is_there() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = [line[1:] for line in lines if line.startswith("!")]
    assert all((REPOSITORY / name).exists() for name in kept)
    assert "constraints.txt" in kept

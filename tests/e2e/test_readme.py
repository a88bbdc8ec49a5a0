"""The README's commands: every one parses as it stands, and those that need no file run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from texlens.cli import cli

README = Path(__file__).parents[2] / "README.md"


def commands() -> list[str]:
    """The lines of the README's shell examples that call texlens, without comments."""
    blocks = re.findall(r"```(?:sh|bash)\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    parts = (part.strip() for block in blocks for part in re.split(r"\n| ; ", block))
    return [re.sub(r"\s+#.*|[\[\]]", "", part) for part in parts if part.startswith("texlens ")]


@pytest.mark.parametrize("line", commands())
def test_a_command_of_the_readme_parses(line: str) -> None:
    words = shlex.split(line)[1:]
    command: click.Command = cli
    context = click.Context(cli, info_name="texlens")
    while isinstance(command, click.Group):
        found = command.get_command(context, words.pop(0))
        assert found is not None, line
        command = found
    command.make_context(line, words)


def test_those_that_need_no_file_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    lines = [
        line for line in commands() if re.match(r"texlens (score --gt|check|norm|render)", line)
    ]
    assert len(lines) == 4
    for line in lines:
        result = runner.invoke(cli, shlex.split(line)[1:])
        # `check` finds the fault that its example has.
        assert result.exit_code == (1 if " check " in line else 0), (line, result.output)
    assert (tmp_path / "e.png").read_bytes().startswith(b"\x89PNG")

"""Types of arguments, options and the printing of results that several commands share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]

PATH = click.Path(path_type=Path)


class _Place(click.ParamType):  # type: ignore[type-arg]  # a class of its stubs alone
    """A path, or an address such as `s3://bucket/folder`."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path, or what has the methods of one."""
        from texlens.addresses import place

        return place(value)


PLACE = _Place()
POSITIVE = click.IntRange(min=1)


def options(*decorators: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """One decorator of several options, which `--help` shows in this order."""

    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


out_option = click.option(
    "--out", required=True, type=PLACE, help="The folder to write, or its address (s3://...)."
)
force_option = click.option("--force", is_flag=True, help="Replace a finished result.")


def json_option(content: str = "the result as one JSON document") -> Callable[[Command], Command]:
    """The option `--json`; its help is what it prints."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print {content}.")


def print_result(document: Any, text: str, *, as_json: bool) -> None:
    """Print the result of a command: the document for `--json`, else the text."""
    echo(json.dumps(document, ensure_ascii=False) if as_json else text)


def echo(text: str) -> None:
    """Print a text that may contain lone surrogates, which UTF-8 cannot encode."""
    click.echo(text.encode("utf-8", errors="backslashreplace"))

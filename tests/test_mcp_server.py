"""The tools for assistants, through the official client: in this process and as a program."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from texlens.mcp_server import mcp_server
from texlens.reading import Reader

DEMO = Path(str(resources.files("texlens") / "demo"))


@pytest.fixture(scope="module")
def server() -> Any:
    return mcp_server(Reader)


def call(server: Any, tool: str, **arguments: Any) -> Any:
    async def client() -> Any:
        async with Client(server) as connected:
            return await connected.call_tool(tool, arguments)

    return asyncio.run(client())


def test_the_tools(server: Any) -> None:
    async def client() -> list[Any]:
        async with Client(server) as connected:
            return list((await connected.list_tools()).tools)

    tools = asyncio.run(client())
    assert [tool.name for tool in tools] == ["read_formula", "check_latex", "render_latex"]
    assert all(tool.description for tool in tools)


def test_reading_a_file_and_a_data_url(server: Any) -> None:
    path = DEMO / "02-euler.png"
    address = "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
    read = [call(server, "read_formula", picture=given) for given in (str(path), address)]
    first, second = (result.structured_content for result in read)
    assert first == second
    assert first["latex"] == r"e^{i\pi} + 1 = 0"
    assert 0.5 < first["confidence"] <= 1
    more = call(server, "read_formula", picture=str(path), alternatives=2).structured_content
    assert more["latex"] == first["latex"]
    assert len(more["alternatives"]) <= 2


def test_checking_and_rendering(server: Any) -> None:
    assert call(server, "check_latex", latex=r"\frac a b").structured_content == {
        "valid": True,
        "error": None,
        "position": None,
        "normal": r"\frac { a } { b }",
    }
    wrong = call(server, "check_latex", latex=r"x + \frac{a}{b").structured_content
    assert wrong["valid"] is False
    assert wrong["error"]
    (picture,) = call(server, "render_latex", latex=r"\frac a b", em_px=40).content
    assert base64.b64decode(picture.data).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("read_formula", {"picture": "/etc/passwd"}, "passwd"),
        ("read_formula", {"picture": "no/such/file.png"}, "no/such/file.png"),
        ("read_formula", {"picture": "https://example.org/a.png"}, "not fetched"),
        ("read_formula", {"picture": "data:image/png;base64,???"}, "base64"),
        ("read_formula", {"picture": "data:text/plain,abc"}, "base64"),
        ("check_latex", {"latex": "x" * 20_001}, "20,000"),
        ("render_latex", {"latex": r"\nosuch{x}"}, "cannot be rendered"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    server: Any, tool: str, arguments: dict[str, Any], says: str
) -> None:
    result = call(server, tool, **arguments)
    assert result.is_error
    text = result.content[0].text
    assert says in text
    assert "Traceback" not in text
    assert "root:" not in text
    assert len(text.splitlines()) == 1


def test_the_command() -> None:
    program = StdioServerParameters(
        command=sys.executable, args=["-m", "texlens", "mcp"], env=dict(os.environ)
    )
    result = call(program, "read_formula", picture=str(DEMO / "02-euler.png"))
    assert result.structured_content["latex"] == r"e^{i\pi} + 1 = 0"

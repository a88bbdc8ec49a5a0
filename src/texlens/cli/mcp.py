"""`texlens mcp`: the tools of TexLens for assistants."""

from __future__ import annotations

import click

from texlens.cli.model_options import ModelOptions, model_options


@click.command()
@model_options
def mcp(model_options: ModelOptions) -> None:
    """Offer tools to assistants by the Model Context Protocol, on standard input and output.

    The tools are read_formula, check_latex and render_latex. An assistant starts this command by itself:
    its configuration names the program 'texlens' with the argument 'mcp'.
    """
    from texlens.errors import require_extra

    require_extra("Offering tools to assistants", "mcp", "mcp")
    from texlens.mcp_server import mcp_server

    mcp_server(model_options.open).run("stdio")

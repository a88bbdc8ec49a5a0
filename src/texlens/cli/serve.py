"""`texlens serve`: reading over HTTP, with a page that uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from texlens.cli.model_options import ModelOptions, model_options

if TYPE_CHECKING:
    from texlens.serve.model import Model

_MIN_HANG_SECONDS = 20.0  # a busy machine may need as long for one step


@click.command()
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000,
    help="Port to listen on; 0 means any free port.",
)  # fmt: skip
@click.option(
    "--token", envvar="TEXLENS_TOKEN", show_envvar=True,
    help="Clients must send it as 'Authorization: Bearer TOKEN'. Required if other machines can connect.",
)  # fmt: skip
@click.option(
    "--allow-host", "names", multiple=True, metavar="NAME",
    help="Another host name that the server answers to.",
)  # fmt: skip
@click.option(
    "--queue", type=click.IntRange(min=64), default=256,
    help="Pictures that may wait; further ones are refused for a moment (503).",
)  # fmt: skip
@click.option(
    "--max-seconds", type=click.FloatRange(min=1), default=60.0,
    help="Seconds that a request may wait for its readings. A large model without a GPU needs more. "
    "A model without a sign of life for half as long is started again.",
)  # fmt: skip
@model_options
def serve(
    host: str,
    port: int,
    token: str | None,
    names: tuple[str, ...],
    queue: int,
    max_seconds: float,
    model_options: ModelOptions,
) -> None:
    """Read pictures over HTTP: a page in the browser, an API, an OpenAI-compatible endpoint.

    The page is at the printed address, the description of the API at /docs. Ctrl-C stops the
    server after the current requests.
    """
    from texlens.errors import InputError, require_extra

    require_extra("Serving", "serve", "fastapi", "uvicorn", "python_multipart")
    from texlens.serve.auth import AccessPolicy
    from texlens.serve.server import is_loopback, open_socket, run

    if not is_loopback(host) and not token:
        raise InputError(f"Other machines can reach {host}: give a --token that clients must send.")
    policy = AccessPolicy(is_public=not is_loopback(host), names=names, token=token)
    listener = open_socket(host, port)

    from texlens.serve import Limits, create_app

    model = _open_model(model_options, max_seconds)
    address = f"[{host}]" if ":" in host else host
    click.echo(f"TexLens reads at http://{address}:{listener.getsockname()[1]}/ (Ctrl-C stops it)")
    limits = Limits(waiting=queue, answer_seconds=max_seconds)
    run(create_app(model, limits=limits, policy=policy), listener)


def _open_model(options: ModelOptions, max_seconds: float) -> Model:
    """The model on another server, or in a process of its own."""
    if options.values["endpoint"] is not None:
        from texlens.reading.backends.remote import RemoteReader
        from texlens.serve.remote_model import RemoteModel

        reader = options.open()
        assert isinstance(reader, RemoteReader)
        return RemoteModel(reader)
    from texlens.serve.model_process import ModelProcess

    return ModelProcess(options.open, hang_seconds=max(_MIN_HANG_SECONDS, max_seconds / 2))

"""`texlens serve`: reading over HTTP, with a page that uses it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from texlens.cli.model_options import ModelOptions, model_options

if TYPE_CHECKING:
    from texlens.serve.middleware.access_log import LogFormat
    from texlens.serve.models.base import Model

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
    "--tokens", "token_file", type=click.Path(dir_okay=False, path_type=Path),
    help="File with the hashes of several named tokens.",
)  # fmt: skip
@click.option(
    "--add-token", "new_name", metavar="NAME",
    help="Add a token to the file of --tokens, print it, and end.",
)  # fmt: skip
@click.option(
    "--unix-socket", type=click.Path(path_type=Path),
    help="Listen on a Unix socket instead of an address, for a proxy on this machine.",
)  # fmt: skip
@click.option(
    "--root-path", default="", metavar="PATH",
    help="Path under which a proxy serves this, such as /formulas.",
)  # fmt: skip
@click.option(
    "--trust-proxy", "proxies", multiple=True, metavar="ADDRESS",
    help="Address of a proxy whose X-Forwarded-For names the clients.",
)  # fmt: skip
@click.option(
    "--allow-origin", "origins", multiple=True, metavar="ORIGIN",
    help="Another site whose pages may use this server, such as https://example.org (CORS).",
)  # fmt: skip
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info",
    help="info: one line for each request.",
)  # fmt: skip
@click.option(
    "--log-format", type=click.Choice(["plain", "json"]), default="plain",
    help="Form of the log on standard error.",
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
    "--client-queue", type=click.IntRange(min=64), default=192,
    help="How many of them may belong to one client; further ones are refused (429).",
)  # fmt: skip
@click.option(
    "--jobs", "job_folder", type=click.Path(file_okay=False, path_type=Path),
    help="Folder for jobs of many pictures (POST /v1/jobs). Without it nothing is stored.",
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
    token_file: Path | None,
    new_name: str | None,
    unix_socket: Path | None,
    root_path: str,
    proxies: tuple[str, ...],
    origins: tuple[str, ...],
    log_level: str,
    log_format: LogFormat,
    names: tuple[str, ...],
    queue: int,
    client_queue: int,
    job_folder: Path | None,
    max_seconds: float,
    model_options: ModelOptions,
) -> None:
    """Read pictures over HTTP: a page in the browser, an API, an OpenAI-compatible endpoint.

    The page is at the printed address, the description of the API at /docs. Ctrl-C stops the
    server at once; SIGTERM stops it after the current requests.
    """
    from texlens.errors import InputError, require_extra

    require_extra("Serving", "serve", "fastapi", "uvicorn", "python_multipart", "prometheus_client")
    from texlens.serve.middleware.auth import AccessPolicy
    from texlens.serve.middleware.tokens import add_token

    if new_name is not None:
        if token_file is None:
            raise InputError("--add-token needs --tokens FILE.")
        click.echo(add_token(token_file, new_name))
        return

    from texlens.serve.server import is_loopback, open_socket, open_unix_socket, run

    is_public = unix_socket is None and not is_loopback(host)
    if is_public and not (token or token_file):
        raise InputError(f"Other machines can reach {host}: give a --token that clients must send.")
    prefix = root_path.strip("/") and f"/{root_path.strip('/')}"
    policy = AccessPolicy(
        is_public=is_public,
        is_socket=unix_socket is not None,
        names=names,
        origins=origins,
        token=token,
        tokens=token_file,
    )
    listener = open_unix_socket(unix_socket) if unix_socket else open_socket(host, port)

    from texlens.serve import Limits, create_app
    from texlens.serve.jobs.store import JobStore
    from texlens.serve.middleware.access_log import configure_logging

    configure_logging(log_level, log_format)
    jobs = JobStore(job_folder) if job_folder else None
    model = _open_model(model_options, max_seconds)
    if unix_socket is None:
        address = f"[{host}]" if ":" in host else host
        where = f"at http://{address}:{listener.getsockname()[1]}{prefix}/"
    else:
        where = f"on the socket {unix_socket}"
    click.echo(f"TexLens reads {where} (Ctrl-C stops it)")
    limits = Limits(waiting=queue, waiting_of_client=client_queue, answer_seconds=max_seconds)
    try:
        app = create_app(model, limits=limits, policy=policy, prefix=prefix, jobs=jobs)
        run(app, listener, proxies=proxies)
    finally:
        model.close()
        if jobs is not None:
            jobs.close()
        if unix_socket:
            unix_socket.unlink(missing_ok=True)


def _open_model(options: ModelOptions, max_seconds: float) -> Model:
    """The model on another server, or in a process of its own."""
    if options.values["endpoint"] is not None:
        from texlens.reading.backends.remote import RemoteReader
        from texlens.serve.models.remote import RemoteModel

        reader = options.open()
        assert isinstance(reader, RemoteReader)
        return RemoteModel(reader)
    from texlens.serve.models.process import ModelProcess

    return ModelProcess(options.open, hang_seconds=max(_MIN_HANG_SECONDS, max_seconds / 2))

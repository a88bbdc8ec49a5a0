"""`texlens hub`: models to and from the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

import click

from texlens.cli.options import PATH, json_option, out_option, print_result


@click.group()
def hub() -> None:
    """Push models to the Hugging Face hub, and pull them."""


@hub.command()
@click.argument("folder", type=PATH)
@click.argument("repository")
@click.option("--private", is_flag=True, help="Make a new repository private.")
@click.option("--revision", help="The branch to push to. Default: main.")
@click.option("--message", help="The message of the commit.")
@json_option()
def push(
    folder: Path,
    repository: str,
    private: bool,
    revision: str | None,
    message: str | None,
    as_json: bool,
) -> None:
    """Push the model or adapter in FOLDER to REPOSITORY (owner/name), with its card.

    Only weights in safetensors, graphs, JSON and the card are pushed, in one commit. Log in with `hf
    auth login` before.
    """
    from texlens.model.sharing import push as run

    url = run(folder, repository, private=private, revision=revision, message=message)
    print_result({"repository": repository, "commit": url}, f"Pushed: {url}", as_json=as_json)


@hub.command()
@click.argument("repository")
@out_option
@click.option("--revision", help="A branch, a tag or a commit. Default: the newest commit.")
@json_option()
def pull(repository: str, out: Path, revision: str | None, as_json: bool) -> None:
    """Pull the model or adapter in REPOSITORY (owner/name) into a folder.

    `texlens read --model owner/name` does without a folder: it uses the hub's cache.
    """
    from texlens.model.sharing import pull as run

    commit = run(repository, out, revision=revision)
    text = f"Pulled commit {commit}. Written: {out}"
    print_result({"repository": repository, "commit": commit}, text, as_json=as_json)

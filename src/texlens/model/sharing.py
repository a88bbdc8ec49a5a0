"""Models and adapters to and from the Hugging Face hub, with their cards.

Only what reading needs travels: weights in safetensors, graphs, JSON and the card. Checkpoints, logs and
pickles stay where they are, in both directions.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from texlens.errors import InputError, require_extra
from texlens.hub import Asked, explained

CARD = "README.md"
_PATTERNS = ("*.json", "*.safetensors", "*.onnx", "*.jinja", "merges.txt", CARD)
_DRAFT = re.compile(r"^Draft, written by .*$", re.MULTILINE)
# A folder holds a model or an adapter if it has these.
_MARKERS = {"config.json": "model*.safetensors", "adapter_config.json": "adapter_model.safetensors"}


def push(
    folder: Path,
    repository: str,
    *,
    private: bool = False,
    revision: str | None = None,
    message: str | None = None,
) -> str:
    """Push a model or an adapter with its card, in one commit. The repository is made if it is absent.

    The card is the folder's `README.md`; training drafts one.

    Args:
        folder: of the model or the adapter.
        repository: `owner/name`.
        private: make a new repository private.
        revision: the branch to push to; None for the main one.
        message: of the commit.

    Returns:
        The commit's address.

    Raises:
        InputError: the folder holds no model, no card or only its draft; or one may not write there.
        TexlensError: the hub could not be reached or failed.
    """
    require_extra("Pushing to the hub", "hub", "huggingface_hub")
    from huggingface_hub import CommitOperationAdd, HfApi

    check_folder(folder)
    card = _card(folder, repository)
    files = sorted({path for pattern in _PATTERNS for path in folder.glob(pattern)})
    additions = [
        CommitOperationAdd(path.name, path)
        for path in files
        if path.is_file() and path.name != CARD
    ]
    additions.append(CommitOperationAdd(CARD, card.encode()))
    client = HfApi()
    try:
        client.create_repo(repository, private=private, exist_ok=True)
        if revision is not None:
            client.create_branch(repository, branch=revision, exist_ok=True)
        commit = client.create_commit(
            repository,
            additions,
            commit_message=message or "A model of TexLens",
            revision=revision,
        )
    except Exception as error:
        raise explained(error, Asked("model", repository, "pushed", revision)) from error
    return str(commit.commit_url)


def pull(repository: str, out: Path, *, revision: str | None = None) -> str:
    """Pull a model or an adapter into a folder, which appears once all of it is there.

    An interrupted pull goes on where it stopped.

    Args:
        repository: `owner/name`.
        out: the folder to make; it must not exist.
        revision: a branch, a tag or a commit; None for the newest.

    Returns:
        The commit.

    Raises:
        InputError: there is no such repository or revision, it may not be read, it holds no model that
            TexLens can read, or `out` exists.
        TexlensError: the hub could not be reached or failed.
    """
    require_extra("Pulling from the hub", "hub", "huggingface_hub")
    from huggingface_hub import HfApi

    if out.exists():
        raise InputError(f"'{out}' exists: give another --out.")
    asked = Asked("model", repository, "fetched", revision)
    part = out.with_name(f".{out.name}.part")
    client = HfApi()
    try:
        commit = client.model_info(repository, revision=revision).sha
        client.snapshot_download(
            repository, revision=commit, local_dir=part, allow_patterns=list(_PATTERNS)
        )
    except Exception as error:
        raise explained(error, asked) from error
    shutil.rmtree(part / ".cache", ignore_errors=True)
    try:
        check_folder(part)
    except InputError as error:
        shutil.rmtree(part)
        raise InputError(
            f"The repository '{repository}' holds no model with weights in safetensors, and no "
            "adapter."
        ) from error
    part.rename(out)
    return str(commit)


def check_folder(folder: Path) -> None:
    """Raise InputError unless a folder holds a model or an adapter, with weights in safetensors."""
    if not any(
        (folder / marker).is_file() and any(folder.glob(weights))
        for marker, weights in _MARKERS.items()
    ):
        raise InputError(
            f"'{folder}' holds no model and no adapter: it needs config.json or "
            "adapter_config.json, and weights in safetensors."
        )


def _card(folder: Path, repository: str) -> str:
    """The text of a folder's card, with the repository's name where it says 'this folder'."""
    path = folder / CARD
    if not path.is_file():
        raise InputError(
            f"'{folder}' has no card: write {CARD}, with the base, the licence, the data and where "
            "the model fails."
        )
    text = path.read_text(encoding="utf-8")
    if _DRAFT.search(text):
        raise InputError(
            f"'{path}' is the draft of a card: describe the data and where the model fails, and "
            "delete its line that begins with 'Draft'."
        )
    return text.replace('"this folder"', f'"{repository}"')

"""Fetch a corpus from the Hugging Face hub: the files that are asked for, and their commit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from texlens.data.corpora.base import Origin
from texlens.errors import InputError, require_extra
from texlens.hub import Asked, explained


def fetch_dataset(
    repository: str, patterns: Sequence[str], revision: str | None = None
) -> tuple[Path, Origin]:
    """The files of a data set that match `patterns`, downloaded where the hub's cache lacks them.

    Args:
        repository: its name, `owner/name`.
        patterns: of the files, as paths in the repository.
        revision: a branch, a tag or a commit; None for the newest.

    Returns:
        The folder of the commit in the hub's cache, which may have other files too; and the commit.

    Raises:
        InputError: there is no such data set or revision, or it may not be read.
        TexlensError: it could not be fetched.
    """
    require_extra("Fetching from the hub", "hub", "huggingface_hub")
    from huggingface_hub import snapshot_download

    try:
        folder = Path(
            snapshot_download(
                repository,
                repo_type="dataset",
                allow_patterns=list(patterns),
                revision=revision,
            )
        )
    except Exception as error:
        advice = "download it elsewhere and give its folder with --from"
        asked = Asked("data set", repository, "fetched", revision, advice)
        raise explained(error, asked) from error
    if not any(any(folder.glob(pattern)) for pattern in patterns):
        raise InputError(
            f"The data set '{repository}' has no {' or '.join(patterns)} at commit {folder.name}: "
            "give another --revision, or a folder with --from."
        )
    return folder, Origin(repository, folder.name)


def origin_of(path: Path) -> tuple[Origin, ...]:
    """The origin of files in the hub's cache: `datasets--OWNER--NAME/snapshots/COMMIT/...`."""
    parts = path.absolute().parts
    for place, part in enumerate(parts[:-2]):
        kind, *names = part.split("--")
        if kind == "datasets" and len(names) == 2 and parts[place + 1] == "snapshots":
            return (Origin("/".join(names), parts[place + 2]),)
    return ()

"""Fetch a corpus from the Hugging Face hub: the files that are asked for, and their commit."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

from texlens.data.corpora.base import Origin
from texlens.errors import InputError, TexlensError, require_extra


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
    require_extra("Fetching from the hub", "data", "huggingface_hub")
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
    except Exception as error:  # the client raises a different class for every way to fail
        raise _explained(error, repository, revision) from error
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


def _explained(error: Exception, repository: str, revision: str | None) -> TexlensError:
    """What went wrong, in one sentence."""
    from huggingface_hub import errors

    what = f"The data set '{repository}'"
    match error:
        case errors.GatedRepoError():
            return InputError(
                f"{what} is gated: accept its conditions on huggingface.co, log in with "
                "`hf auth login`, and run the same command again."
            )
        case errors.RevisionNotFoundError():
            return InputError(f"{what} has no revision '{revision}'.")
        case errors.RepositoryNotFoundError() | errors.HFValidationError():
            return InputError(
                f"There is no data set '{repository}' on the hub, or it is private: check the "
                "name, or log in with `hf auth login`."
            )
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return TexlensError(
                f"{what} could not be fetched: the disk of the hub's cache is full. Make room, or "
                "set HF_HOME to another disk, and run the same command to go on."
            )
        case errors.LocalEntryNotFoundError() | errors.OfflineModeIsEnabled():
            return TexlensError(
                f"{what} is not in the hub's cache, and the hub cannot be reached: download it "
                "elsewhere and give its folder with --from."
            )
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return TexlensError(f"{what} could not be fetched from the hub: {reason}")

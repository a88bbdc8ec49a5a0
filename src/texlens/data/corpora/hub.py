"""Fetch a corpus from the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from texlens.errors import TexlensError, require_extra


def fetch_dataset(repository: str, pattern: str) -> Path:
    """The local folder of a data set's files that match `pattern`, downloaded where needed.

    Raises TexlensError when the hub cannot be reached, naming the local way.
    """
    require_extra("Fetching from the hub", "data", "huggingface_hub")
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(repository, repo_type="dataset", allow_patterns=[pattern])
    except Exception as error:  # the client raises a different class for every way to be offline
        raise TexlensError(
            f"The data set '{repository}' cannot be fetched from the hub "
            f"({type(error).__name__}): download it elsewhere and give its folder with --from."
        ) from error
    return Path(folder)

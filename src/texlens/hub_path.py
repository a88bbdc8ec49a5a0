"""An address of the Hugging Face hub (`hf://`) that can be written to: each file written or removed is a commit."""

from __future__ import annotations

from upath.implementations.cloud import HfPath
from upath.registry import register_implementation


class HubPath(HfPath):  # type: ignore[misc]  # upath is not typed
    """With the methods that upath refuses for the hub."""

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Do nothing: files alone make folders there."""

    def rmdir(self, recursive: bool = True) -> None:
        """Do nothing: there is no folder without files."""

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the file. Raises FileNotFoundError where there is none, unless `missing_ok`."""
        if self.exists():
            self.fs.rm_file(self.path)
        elif not missing_ok:
            raise FileNotFoundError(self.path)


register_implementation("hf", HubPath, clobber=True)  # also in a process that a path is sent to

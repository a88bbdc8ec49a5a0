"""Errors that a user can act on, and the exit status each one ends a command with."""

from __future__ import annotations

from collections.abc import Iterator

from texlens.imports import is_installed, leave_out_broken_torchvision

TRAINING_MODULES = ("pyarrow", "torch", "transformers", "peft", "trl", "accelerate", "datasets")
"""What fine-tuning imports of the extra `train`."""


class TexlensError(Exception):
    """The work failed. The message is one sentence: what was wrong, with what, and what to do."""

    exit_status = 1


class InputError(TexlensError):
    """The arguments or the inputs are wrong; nothing was written."""

    exit_status = 2


class DiskFull(TexlensError):
    """A disk that the work needs is full: whatever the item, it is not the cause."""


class MissingExtra(InputError):
    """The optional dependencies of a part of TexLens are not installed."""

    def __init__(self, job: str, extra: str, module: str) -> None:
        super().__init__(
            f"{job} needs the Python package '{module}', which is not installed: "
            f"run  pip install 'texlens[{extra}]'."
        )
        self.extra = extra


def require_extra(job: str, extra: str, *modules: str) -> None:
    """Raise MissingExtra, naming `job`, if one of an extra's modules is not installed.

    Where transformers is one of them, it will do without a torchvision that cannot be imported.
    """
    for module in modules:
        if not is_installed(module):
            raise MissingExtra(job, extra, module)
    if "transformers" in modules:
        leave_out_broken_torchvision()


def with_causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what caused it: libraries wrap the errors of the libraries that they use."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__

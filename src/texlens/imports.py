"""Optional packages: one that is installed and cannot be imported counts as absent."""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
import warnings
from importlib.util import find_spec
from types import ModuleType


def is_installed(name: str) -> bool:
    """Whether there is a module of this name, whatever importing it does."""
    return find_spec(name) is not None


def import_quietly(name: str) -> ModuleType:
    """Import a module, without its warnings and what it prints. Raises whatever the import raises."""
    unheard = io.StringIO()
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(unheard),
        contextlib.redirect_stderr(unheard),
    ):
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def import_failure(name: str) -> str | None:
    """Why a module that is installed cannot be imported, on one line; None where it can."""
    try:
        import_quietly(name)
    except (Exception, SystemExit) as error:
        return " ".join(f"{type(error).__name__}: {error}".split())
    return None


def leave_out_broken_torchvision() -> str | None:
    """Let transformers go without a torchvision that cannot be imported. Returns why it cannot.

    PyPI's torchvision for Linux is built for CUDA, and fails beside a torch for the CPU. transformers
    takes every torchvision that is installed for usable, and then can import no model that reads
    pictures. TexLens needs none.
    """
    if not is_installed("torchvision"):
        return None
    failure = import_failure("torchvision")
    if failure is not None:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        sys.modules["torchvision"] = None  # type: ignore[assignment]  # `find_spec` gives None
        if "transformers" in sys.modules:  # it may have found the package before
            from transformers.utils import import_utils

            for check in ("is_torchvision_available", "is_torchvision_v2_available"):
                getattr(import_utils, check).cache_clear()
    return failure

"""Pictures of formulas to LaTeX.

In: a picture (path, bytes or open image) or many. Out: a `texlens.records.Reading` each, with the
LaTeX, a confidence, the tokens and warnings.

Read in this order: `sources` (which pictures), `pictures` (opening and framing them), `backends`
(running a model), `decoding` (generating its answer), `answers` (the LaTeX in it), `views` (reading
doubtful pictures again), `confidence` (its calibration), and `reader`, which joins them.
`backends.remote` reads by a model on a server. `desk` serves the desktop: clipboard, watched folder.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from texlens.reading.backends.remote import RemoteReader
    from texlens.reading.reader import Reader, read
    from texlens.reading.sources import find_pictures

__all__ = ["Reader", "RemoteReader", "find_pictures", "read"]

_MODULES = {"RemoteReader": "backends.remote", "find_pictures": "sources"}


def __getattr__(name: str) -> Any:
    if name in __all__:  # imported on demand: most need numpy
        module = f"texlens.reading.{_MODULES.get(name, 'reader')}"
        return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'texlens.reading' has no attribute '{name}'")

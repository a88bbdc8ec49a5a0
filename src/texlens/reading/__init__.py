"""Pictures of formulas to LaTeX.

In: a picture (path, bytes or open image) or many. Out: a `texlens.records.Reading` each, with the
LaTeX, a confidence, the tokens and warnings.

Read in this order: `sources` (which pictures), `pictures` (opening and framing them), `backends`
(running a model), `decoding` (generating its answer), `answers` (the LaTeX in it), `views` (reading
doubtful pictures again), `confidence` (its calibration), and `reader`, which joins them.
`backends.remote` reads by a model on a server; `elsewhere` is for other software that runs a model. `desk` serves the desktop: clipboard, watched folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from texlens.lazy import lazy_names

if TYPE_CHECKING:
    from texlens.reading.backends.remote import RemoteReader
    from texlens.reading.elsewhere import chat_messages
    from texlens.reading.reader import Reader, read
    from texlens.reading.sources import find_pictures

__all__ = ["Reader", "RemoteReader", "chat_messages", "find_pictures", "read"]

__getattr__ = lazy_names(
    __name__,
    {
        "Reader": "texlens.reading.reader",
        "RemoteReader": "texlens.reading.backends.remote",
        "chat_messages": "texlens.reading.elsewhere",
        "find_pictures": "texlens.reading.sources",
        "read": "texlens.reading.reader",
    },
)

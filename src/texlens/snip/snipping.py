"""From the screen to the clipboard: the overlay, the reading, the window."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from PIL import Image

from texlens.errors import InputError
from texlens.reading import Reader
from texlens.reading.backends.remote import RemoteReader
from texlens.reading.sources import Item
from texlens.records import Reading
from texlens.snip.overlay import Overlay
from texlens.snip.screen import grab
from texlens.snip.window import ReadingWindow

_ALTERNATIVES = 3
_POLL_MS = 30
_HIDDEN_MS = 200  # until a window that was closed is gone from the screen


class Snipping:
    """One run of `texlens snip`, until its window is closed.

    Args:
        open_reader: loads the model; it runs while the region is being chosen.
        copy: puts a text on the clipboard.
        shown: called with the reading when its window is there.
    """

    def __init__(
        self,
        open_reader: Callable[[], Reader | RemoteReader],
        copy: Callable[[str], None],
        shown: Callable[[Reading], None] = lambda _: None,
    ) -> None:
        self._copy, self._shown = copy, shown
        self._error: BaseException | None = None
        try:
            self.root = tk.Tk()
        except tk.TclError as error:
            raise InputError(f"There is no screen to snip from: {error}.") from error
        self._worker = ThreadPoolExecutor(1, "texlens-snip")
        self._reader = self._worker.submit(open_reader)
        self.root.withdraw()
        self.root.report_callback_exception = self._fail
        self.window: ReadingWindow | None = None

    def run(self) -> None:
        """Choose, read and show, until the last window is closed.

        Raises InputError where the screen cannot be grabbed or the model not be loaded; TexlensError
        where reading fails.
        """
        self.root.after(0, self.choose)
        self.root.mainloop()
        self.root.destroy()
        self._worker.shutdown(cancel_futures=True)
        if self._error is not None:
            raise self._error

    def choose(self) -> None:
        """Let a region be chosen, and read it."""
        if self.window is not None:
            self.window.unbind("<Destroy>")
            self.window.destroy()
            self.window = None
            self.root.after(_HIDDEN_MS, self.choose)
            return
        overlay = Overlay(self.root, grab())
        self.root.wait_window(overlay)
        if overlay.chosen is None:
            self.root.quit()
            return
        picture = overlay.chosen
        self._wait_for(self._worker.submit(self._read, picture), picture)

    def _read(self, picture: Image.Image) -> Reading:
        item = Item("screen", picture, alternatives=_ALTERNATIVES)
        return next(iter(self._reader.result().read_many([item])))

    def _wait_for(self, reading: Future[Reading], picture: Image.Image) -> None:
        """Look for the reading from time to time: Tk may be used by its own thread alone."""
        if not reading.done():
            self.root.after(_POLL_MS, self._wait_for, reading, picture)
            return
        found = reading.result()
        self.window = ReadingWindow(self.root, picture, found, self._copy, self.choose)
        self.window.bind("<Destroy>", self._closed)
        self._shown(found)

    def _closed(self, event: tk.Event[tk.Misc]) -> None:
        if event.widget is self.window:
            self.root.quit()

    def _fail(self, _: type[BaseException], error: BaseException, __: TracebackType | None) -> None:
        """An error in a callback of Tk ends the run; Tk would only print it."""
        self._error = error
        self.root.quit()

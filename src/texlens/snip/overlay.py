"""Choosing a region: the screen as it was, darkened, over everything; the region shows bright."""

from __future__ import annotations

import tkinter as tk

from PIL import Image, ImageEnhance, ImageTk

from texlens.snip.screen import Region

_DARKNESS = 0.55  # of the screen around the region
_HINT = "Drag around a formula. Esc cancels."


class Overlay(tk.Toplevel):
    """A window over the whole screen, with the screen's picture.

    `chosen` is the part of the picture after the window has closed; None if it was cancelled.
    """

    def __init__(self, root: tk.Tk, picture: Image.Image) -> None:
        super().__init__(root, cursor="crosshair")
        self.chosen: Image.Image | None = None
        self._picture = picture
        self._size = self.winfo_screenwidth(), self.winfo_screenheight()
        width, height = self._size
        self.overrideredirect(True)
        self.geometry(f"{width}x{height}+0+0")
        self.attributes("-topmost", True)
        shown = picture.resize(self._size) if picture.size != self._size else picture
        self._shown = shown
        self._dark = ImageTk.PhotoImage(ImageEnhance.Brightness(shown).enhance(_DARKNESS))
        self._canvas = tk.Canvas(self, highlightthickness=0, width=width, height=height)
        self._canvas.pack()
        self._canvas.create_image(0, 0, image=self._dark, anchor="nw")
        self._bright = self._canvas.create_image(0, 0, anchor="nw")
        self._frame = self._canvas.create_rectangle(0, 0, 0, 0, outline="#4c8dff", width=2)
        self._canvas.create_text(
            width // 2, 28, text=_HINT, fill="white", font=("TkDefaultFont", 14, "bold")
        )
        self._start: tuple[int, int] | None = None
        self._canvas.bind("<ButtonPress-1>", self._begin)
        self._canvas.bind("<B1-Motion>", self._drag)
        self._canvas.bind("<ButtonRelease-1>", self._end)
        for event in ("<Escape>", "<ButtonPress-3>"):
            self.bind(event, lambda _: self.destroy())
        self.update_idletasks()
        self.focus_force()
        self.after(50, self.focus_force)  # a window without a frame gets the keyboard late

    def _begin(self, event: tk.Event[tk.Canvas]) -> None:
        self._start = event.x, event.y

    def _drag(self, event: tk.Event[tk.Canvas]) -> None:
        if self._start is None:
            return
        region = Region.between(*self._start, event.x, event.y)
        if region.is_chosen:
            self._part = ImageTk.PhotoImage(region.of(self._shown, *self._size))
            self._canvas.itemconfigure(self._bright, image=self._part)
            self._canvas.coords(self._bright, region.left, region.top)
            self._canvas.coords(self._frame, region.left, region.top, region.right, region.bottom)

    def _end(self, event: tk.Event[tk.Canvas]) -> None:
        if self._start is None:
            return
        region = Region.between(*self._start, event.x, event.y)
        self._start = None
        if region.is_chosen:
            self.chosen = region.of(self._picture, *self._size)
            self.destroy()

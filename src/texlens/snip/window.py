"""The small window: what was on the screen, what was read, other readings, formats, copying."""

from __future__ import annotations

import io
import tkinter as tk
from collections.abc import Callable
from tkinter import ttk

from PIL import Image, ImageTk

from texlens.engine import Failure
from texlens.errors import TexlensError
from texlens.export import FORMATS
from texlens.records import WARNINGS, Reading
from texlens.render import Size, png

_MOST_WIDTH, _MOST_HEIGHT = 560, 180  # of a picture in the window
_DOUBTFUL = 0.5  # confidence below which the window says so


class ReadingWindow(tk.Toplevel):
    """A window with the reading of one picture.

    Args:
        root: the application.
        picture: the part of the screen.
        reading: of the picture, with its alternatives.
        copy: puts a text on the clipboard.
        again: called when another region is wanted.
    """

    def __init__(
        self,
        root: tk.Tk,
        picture: Image.Image,
        reading: Reading,
        copy: Callable[[str], None],
        again: Callable[[], None],
    ) -> None:
        super().__init__(root, padx=12, pady=10)
        self.title("TexLens")
        self._copy, self._reading = copy, reading
        others = ((other.latex, other.probability) for other in reading.alternatives)
        choices = [(reading.latex, reading.confidence), *others]
        self._formulas = [latex for latex, _ in choices]
        self._images = [_for_tk(picture)]
        self.columnconfigure(0, weight=1)
        tk.Label(self, image=self._images[0], borderwidth=1, relief="solid").grid(sticky="w")
        self._rendering = tk.Label(self, background="white", borderwidth=1, relief="solid")
        self._rendering.grid(sticky="w", pady=6)
        self.text = tk.Text(self, height=4, width=72, wrap="char", font="TkFixedFont")
        self.text.grid(sticky="nsew")
        self.rowconfigure(2, weight=1)
        self.status = tk.StringVar(self)
        ttk.Label(self, textvariable=self.status, wraplength=_MOST_WIDTH).grid(sticky="w", pady=4)

        self.alternatives = tk.Listbox(self, height=len(choices), font="TkFixedFont")
        if len(choices) > 1:
            ttk.Label(self, text="Readings (Up, Down):").grid(sticky="w")
            self.alternatives.grid(sticky="ew")
        for latex, probability in choices:
            self.alternatives.insert("end", f"{probability:.2f}  {latex}")
        self.alternatives.selection_set(0)
        self.alternatives.bind("<<ListboxSelect>>", lambda _: self._show())

        buttons = ttk.Frame(self)
        buttons.grid(sticky="ew", pady=(8, 0))
        self.format = tk.StringVar(self, "latex")
        for name in FORMATS:
            ttk.Radiobutton(
                buttons, text=name, value=name, variable=self.format, command=self._show
            ).pack(side="left")
        ttk.Button(buttons, text="Again", command=again).pack(side="right")
        ttk.Button(buttons, text="Copy", command=self.copy_text).pack(side="right")
        self.bind("<Escape>", lambda _: self.destroy())
        self.bind("<Control-Return>", lambda _: self.copy_text())
        self.bind("<Control-n>", lambda _: again())
        self._show()
        self.update_idletasks()
        self.alternatives.focus_force()

    @property
    def formula(self) -> str:
        """The LaTeX that is selected."""
        (place, *_) = self.alternatives.curselection() or (0,)  # type: ignore[no-untyped-call]
        return self._formulas[place]

    def copy_text(self) -> None:
        """Copy what stands in the text field, as it was edited."""
        try:
            self._copy(self.text.get("1.0", "end-1c"))
        except TexlensError as error:
            self.status.set(str(error))
        else:
            self.status.set(f"{self._judgement()} Copied.")

    def _show(self) -> None:
        """Show the selected formula in the selected format, and copy it."""
        formula = self.formula
        self.text.delete("1.0", "end")
        if formula:
            try:
                self.text.insert("1.0", FORMATS[self.format.get()].write(formula))
            except TexlensError as error:
                self._rendering.configure(image="")
                self.status.set(str(error))
                return
            rendered = png(formula, Size(em_px=20))
            if isinstance(rendered, Failure):
                self._rendering.configure(image="", text=f"cannot be rendered: {rendered.message}")
            else:
                self._images[1:] = [_for_tk(Image.open(io.BytesIO(rendered)))]
                self._rendering.configure(image=self._images[1])
            self.copy_text()
        else:
            self.status.set(self._judgement())

    def _judgement(self) -> str:
        """The confidence and the warnings, in words."""
        reading = self._reading
        if reading.error is not None:
            return reading.error
        doubt = " (doubtful)" if reading.confidence < _DOUBTFUL else ""
        notes = "".join(f" {WARNINGS.get(code, code)}" for code in reading.warnings)
        return f"Confidence {reading.confidence:.2f}{doubt}.{notes}"


def _for_tk(picture: Image.Image) -> ImageTk.PhotoImage:
    shown = picture.convert("RGB")
    shown.thumbnail((_MOST_WIDTH, _MOST_HEIGHT))
    return ImageTk.PhotoImage(shown)

"""The clipboard of the desktop: a picture from it, a formula to it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from PIL import Image, ImageGrab

from texlens.errors import InputError, require_extra
from texlens.reading.sources import Item


def clipboard_picture() -> Item:
    """The picture on the clipboard, or the first picture file that was copied there.

    Raises InputError when there is none, or no clipboard.
    """
    try:
        found = ImageGrab.grabclipboard()
    except NotImplementedError as error:  # Linux without the tool for its kind of desktop
        raise InputError(
            "The clipboard cannot be reached: install wl-clipboard (Wayland) or xclip (X11)."
        ) from error
    except (OSError, subprocess.SubprocessError, SyntaxError) as error:
        raise InputError(
            f"The clipboard cannot be read: {' '.join(str(error).split())[:200].rstrip('.')}."
        ) from error
    if isinstance(found, Image.Image):
        return Item("clipboard", found)
    if found:
        return Item(str(found[0]), Path(found[0]))
    raise InputError("The clipboard contains no picture: take a screenshot to the clipboard first.")


def require_copying() -> None:
    """Raises InputError when pyperclip is not installed."""
    require_extra("Copying to the clipboard", "desk", "pyperclip")


def copy_text(text: str) -> None:
    """Put text on the clipboard. Raises InputError when there is none."""
    require_copying()
    import pyperclip

    try:
        pyperclip.copy(text)
    except (pyperclip.PyperclipException, OSError, subprocess.SubprocessError) as error:
        raise InputError(
            "The clipboard cannot be reached: on Linux install wl-clipboard (Wayland) or xclip "
            "(X11), and run this in a desktop session."
        ) from error

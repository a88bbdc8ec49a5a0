"""The picture of the screen, and the part of it that somebody chose."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from PIL import Image, ImageGrab, UnidentifiedImageError

from texlens.errors import InputError

LEAST_PIXELS = 4  # a side; less is a click that slipped


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle between two corners, in the units of the window that it was chosen in."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def between(cls, x: int, y: int, other_x: int, other_y: int) -> Region:
        """The rectangle with these two opposite corners."""
        return cls(min(x, other_x), min(y, other_y), max(x, other_x), max(y, other_y))

    @property
    def is_chosen(self) -> bool:
        """Whether it is large enough to have been meant."""
        return min(self.right - self.left, self.bottom - self.top) >= LEAST_PIXELS

    def of(self, picture: Image.Image, width: int, height: int) -> Image.Image:
        """This part of a picture that is shown `width` by `height` units large."""
        across, down = picture.width / width, picture.height / height
        box = self.left * across, self.top * down, self.right * across, self.bottom * down
        return picture.crop(tuple(map(round, box)))  # type: ignore[arg-type]


def grab() -> Image.Image:
    """The whole screen in RGB.

    Raises InputError where there is no screen, or it may not be grabbed.
    """
    try:
        picture = ImageGrab.grab(all_screens=sys.platform == "win32").convert("RGB")
    except (OSError, ValueError, UnidentifiedImageError) as error:
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise InputError(
            f"The screen cannot be grabbed: {reason or type(error).__name__}."
        ) from error
    if (
        picture.getbbox() is None
    ):  # black: what Wayland and macOS give to a program without the right
        raise InputError(
            "The screen cannot be grabbed: allow this program to record it, or take a screenshot to "
            "the clipboard and run  texlens read --clipboard --copy."
        )
    return picture

"""A recogniser for `evaluate` that takes its time, so that it can be killed at work."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from PIL import Image


class SlowRecogniser:
    """Answers with the size of a picture, after 30 ms."""

    name = "slow"

    def read_many(self, pictures: Iterable[Image.Image]) -> Iterator[str]:
        """The predictions."""
        for picture in pictures:
            time.sleep(0.03)
            yield f"{picture.width} \\times {picture.height}"


def make() -> SlowRecogniser:
    """The factory that `--recogniser` names."""
    return SlowRecogniser()

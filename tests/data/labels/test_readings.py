"""Several readings of a picture, by a model that has learnt nothing."""

from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from texlens.data.labels.readings import readings
from texlens.images import encode_png
from texlens.reading.reader import Reader
from texlens.records import Example


def _example(name: str, text: str) -> Example:
    image = Image.new("L", (90, 30), 255)
    ImageDraw.Draw(image).text((10, 8), text, fill=0)
    return Example(name, encode_png(image), "")


@pytest.mark.slow
def test_the_likeliest_comes_first_and_no_reading_twice(model_folder: Path) -> None:
    examples = [_example("a", "a = b"), Example("broken", b"", ""), _example("c", "c + d - e")]
    reader = Reader(model_folder, constrained=False, reread=False)
    found = list(readings(reader, examples, samples=3))
    assert found[1] == []
    assert all(1 <= len(some) <= 4 and len(set(some)) == len(some) for some in found[::2])
    assert [some[:1] for some in readings(reader, examples, samples=0)] == [
        some[:1] for some in found
    ]
    assert list(readings(reader, examples, samples=3)) == found

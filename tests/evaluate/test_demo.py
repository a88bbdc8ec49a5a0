"""The demonstration's pictures, and its page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from texlens.errors import InputError
from texlens.evaluate.demo import PAGE, demo_pictures, run_demo
from texlens.latex import normalize
from texlens.model.load import EMBEDDED
from texlens.reading import Reader
from texlens.reading.pictures.framing import Frame, frame_picture
from texlens.reading.pictures.opening import open_picture
from texlens.render import svg_many


def test_the_pictures_are_small_many_and_readable() -> None:
    pictures = demo_pictures()
    assert len(pictures) >= 16
    assert sum(picture.hard for picture in pictures) >= 3
    for picture in pictures:
        assert len(picture.content) <= 30_000
        framed = frame_picture(open_picture(picture.content), Frame(pixels_per_em=14.0))
        assert framed.width * framed.height > 1000
    references = [picture.latex for picture in pictures]
    assert [normalize(reference) for reference in references] == references
    assert all(isinstance(drawn, str) for drawn in svg_many(references))


def test_a_page_with_every_picture_is_written(model_folder: Path, tmp_path: Path) -> None:
    reader = Reader(model_folder, device="cpu", max_new_tokens=4)
    read: list[str] = []
    scoring = run_demo(reader, tmp_path, lambda picture, _: read.append(picture.file))
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert page.count("<article") == len(read) == len(demo_pictures())
    assert all(name in page for name in read)
    assert scoring.scores["edit_tokens"].n == len(read)
    with pytest.raises(InputError, match="finished"):
        run_demo(reader, tmp_path, lambda *_: None)


@pytest.mark.skipif(not (EMBEDDED / "config.json").is_file(), reason="no embedded model yet")
def test_the_embedded_model_reads_most_of_them(tmp_path: Path) -> None:
    easy = [not picture.hard for picture in demo_pictures()]
    scoring = run_demo(Reader(device="cpu"), tmp_path, lambda *_: None)
    values = scoring.scores["edit_tokens"].items
    distances = [
        value for value, is_easy in zip(values, easy, strict=True) if is_easy and value is not None
    ]
    assert sum(distance <= 0.25 for distance in distances) >= len(distances) / 2


def test_the_demo_needs_the_extra_read_alone() -> None:
    others = ("pyarrow", "torch", "transformers", "cv2", "matplotlib", "huggingface_hub", "trl")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({others}));"
        "import texlens.evaluate.demo, texlens.reading.reader, texlens.reading.backends.onnx_backend"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr

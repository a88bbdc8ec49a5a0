"""Opening pictures of every kind, and refusing what is none."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from texlens.errors import InputError
from texlens.reading.pictures.opening import near_size, open_picture


def mark(mode: str = "RGB", ground: object = "white", ink: object = "black") -> Image.Image:
    """A picture of 60 x 30 with a bar near its upper left corner."""
    image = Image.new(mode, (60, 30), ground)  # type: ignore[arg-type]
    ImageDraw.Draw(image).rectangle((5, 5, 20, 9), fill=ink)  # type: ignore[arg-type]
    return image


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def dark_box(image: Image.Image) -> tuple[int, int, int, int] | None:
    """The box (left, top, right, bottom) of everything darker than mid-grey."""
    return image.convert("L").point(lambda value: 255 if value < 128 else 0).getbbox()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds hardly any data."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (mark(), "PNG"),
        (mark(), "BMP"),
        (mark(), "TIFF"),
        (mark(), "WEBP"),
        (mark(), "JPEG"),
        (mark().quantize(4), "GIF"),
        (mark("L", 255, 0), "PNG"),
        (mark("1", 1, 0), "PNG"),
        (mark("LA", (255, 255), (0, 255)), "PNG"),
        (mark("CMYK", (0, 0, 0, 0), (0, 0, 0, 255)), "JPEG"),
        (mark("CMYK", (0, 0, 0, 0), (0, 0, 0, 255)), "TIFF"),
        (mark("RGBA", (0, 0, 0, 0), (0, 0, 0, 255)), "PNG"),
        (mark("RGBA", (200, 0, 0, 0), (0, 0, 0, 255)), "WEBP"),
    ],
)
def test_every_format_and_mode_gives_dark_ink_on_white(image: Image.Image, kind: str) -> None:
    opened = open_picture(encoded(image, kind))
    assert opened.mode == "RGB"
    assert opened.getpixel((50, 25)) == (255, 255, 255)
    assert dark_box(opened) == (5, 5, 21, 10)


def test_deep_grey_keeps_its_values() -> None:
    deep = np.full((30, 60), 65535, dtype=np.uint16)
    deep[5:10, 5:21] = 20000
    opened = open_picture(encoded(Image.fromarray(deep), "PNG"))
    assert opened.getpixel((50, 25)) == (255, 255, 255)
    assert opened.getpixel((10, 7)) == (78, 78, 78)


def test_floating_point_tiff_is_stretched() -> None:
    values = np.full((30, 60), 0.75, dtype=np.float32)
    values[5:10, 5:21] = -3.0
    assert dark_box(open_picture(encoded(Image.fromarray(values), "TIFF"))) == (5, 5, 21, 10)


def test_palette_with_transparency_lies_on_white() -> None:
    image = mark().quantize(4)
    ground = image.getpixel((50, 25))
    data = encoded(image, "PNG", transparency=ground)
    assert open_picture(data).getpixel((50, 25)) == (255, 255, 255)


def test_white_ink_on_nothing_becomes_dark_on_white() -> None:
    opened = open_picture(encoded(mark("RGBA", (0, 0, 0, 0), (255, 255, 255, 255)), "PNG"))
    assert opened.getpixel((10, 7)) == (0, 0, 0)
    assert opened.getpixel((50, 25)) == (255, 255, 255)


def test_a_photo_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    opened = open_picture(encoded(mark(), "JPEG", exif=exif, quality=95))
    assert opened.size == (30, 60)
    box = dark_box(opened)
    assert box is not None
    assert box[0] > 15  # the mark from the left is at the right now


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(10))
def test_orientations_are_those_of_pillow(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(mark(), kind, exif=exif.tobytes())
    with Image.open(io.BytesIO(data)) as image:
        expected = ImageOps.exif_transpose(image).convert("RGB")
    assert np.array_equal(open_picture(data), expected)


def test_an_animation_gives_its_first_frame() -> None:
    frames = [mark(), Image.new("RGB", (60, 30), "black")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert dark_box(open_picture(data)) == (5, 5, 21, 10)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("empty.png", b"", "is empty"),
        ("text.png", b"x = y, in words", "is not a picture"),
        ("cut.png", encoded(mark(), "PNG")[:-40], "damaged or cut short"),
        ("cut.jpg", encoded(mark(), "JPEG")[:200], "damaged or cut short"),
        ("vector.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is not a picture"),
        ("bomb.png", png_header(30_000, 30_000), "50,000,000 allowed"),
        ("large.png", png_header(9_000, 9_000), "9,000 x 9,000 pixels"),
        ("wide-bomb.png", png_header(2**31 - 1, 2**31 - 1), "pixels"),
    ],
)
def test_what_is_no_picture_is_named(
    tmp_path: Path, name: str, content: bytes, complaint: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=complaint) as caught:
        open_picture(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damaged_files_give_a_picture_or_a_sentence() -> None:
    random = np.random.default_rng(0)
    whole = [encoded(mark(), kind) for kind in ("PNG", "JPEG", "WEBP", "TIFF", "BMP")] + [
        encoded(mark().quantize(4), "GIF"),
        encoded(mark("RGBA"), "TIFF", compression="lzma"),
    ]
    refused = 0
    for content in whole:
        for _ in range(60):
            damaged = bytearray(content)
            for place in random.integers(0, len(damaged), size=random.integers(1, 6)):
                damaged[place] = random.integers(0, 256)
            try:
                assert open_picture(bytes(damaged[: random.integers(20, len(damaged) + 1)])).size
            except InputError as error:
                refused += 1
                lines = str(error).splitlines()
                if len(lines) != 1:
                    pytest.fail(f"not one sentence: {lines}")
    assert refused > 60


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    tracemalloc.start()
    with pytest.raises(InputError):
        open_picture(png_header(30_000, 30_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize("name", ["missing.png", "folder", "dangling.png"])
def test_paths_that_lead_nowhere(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(InputError, match=name):
        open_picture(tmp_path / name)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "LA", "I;16", "F"])
def test_a_large_picture_is_shrunk_before_anything_else(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("texlens.reading.pictures.opening.KEPT_PIXELS", 10_000)
    grey = np.full((403, 299), 255, dtype=np.uint8)
    grey[100:200, 60:120] = 0
    image = Image.fromarray(grey)
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    elif mode == "F":
        image = Image.fromarray(grey.astype(np.float32) / 255)
    else:
        image = image.convert(mode)
    path = tmp_path / ("large.tiff" if mode in ("CMYK", "F") else "large.png")
    image.save(path)
    opened = open_picture(path)
    assert opened.width * opened.height <= 10_000
    scale = opened.height / 403
    dark = np.argwhere(np.asarray(opened.convert("L")) < 128)
    assert dark.min(0) == pytest.approx([100 * scale, 60 * scale], abs=1.5)
    assert dark.max(0) == pytest.approx([200 * scale, 120 * scale], abs=1.5)


def test_near_a_size_is_left_to_the_model() -> None:
    near = near_size(Image.new("RGB", (4000, 3000)), 262_144)
    assert 4 * 262_144 <= near.width * near.height <= 9 * 262_144
    small = Image.new("RGB", (1000, 1000))
    assert near_size(small, 262_144) is small

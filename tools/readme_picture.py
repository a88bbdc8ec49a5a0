"""Make docs/readings.png: pictures of the demo beside the rendered readings of the embedded model."""

from __future__ import annotations

import io
from importlib import resources
from pathlib import Path

from PIL import Image, ImageDraw

from texlens.reading import Reader
from texlens.render import Size, png

SHOWN = ("11-schroedinger.jpg", "10-einstein.jpg", "16-action.png", "17-zeta.jpg", "09-fourier.jpg")
PICTURE, READING, ROW = 420, 480, 110  # px


def main() -> None:
    folder = Path(str(resources.files("texlens") / "demo"))
    reader = Reader()
    sheet = Image.new("RGB", (PICTURE + READING, ROW * len(SHOWN)), "white")
    for row, name in enumerate(SHOWN):
        reading = reader.read(folder / name)
        left = Image.open(folder / name).convert("RGB")
        left.thumbnail((PICTURE - 16, ROW - 12))
        sheet.paste(left, (8, row * ROW + (ROW - left.height) // 2))
        rendered = png(reading.latex, Size(em_px=30))
        assert isinstance(rendered, bytes), reading
        right = Image.open(io.BytesIO(rendered)).convert("RGB")
        right.thumbnail((READING - 24, ROW - 12))
        sheet.paste(right, (PICTURE + 12, row * ROW + (ROW - right.height) // 2))
    pen = ImageDraw.Draw(sheet)
    for row in range(1, len(SHOWN)):
        pen.line((0, row * ROW, PICTURE + READING, row * ROW), fill="#ddd")
    pen.line((PICTURE, 0, PICTURE, ROW * len(SHOWN)), fill="#ddd")
    sheet.quantize(128).save(Path(__file__).parents[1] / "docs" / "readings.png", optimize=True)


if __name__ == "__main__":
    main()

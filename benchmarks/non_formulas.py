"""Pictures without a formula that a user may paste by mistake, made from a seed.

    python benchmarks/non_formulas.py FOLDER [--count 200] [--seed 1] [--set dev|test]

Eight kinds in equal numbers: blank pages, paragraphs, headlines, source code on a dark ground,
photographs (smooth coloured noise with objects), icons, charts, and windows with buttons. The
words of `dev` are those of the licence, set in DejaVu; those of `test` are of the page on data,
set in STIX, so that a choice made on one set can be tested on the other. Writes PNG files when run;
`benchmarks/calibration.py` imports `make_pictures`.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from random import Random
from typing import Literal

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Set = Literal["dev", "test"]

REPOSITORY = Path(__file__).resolve().parents[1]
_FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
_NAMES: dict[Set, list[str]] = {
    "dev": ["DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "DejaVuSans-Bold"],
    "test": ["STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "DejaVuSerif-Italic"],
}
_TEXTS: dict[Set, Path] = {"dev": REPOSITORY / "LICENSE", "test": REPOSITORY / "docs" / "data.md"}
_INKS = ["black", "#222222", "#1a3c8c", "#7a1f1f", "#0b5d3b"]


class _Painter:
    """Draws one kind after the other from a seed."""

    def __init__(self, seed: int, which: Set) -> None:
        self.random = Random(f"{which} {seed}")
        self.numpy = np.random.default_rng(self.random.getrandbits(32))
        text = _TEXTS[which].read_text(encoding="utf-8")
        self.words = re.findall(r"[A-Za-z]{2,}[,.;]?", text)
        self.fonts = _NAMES[which]

    def font(self, low: int, high: int) -> ImageFont.FreeTypeFont:
        name = self.random.choice(self.fonts)
        return ImageFont.truetype(str(_FONTS / f"{name}.ttf"), self.random.randint(low, high))

    def text(self, count: int) -> str:
        start = self.random.randrange(len(self.words) - count)
        return " ".join(self.words[start : start + count])

    def blank(self) -> Image.Image:
        width, height = self.random.randint(60, 600), self.random.randint(40, 300)
        ground = self.numpy.uniform(120, 255) + np.zeros((height, width))
        ground += np.linspace(0, self.random.choice([0, 0, 30]), width)
        ground += self.numpy.normal(0, self.random.choice([0, 1, 3]), ground.shape)
        return Image.fromarray(ground.clip(0, 255).astype(np.uint8)).convert("RGB")

    def paragraph(self) -> Image.Image:
        font = self.font(12, 22)
        lines = [self.text(self.random.randint(4, 8)) for _ in range(self.random.randint(2, 6))]
        return self._set_text("\n".join(lines), font, self.random.choice(_INKS), "white")

    def headline(self) -> Image.Image:
        text = self.text(self.random.randint(3, 7))
        return self._set_text(text, self.font(18, 44), self.random.choice(_INKS), "white")

    def code(self) -> Image.Image:
        lines = []
        for _ in range(self.random.randint(3, 7)):
            words = [*re.findall("[a-z]{2,}", self.text(4).lower()), "value"]
            form = self.random.choice(
                ["def {0}({1}):", "    {0} = {1}()", "    return {0}", "import {0}", "# {0} {1}"]
            )
            lines.append(form.format(words[0], words[-1]))
        return self._set_text("\n".join(lines), self.font(12, 18), "#dddddd", "#1e1e28")

    def photograph(self) -> Image.Image:
        width, height = self.random.randint(160, 480), self.random.randint(120, 360)
        layers = np.zeros((height, width, 3))
        for octave in (4, 8, 16, 48):
            small = self.numpy.uniform(0, 255, (height // octave + 2, width // octave + 2, 3))
            small_image = Image.fromarray(small.astype(np.uint8))
            layers += np.asarray(small_image.resize((width, height), 3), dtype=float) * octave
        image = Image.fromarray((layers / layers.max() * 255).astype(np.uint8))
        draw = ImageDraw.Draw(image)
        for _ in range(self.random.randint(0, 5)):
            x, y, r = (self.random.randint(0, side) for side in (width, height, height // 3))
            colour = tuple(self.random.randint(0, 255) for _ in range(3))
            draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
        return image.filter(ImageFilter.GaussianBlur(self.random.uniform(0.5, 3)))

    def icon(self) -> Image.Image:
        side = self.random.choice([32, 48, 64, 128, 200])
        image = Image.new("RGB", (side, side), self.random.choice(["white", "white", "#222831"]))
        draw = ImageDraw.Draw(image)
        colour = self.random.choice(["#e94560", "#0f9b8e", "#f5a623", "#4a7cff", "#888888"])
        for _ in range(self.random.randint(1, 4)):
            (left, right), (top, bottom) = (
                sorted(self.random.sample(range(side), 2)) for _ in range(2)
            )
            box = (left, top, right, bottom)
            shape = self.random.choice([draw.ellipse, draw.rectangle])
            if self.random.random() < 0.5:
                shape(box, fill=colour)
            else:
                shape(box, outline=colour, width=max(2, side // 20))
        return image

    def chart(self) -> Image.Image:
        width, height = self.random.randint(150, 300), self.random.randint(110, 200)
        image = Image.new("RGB", (width, height), "white")
        draw = ImageDraw.Draw(image)
        draw.line((30, 10, 30, height - 25, width - 10, height - 25), fill="black", width=2)
        count, font = self.random.randint(3, 9), self.font(9, 13)
        colour = self.random.choice(["#4472c4", "#ed7d31", "#70ad47"])
        step = (width - 50) / count
        for bar in range(count):
            top = self.random.randint(15, height - 40)
            left = 36 + bar * step
            draw.rectangle((left, top, left + 0.7 * step, height - 26), fill=colour)
            draw.text((left, height - 20), self.text(1)[:4], font=font, fill="black")
        return image

    def window(self) -> Image.Image:
        width, height = self.random.randint(220, 340), self.random.randint(110, 200)
        image = Image.new("RGB", (width, height), "#f0f0f0")
        draw = ImageDraw.Draw(image)
        font = self.font(11, 15)
        draw.rectangle((0, 0, width, 26), fill="#2d5fa8")
        draw.text((8, 5), self.text(3), font=font, fill="white")
        draw.text((16, 50), self.text(5), font=font, fill="black")
        for place in range(self.random.randint(1, 3)):
            left = 16 + 100 * place
            draw.rounded_rectangle(
                (left, height - 48, left + 84, height - 18), 6, outline="#666666"
            )
            draw.text((left + 10, height - 42), self.text(1), font=font, fill="black")
        return image

    def _set_text(
        self, text: str, font: ImageFont.FreeTypeFont, ink: str, ground: str
    ) -> Image.Image:
        left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox(
            (0, 0), text, font=font
        )
        image = Image.new("RGB", (int(right - left) + 24, int(bottom - top) + 24), ground)
        ImageDraw.Draw(image).multiline_text((12 - left, 12 - top), text, font=font, fill=ink)
        return image


KINDS = ("blank", "paragraph", "headline", "code", "photograph", "icon", "chart", "window")


def make_pictures(count: int, seed: int, which: Set) -> list[tuple[str, Image.Image]]:
    """This many pictures of the eight kinds in turn, with the kind of each."""
    painter = _Painter(seed, which)
    kinds = [KINDS[place % len(KINDS)] for place in range(count)]
    return [(kind, getattr(painter, kind)()) for kind in kinds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", choices=["dev", "test"], default="dev", dest="which")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for place, (kind, image) in enumerate(
        make_pictures(arguments.count, arguments.seed, arguments.which)
    ):
        image.save(arguments.folder / f"{place:03d}-{kind}.png")


if __name__ == "__main__":
    main()

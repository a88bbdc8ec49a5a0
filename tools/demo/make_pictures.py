"""Make the pictures of `texlens demo`, and write them with their references into the package.

    python tools/demo/make_pictures.py src/texlens/demo

Needs pdflatex with the fonts named below (texlive-fonts-extra), pypdfium2 and OpenCV. Training uses
none of these fonts and sizes (`data/pictures/printed.py`). The effects are those that formulas meet
outside of papers: screens, dark themes, slides, scanners, cameras. The last pictures are meant to be
too hard.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pypdfium2
from PIL import Image, ImageFilter, ImageOps

from texlens.engine import Failure
from texlens.latex import normalize
from texlens.render import Size, png

Effect = Callable[[Image.Image], Image.Image]
MAX_BYTES = 30_000

TEX_FONTS = {
    "Concrete": r"\usepackage{ccfonts}",
    "EB Garamond": r"\usepackage[T1]{fontenc}\usepackage{ebgaramond}\usepackage{ebgaramond-maths}",
    "Antykwa Toruńska Light": r"\usepackage[T1]{fontenc}\usepackage[light,math]{anttor}",
    "LX Fonts": r"\usepackage{lxfonts}",
    "Noto": r"\usepackage{notomath}",
    "Erewhon": r"\usepackage[T1]{fontenc}\usepackage{erewhon}\usepackage[utopia]{newtxmath}",
    "MLModern": r"\usepackage{mlmodern}",
    "Pple (Palatino)": r"\usepackage[T1]{fontenc}\usepackage{mathpple}",
    "GFS Artemisia": r"\usepackage[T1]{fontenc}\usepackage{gfsartemisia}",
    "Baskervaldx": r"\usepackage[T1]{fontenc}\usepackage{Baskervaldx}\usepackage[baskervaldx]{newtxmath}",
    "Cochineal": r"\usepackage[T1]{fontenc}\usepackage{cochineal}\usepackage[cochineal]{newtxmath}",
    "Fira Sans": r"\usepackage[T1]{fontenc}\usepackage[sfdefault]{FiraSans}"
    r"\usepackage[italic,subdued=false]{mathastext}",
    "Kerkis": r"\usepackage{kmath}",
    "Augie (handwriting)": r"\usepackage[T1]{fontenc}\renewcommand{\rmdefault}{augie}"
    r"\usepackage[italic]{mathastext}",
}


@dataclass(frozen=True)
class Picture:
    """One picture: its file, its formula, the font, pixels per em, and the effects applied."""

    file: str
    latex: str
    font: str
    pixels_per_em: float
    about: str
    effects: tuple[Effect, ...] = ()
    hard: bool = False
    save: dict[str, object] | None = None


def typeset(latex: str, font: str, pixels_per_em: float) -> Image.Image:
    """The formula, black on white, with a margin of one em."""
    if font == "MathJax":
        page = png(latex, Size(em_px=pixels_per_em, margin_px=round(pixels_per_em)))
        if isinstance(page, Failure):
            raise SystemExit(f"{latex}: {page.message}")
        return Image.open(io.BytesIO(page)).convert("L")
    document = (
        r"\documentclass{article}\pagestyle{empty}\usepackage{amsmath,amssymb}"
        + TEX_FONTS[font]
        + rf"\begin{{document}}\noindent$\displaystyle {latex}$\end{{document}}"
    )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "page.tex").write_text(document, encoding="utf-8")
        subprocess.run(
            ["pdflatex", "-interaction=batchmode", "-halt-on-error", "page.tex"],
            cwd=folder, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        page = pypdfium2.PdfDocument(Path(folder) / "page.pdf")[0]
        sheet = page.render(scale=pixels_per_em / 10.0 * 72.27 / 72, grayscale=True).to_pil()
        ink = sheet.point(lambda value: 255 - value).getbbox()
        return ImageOps.expand(sheet.crop(ink), round(pixels_per_em), fill=255)


def colours(ink: str, background: str) -> Effect:
    """Ink and background in these colours."""

    def apply(image: Image.Image) -> Image.Image:
        return Image.composite(
            Image.new("RGB", image.size, background), Image.new("RGB", image.size, ink), image
        )

    return apply


def white_on_nothing(image: Image.Image) -> Image.Image:
    """White ink on a transparent background, as in the pictures of dark pages."""
    white = Image.new("L", image.size, 255)
    return Image.merge("LA", (white, image.point(lambda value: 255 - value)))


def tilted(degrees: float) -> Effect:
    """Turned by a few degrees."""
    return lambda image: image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=255)


def scanned(image: Image.Image) -> Image.Image:
    """Black and white with ragged edges and dust."""
    random = np.random.default_rng(7)
    values = np.asarray(image.filter(ImageFilter.GaussianBlur(0.7)), dtype=np.float64)
    values += random.normal(0, 18, values.shape)
    values[random.random(values.shape) < 0.0004] = 0
    return Image.fromarray(((values > 140) * 255).astype(np.uint8))


def photographed(
    corners: tuple[float, ...] = (0.02, -0.01, 0.03, 0.02),
    *,
    light: tuple[float, float] = (0.55, 0.95),
    paper: tuple[float, float, float] = (1.0, 0.97, 0.9),
    noise: float = 5.0,
    blur: float = 0.8,
    shadow: bool = False,
) -> Effect:
    """A page before a camera: perspective, a slope of light, perhaps a shadow's edge, and noise."""

    def apply(image: Image.Image) -> Image.Image:
        random = np.random.default_rng(11)
        width, height = image.size
        a, b, c, d = corners
        start = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
        end = start + np.array(
            [[a * width, b * height], [-b * width, c * height],
             [-c * width, -d * height], [d * width, -a * height]], dtype=np.float32
        )  # fmt: skip
        values = cv2.warpPerspective(
            np.asarray(image, dtype=np.float32), cv2.getPerspectiveTransform(start, end),
            (width, height), flags=cv2.INTER_AREA, borderValue=255.0,
        )  # fmt: skip
        values = cv2.GaussianBlur(values, (0, 0), blur)
        values = 35 + values * (220 / 255)
        y, x = np.mgrid[0:height, 0:width]
        lamp = light[0] + (light[1] - light[0]) * (0.7 * x / width + 0.3 * y / height)
        if shadow:
            edge = 1 / (1 + np.exp(-(x - 0.55 * width - 0.35 * y) / (0.02 * width)))
            lamp = lamp * (0.62 + 0.38 * edge)
        page = values[..., None] * lamp[..., None] * np.array(paper)
        page += random.normal(0, noise, page.shape)
        return Image.fromarray(page.clip(0, 255).astype(np.uint8))

    return apply


def shrunk(factor: float) -> Effect:
    """Fewer pixels than the formula needs."""
    return lambda image: image.resize(
        (round(image.width * factor), round(image.height * factor)), Image.Resampling.BILINEAR
    )


PICTURES = (
    Picture("01-quadratic.png", r"x = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}", "MathJax", 18,
            "a web page at its usual size"),
    Picture("02-euler.png", r"e^{i\pi} + 1 = 0", "MathJax", 30, "a dark theme",
            (colours("#d4d4d4", "#1e1e1e"),)),
    Picture("03-basel.png", r"\sum_{n=1}^{\infty} \frac{1}{n^2} = \frac{\pi^2}{6}", "Concrete", 44,
            "a large crop of a textbook"),
    Picture("04-faraday.png", r"\nabla \times E = - \frac{\partial B}{\partial t}", "Erewhon", 26,
            "an e-book on cream", (colours("#2b2118", "#f4ecd8"),)),
    Picture("05-cauchy-schwarz.png", r"| \langle u , v \rangle |^2 \leq \langle u , u \rangle \langle v , v \rangle",
            "EB Garamond", 22, "old-style book type"),
    Picture("06-limit.webp", r"\lim_{x \to 0} \frac{\sin x}{x} = 1", "LX Fonts", 40,
            "a slide, white on blue", (colours("#ffffff", "#1f4e9c"),), save={"quality": 60}),
    Picture("07-bayes.png", r"P ( A | B ) = \frac{P ( B | A ) P ( A )}{P ( B )}", "Fira Sans", 24,
            "sans-serif"),
    Picture("08-gauss.png", r"\int_{-\infty}^{\infty} e^{-x^2} dx = \sqrt{\pi}", "Kerkis", 32,
            "a book in Bookman's kin"),
    Picture("09-fourier.jpg", r"\hat{f} ( k ) = \int f ( x ) e^{-2\pi i k x} dx", "Noto", 25,
            "a screenshot sent as a poor JPEG", save={"quality": 22}),
    Picture("10-einstein.jpg", r"R_{\mu\nu} - \frac{1}{2} R g_{\mu\nu} = \kappa T_{\mu\nu}",
            "Antykwa Toruńska Light", 40, "a photo, light from the right",
            (photographed(),), save={"quality": 60}),
    Picture("11-schroedinger.jpg", r"i \hbar \frac{\partial \psi}{\partial t} = H \psi", "MLModern", 46,
            "a photo with a shadow across", (photographed(shadow=True),), save={"quality": 60}),
    Picture("12-energy.tiff", r"E = \sqrt{p^2 c^2 + m^2 c^4}", "Pple (Palatino)", 30,
            "a black-and-white scan with dust", (scanned,), save={"compression": "tiff_deflate"}),
    Picture("13-geodesic.png",
            r"\ddot{x}^{\mu} + \Gamma_{\alpha\beta}^{\mu} \dot{x}^{\alpha} \dot{x}^{\beta} = 0",
            "GFS Artemisia", 34, "a page turned by two degrees", (tilted(2.0),)),
    Picture("14-binomial.gif", r"( a + b )^n = \sum_{k=0}^{n} \binom{n}{k} a^{n-k} b^k", "MathJax", 24,
            "a GIF of the old web"),
    Picture("15-rotation.png",
            r"R = \begin{pmatrix} \cos \theta & - \sin \theta \\ \sin \theta & \cos \theta \end{pmatrix}",
            "MathJax", 26, "white ink on a transparent ground", (white_on_nothing,)),
    Picture("16-action.png", r"S = \int d^4 x \sqrt{-g} \left( \frac{R}{2\kappa} - \Lambda \right)",
            "Baskervaldx", 15, "small type on yellow", (colours("#333333", "#fff3b0"),)),
    Picture("17-zeta.jpg", r"\zeta ( s ) = \prod_{p} \frac{1}{1 - p^{-s}}", "Cochineal", 60,
            "a photo in weak light", (photographed(light=(0.3, 0.5), noise=7.0),),
            save={"quality": 50}),
    Picture("18-absolute.png",
            r"| x | = \left\{ \begin{array}{ll} x & \text{if } x \geq 0 \\ - x & \text{otherwise} \end{array} \right.",
            "MathJax", 22, "cases with words", hard=True),
    Picture("19-fraction.png",
            r"\phi = 1 + \frac{1}{1 + \frac{1}{1 + \frac{1}{1 + \frac{1}{1 + \cdots}}}}", "MathJax", 20,
            "nested five deep", hard=True),
    Picture("20-determinant.png",
            r"\left| \begin{array}{ccccc} 1 & x_1 & x_1^2 & x_1^3 & x_1^4 \\ 1 & x_2 & x_2^2 & x_2^3 & x_2^4 \\"
            r" 1 & x_3 & x_3^2 & x_3^3 & x_3^4 \\ 1 & x_4 & x_4^2 & x_4^3 & x_4^4 \\ 1 & x_5 & x_5^2 & x_5^3 & x_5^4"
            r" \end{array} \right| = \prod_{i < j} ( x_j - x_i )",
            "MathJax", 18, "a large array", hard=True),
    Picture("21-handwriting.jpg", r"a^2 + b^2 = c^2", "Augie (handwriting)", 60,
            "a handwriting font, photographed", (photographed(shadow=True, blur=1.2),), hard=True,
            save={"quality": 55}),
    Picture("22-tiny.png", r"F ( x ) = \int_{0}^{x} f ( t ) dt + F ( 0 )", "MathJax", 20,
            "shrunk to seven pixels an em", (shrunk(0.35),), hard=True),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    lines = []
    for picture in PICTURES:
        image = typeset(picture.latex, picture.font, picture.pixels_per_em)
        for effect in picture.effects:
            image = effect(image)
        path = out / picture.file
        options = picture.save or ({"optimize": True} if path.suffix == ".png" else {})
        image.save(path, **options)  # type: ignore[arg-type]
        if path.stat().st_size > MAX_BYTES:
            raise SystemExit(f"{path} has {path.stat().st_size} bytes, more than {MAX_BYTES}.")
        lines.append(
            {
                "file": picture.file,
                "latex": normalize(picture.latex),
                "about": f"{picture.font}, {picture.pixels_per_em:.0f} px/em: {picture.about}",
                "hard": picture.hard,
            }
        )
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (out / "demo.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

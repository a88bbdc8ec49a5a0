"""Write data/hand_glyphs/hands.txt: the strokes of handwriting fonts under the SIL OFL.

    pip install scikit-image fonttools
    python tools/hands/make.py OUT [--sheet PNG]

Fetches the fonts of `fonts.tsv` from npm (`npm pack`, pinned versions), renders every symbol that the
composer may use, and traces the middle of its lines. OUT gets `hands.txt`, read by
`texlens.data.pictures.hands.open_hands`, and `SOURCES.md` with each font's name, copyright and licence.
`--sheet` also writes a picture of all strokes, to look at.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from centre_lines import Points, trace
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).parent
EM_PX = 200
UNITS = 200  # an em in the file
# The character under which the composer knows a symbol, and what fonts call it, the best first.
OTHER_CODES = {
    "−": "−–-", "⋅": "·∙⋅.", "′": "′'", "∼": "∼~", "~": "~∼", "Δ": "Δ∆", "∑": "∑Σ", "∏": "∏Π",
    "μ": "μµ", "Ω": "ΩΩ", "∘": "∘°", "∅": "∅Ø", "⟂": "⊥⟂", "∥": "∥‖", "ℓ": "ℓ",
}  # fmt: skip
# By font: what is another symbol there, or looks much like another one.
SKIPPED = {
    "gochi-hand": "z4y",  # like 3, 9 and 4
    "just-me-again-down-here": "r7",  # like R and y
    "mansalva": "uy",  # like 4 and 2
    "poor-story": "ℓ",  # a line
    "zen-kurenaido": "\\",  # a yen sign
    "zeyada": "f",  # like b
}
SYMBOLS = (
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΦΨΩ"
    "−+=±×÷<>≤≥≠≈≡()[]{}|/\\,.:;!?%&*′⋅…∼~°$#@"
    "∑∏∫√∞∂∇∈∋∉∀∃∅→←↑↓↔⇒⇔∪∩⊂⊃⊆⊇∧∨¬∝∠⟂∥⊕⊗∓∘∴∵ℓ"
)


HEAD = """# Strokes traced from handwriting fonts under the SIL Open Font License 1.1 (OFL.txt beside this file);
# SOURCES.md has each font's name and copyright. A tab after `hand` begins a hand. Each other line is a
# symbol, a tab, and its strokes: points x,y in 1/200 em, y down, `|` between strokes."""
SOURCES = """# Where the strokes of hands.txt come from

Each hand was traced from a font under the SIL Open Font License 1.1 (`OFL.txt`): the middle of the lines
of its letters, by `tools/hands/make.py`. So `hands.txt` is a modified version of these fonts and is under
the same licence. The hands have numbers and not the names of the fonts, because some are reserved.
By its fifth condition the licence does not cover documents made with the fonts, and pictures of formulas are
such documents.

| hand | font | copyright | package |
|---|---|---|---|
"""


def fetch(package: str, version: str, file: str, folder: Path) -> bytes:
    """One file of an npm package."""
    name = package.removeprefix("@").replace("/", "-") + f"-{version}.tgz"
    if not (folder / name).exists():
        command = ["npm", "pack", "--silent", f"{package}@{version}"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(folder / name) as archive:
        member = archive.extractfile(f"package/{file}")
        assert member is not None, f"{package} has no {file}"
        return member.read()


def licence_of(content: bytes) -> tuple[str, str]:
    """A font's name and its copyright line. Fails where its licence is not the SIL OFL."""
    names = TTFont(io.BytesIO(content), lazy=True)["name"]
    texts = {n: (names.getDebugName(n) or "").strip() for n in (0, 1, 13, 14)}
    licence = f"{texts[13]} {texts[14]}"
    if not any(mark in licence for mark in ("Open Font License", "OFL")):
        raise SystemExit(f"'{texts[1]}' is not under the OFL: {licence}")
    return texts[1], " ".join(texts[0].split())


def glyphs_of(package: str, content: bytes) -> dict[str, list[Points]]:
    """The strokes of each symbol that a font has, in 1/UNITS em."""
    codes = TTFont(io.BytesIO(content), lazy=True).getBestCmap()
    font = ImageFont.truetype(io.BytesIO(content), EM_PX)
    found = {}
    for symbol in SYMBOLS:
        names = OTHER_CODES.get(symbol, symbol)
        name = next((name for name in names if ord(name) in codes), None)
        if name is None or symbol in SKIPPED.get(package.partition("/")[2], ""):
            continue
        strokes = trace(_shape(font, name), EM_PX)
        if symbol == "√":
            strokes = with_bar(strokes)
        if strokes:
            found[symbol] = [stroke * (UNITS / EM_PX) for stroke in strokes]
    return found


def _shape(font: ImageFont.FreeTypeFont, text: str) -> np.ndarray:
    page = Image.new("L", (4 * EM_PX, 4 * EM_PX), 0)
    ImageDraw.Draw(page).text((EM_PX, EM_PX), text, font=font, fill=255)
    box = page.getbbox()
    if box is None:
        return np.zeros((1, 1), dtype=bool)
    grey = cv2.GaussianBlur(np.asarray(page.crop(box)), (5, 5), 0)
    return grey > 127


def with_bar(strokes: list[Points]) -> list[Points]:
    """A root sign that ends in a bar, as the composer lengthens it."""
    points = np.concatenate(strokes) if strokes else np.zeros((0, 2))
    if not len(points):
        return []
    corner = points[np.argmin(points @ np.array([-0.3, 1.0]))]
    longest = max(range(len(strokes)), key=lambda n: len(strokes[n]))
    stroke = strokes[longest]
    if np.hypot(*(stroke[-1] - corner)) > 0.1 * EM_PX:
        return strokes if corner[0] - stroke[-1][0] < 0 else []
    bar = stroke[-1] + np.array([[0.5, 0.0], [2.0, 0.0]]) * EM_PX
    strokes[longest] = np.concatenate([stroke, bar])
    return strokes


def line_of(symbol: str, strokes: Sequence[Points]) -> str:
    low = np.floor(np.concatenate(strokes).min(axis=0))
    parts = [
        " ".join(f"{x},{y}" for x, y in np.round(stroke - low).astype(int)) for stroke in strokes
    ]
    return f"{symbol}\t{'|'.join(parts)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--fonts", type=Path, help="Keep the fetched packages here.")
    options = parser.parse_args()
    folder = options.fonts or Path(tempfile.mkdtemp())
    lines, hands = [HEAD], []
    sources = []
    rows = [r.split("\t") for r in (HERE / "fonts.tsv").read_text().splitlines() if r]
    for number, (package, version, file) in enumerate(rows, 1):
        content = fetch(package, version, file, folder)
        glyphs = glyphs_of(package, content)
        name, owner = licence_of(content)
        sources.append(f"| {number:02} | {name} | {owner} | {package} {version} |")
        print(f"{number:3} {file:60} {len(glyphs)}", flush=True)
        lines += [f"hand\t{number:02}", *(line_of(s, strokes) for s, strokes in glyphs.items())]
        hands.append(glyphs)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "hands.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (options.out / "SOURCES.md").write_text(SOURCES + "\n".join(sources) + "\n", encoding="utf-8")
    if options.sheet:
        cv2.imwrite(str(options.sheet), sheet(hands))


def sheet(hands: Sequence[dict[str, list[Points]]]) -> np.ndarray:
    cell = 44
    page = np.full((cell * len(hands), cell * len(SYMBOLS)), 255, dtype=np.uint8)
    colours = (0, 90, 160, 60, 130)
    for row, glyphs in enumerate(hands):
        for column, symbol in enumerate(SYMBOLS):
            for n, stroke in enumerate(glyphs.get(symbol, ())):
                low = np.concatenate(glyphs[symbol]).min(axis=0)
                points = (stroke - low) * 0.22 + [column * cell + 3, row * cell + 3]
                cv2.polylines(page, [np.round(points * 16).astype(np.int32).reshape(-1, 1, 2)],
                              False, colours[n % 5], 1, cv2.LINE_AA, 4)  # fmt: skip
    return page


if __name__ == "__main__":
    main()

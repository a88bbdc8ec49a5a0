r"""Choose the formulas, renderers and looks of the sets. Run once; `sets/*.tsv` are its result.

    python tools/pretrain/choose_sets.py CANDIDATES.json

CANDIDATES.json has, for each list, the formulas that the first embedded model's lists had held out
(one in a hundred by the CRC of their normal form). Of chemistry, which that model never saw, it has the
reactions that no list of a later run has. A formula's key decides between dev and test. Rows that cannot
be rendered are replaced.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from random import Random

from holdout import SETS, key
from make_sets import HELD_OUT_TEX_FONTS, Row, pictures_of, read_rows, write_rows

from texlens.data.formulas.kinds import MADE_KINDS
from texlens.data.pictures.renderers.base import Style
from texlens.data.pictures.renderers.browser import DARK, HELD_OUT_FONTS, LIGHT, MATH_FONTS
from texlens.data.pictures.renderers.pdftex import SMOOTH_FONTS
from texlens.latex import normalize, tokenize

# Shares of the lists, and of all generated kinds together.
SCHOOL = {"school_k12": 15, "school_handwritten_captions": 8, "differential_equations": 5,
          "logic_and_types": 4, "stacks_formulas_train": 6, "arxiv_inline": 18, "arxiv_display": 16,
          "arxiv_hep_short": 4, "made": 24}  # fmt: skip
PAPERS = {"arxiv_display": 40, "arxiv_inline": 20, "arxiv_hep_short": 12, "stacks_formulas_train": 8,
          "school_k12": 6, "differential_equations": 4, "logic_and_types": 3, "made": 7}  # fmt: skip
ALL = {"school_k12": 15, "school_handwritten_captions": 10, "differential_equations": 4,
       "arxiv_inline": 20, "arxiv_display": 30, "arxiv_hep_short": 6, "made": 15}  # fmt: skip
# The list has reactions of gases, without charges, states and words over arrows: textbooks have those.
CHEMISTRY = {"textbook": 58, "chemistry_reactions": 24, "made": 18}
TEXTBOOK = SETS / "textbook_chemistry.txt"
CHEMISTRY_CHARACTERS = 40  # of a reaction of the list, at least
MADE = ("words", "named", "units", "degrees", "boxed", "money", "cases", "matrix", "aligned", "nested",
        "roots", "single", "number", "plain", "school")  # fmt: skip


def screen_style(random: Random) -> Style:
    """Chromium: 14 to 24 px, three kinds of screen, light and dark; half of MathML in unseen fonts."""
    renderer = random.choices(("katex", "mathjax-chtml", "mathjax-svg", "mathml"), (38, 18, 8, 36))[
        0
    ]
    font = {
        "katex": "KaTeX",
        "mathml": random.choice(list(HELD_OUT_FONTS if random.random() < 0.5 else MATH_FONTS)),
    }.get(renderer) or random.choice(("tex", "newcm", "newcm", "stix2", "termes"))
    ink, paper = random.choice(DARK if random.random() < 0.35 else LIGHT)
    return Style(
        renderer, font, display=random.random() < 0.6, size=float(random.choice((14, 15, 16, 18, 20, 24))),
        scale=float(random.choice((1, 2, 3))), ink=ink, paper=paper,
    )  # fmt: skip


def print_style(random: Random) -> Style:
    """pdfTeX, half in fonts of no training picture; 9 to 50 pixels an em."""
    font = random.choice(list(HELD_OUT_TEX_FONTS if random.random() < 0.5 else SMOOTH_FONTS))
    return Style(
        "pdftex",
        font,
        display=random.random() < 0.8,
        scale=float(random.choice((10, 13, 16, 20, 26, 34, 48))),
    )


def any_style(random: Random) -> Style:
    """A screen or a page."""
    return screen_style(random) if random.random() < 0.5 else print_style(random)


def small_style(random: Random) -> Style:
    """A screen or, one time in three, a page, with small type: 12 to 36 pixels an em."""
    if random.random() < 1 / 3:
        return replace(print_style(random), scale=float(random.choice((10, 12, 14, 17, 20, 26))))
    size, scale = random.choice((12, 13, 14, 15, 16, 18)), random.choice((1, 1, 1.25, 1.5, 2))
    return replace(screen_style(random), size=float(size), scale=float(scale))


def no_look(random: Random, style: Style) -> dict[str, float]:
    """As it is; one in ten with JPEG."""
    return {"jpeg": round(random.uniform(0.2, 0.8), 2)} if random.random() < 0.1 else {}


def use_look(random: Random, style: Style) -> dict[str, float]:
    """A page perhaps scanned, a screen perhaps with JPEG."""
    return scan_look(random, style) if style.renderer == "pdftex" else no_look(random, style)


def scan_look(random: Random, style: Style) -> dict[str, float]:
    """Half of the pages scanned."""
    if random.random() < 0.5:
        return {}
    chances = {"ink_weight": 0.6, "rotation": 0.3, "blur": 0.4, "noise": 0.5, "dust": 0.3,
               "bleed_through": 0.2, "jpeg": 0.4, "background": 0.2}  # fmt: skip
    return _some(random, chances, 0.6)


def photo_look(random: Random, style: Style) -> dict[str, float]:
    """A photograph of a screen, or of paper."""
    if style.renderer != "pdftex":
        chances = {"perspective": 0.8, "rotation": 0.5, "moire": 0.8, "glare": 0.4, "blur": 0.6,
                   "noise": 0.5, "jpeg": 0.8}  # fmt: skip
    else:
        chances = {"perspective": 0.8, "rotation": 0.6, "background": 0.6, "shadow": 0.8, "blur": 0.6,
                   "noise": 0.7, "jpeg": 0.8, "bleed_through": 0.1}  # fmt: skip
    return _some(random, chances, 0.7)


def _some(random: Random, chances: dict[str, float], most: float) -> dict[str, float]:
    return {
        name: round(random.uniform(0.1, most), 2)
        for name, chance in chances.items()
        if random.random() < chance
    }


Look = Callable[[Random, Style], dict[str, float]]
# Pictures of each part, shares of the lists, style, look, and the longest formula in tokens.
PLANS: dict[str, tuple[int, dict[str, int], Callable[[Random], Style], Look, int]] = {
    "screens": (400, SCHOOL, screen_style, no_look, 160),
    "print": (400, PAPERS, print_style, scan_look, 220),
    "chemistry": (150, CHEMISTRY, small_style, use_look, 300),
    "photos": (200, ALL, any_style, photo_look, 120),
}


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:  # noqa: PTH123
        candidates: dict[str, list[str]] = json.load(file)
    candidates["textbook"] = TEXTBOOK.read_text(encoding="utf-8").splitlines()
    candidates["chemistry_reactions"] = [
        reaction
        for reaction in candidates["chemistry_reactions"]
        if len(reaction) >= CHEMISTRY_CHARACTERS
    ]
    taken: set[str] = set()
    pools: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, lines in candidates.items():
        for line in Random(name).sample(lines, len(lines)):
            pools[name, part_of(key(line))].append(line)
    for name, (count, shares, style_of, look_of, longest) in PLANS.items():
        for part in ("dev", "test"):
            path = SETS / f"{name}.{part}.tsv"
            if path.exists():
                taken.update(row.key for row in read_rows(path))
                continue
            random = Random(f"{name}/{part}")
            rows: list[Row] = []
            while len(rows) < count:
                batch, formulas = [], []
                while len(batch) < count - len(rows):
                    (source,) = random.choices(list(shares), list(shares.values()))
                    formula, label = _next(source, name, part, pools, random)
                    name_key = key(formula)
                    fits = len(tokenize(normalize(formula))) <= longest
                    if name_key in taken or part_of(name_key) != part or not fits:
                        continue
                    taken.add(name_key)
                    style = style_of(random)
                    if style.renderer == "mathml" and "[$" in formula:
                        continue  # Temml sets a formula over an arrow upright
                    row = Row(
                        f"{name}-{part}-{len(rows) + len(batch):03d}", name_key, label, style,
                        random.choice((2, 4, 8, 12, 20)), look_of(random, style),
                        formula if label.startswith(("made", "textbook")) else "",
                    )  # fmt: skip
                    batch.append(row)
                    formulas.append(formula)
                made = pictures_of(batch, formulas)
                fine = [
                    row
                    for row, picture in zip(batch, made, strict=True)
                    if not isinstance(picture, str)
                ]
                rows += [
                    _renamed(row, f"{name}-{part}-{len(rows) + n:03d}")
                    for n, row in enumerate(fine)
                ]
            write_rows(path, rows)
            print(name, part, len(rows), flush=True)


def part_of(formula_key: str) -> str:
    """Whether a formula belongs to the dev or the test part of a set."""
    return "test" if int(formula_key[8:], 16) % 2 else "dev"


def _next(
    source: str, name: str, part: str, pools: dict[tuple[str, str], list[str]], random: Random
) -> tuple[str, str]:
    """A formula and where it is from; the lists are used up from their end."""
    if source != "made":
        if not pools[source, part]:
            source = "arxiv_inline"
        return pools[source, part].pop(), source
    kind = "chemistry" if name == "chemistry" else random.choice(MADE)
    return " ".join(MADE_KINDS[kind](random).split()), f"made {kind}"


def _renamed(row: Row, label: str) -> Row:
    return Row(label, row.key, row.source, row.style, row.margin, row.look, row.formula)


if __name__ == "__main__":
    main()

"""CROHME: handwritten formulas as InkML, of any year, rendered as pictures.

Layout: any tree of folders with `.inkml` files (TrainINKML/..., TestEM2014GT/...). A folder whose
name begins with train, val or test, the one given or one under it, determines the split of its
files. The formula is the `truth` annotation of the file, or the line of a captions file (path,
tab, LaTeX).
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from texlens.data.corpora.base import Corpus, Locator, require_folder, split_of
from texlens.data.items import Drop, RawItem
from texlens.data.pictures.ink import Ink, InkError, InkStyle, array_to_png, parse_inkml, render_ink
from texlens.errors import InputError
from texlens.inputs import read_lines
from texlens.latex import normalize


@dataclass(frozen=True)
class Crohme(Corpus):
    """Ink under `folder`; `vary` renders each ink in a random style of its own, set by `seed`."""

    folder: Path
    captions: Path | None = None
    vary: bool = False
    seed: int = 0

    name = "crohme"

    def locators(self) -> Iterator[Locator | Drop]:
        """(path relative to the folder, caption or None), in the order of the paths."""
        require_folder(self.folder, "a folder with CROHME's .inkml files")
        captions = _read_captions(self.captions) if self.captions else None
        found = sorted(p.relative_to(self.folder).as_posix() for p in self.folder.rglob("*.inkml"))
        if not found:
            raise InputError(f"There is no .inkml file under '{self.folder}'.")
        for path in found:
            if captions is None:
                yield (path, None)
                continue
            # A captions file may count its paths from this folder or from the one above.
            name = path if path in captions else f"{self.folder.resolve().name}/{path}"
            if name in captions:
                yield path, captions.pop(name)
            else:
                yield Drop(path, "read", "has no line in the captions file")
        for name in sorted(captions or ()):
            yield Drop(name, "read", "has a caption but no ink file")

    def load(self, locators: Sequence[Locator]) -> Iterator[RawItem | Drop]:
        """Render each ink."""
        for path, caption in locators:
            try:
                ink = parse_inkml((self.folder / path).read_bytes())
                # Seeded by the path, so that the picture does not depend on the order of the work.
                rng = np.random.default_rng([self.seed, zlib.crc32(path.encode())])
                style = InkStyle().vary(rng) if self.vary else InkStyle()
                image = array_to_png(render_ink(ink.strokes, style, rng))
            except OSError as error:
                yield Drop(path, "read", f"cannot be read: {error.strerror}")
            except InkError as error:
                yield Drop(path, "read", str(error))
            else:
                latex = ink.reference if caption is None else caption
                folders = [*path.split("/")[:-1], self.folder.resolve().name]
                label = path.removesuffix(".inkml")
                yield RawItem(label, image, latex, "handwritten", self.name, split_of(folders))

    def inks(self, ids: Collection[str] | None = None) -> list[Ink]:
        """The usable inks, each with its formula in normal form as its reference.

        `ids`: keep only these, named as in a prepared data set. Raises InputError when none is left.
        """
        inks = []
        for locator in self.locators():
            if isinstance(locator, Drop):
                continue
            path, caption = locator
            if ids is not None and path.removesuffix(".inkml") not in ids:
                continue
            try:
                ink = parse_inkml((self.folder / path).read_bytes())
            except InkError:
                continue
            formula = normalize(caption or ink.reference)
            if formula and "\n" not in formula:
                inks.append(replace(ink, reference=formula))
        if not inks:
            raise InputError(f"No ink under '{self.folder}' can be used.")
        return inks


def _read_captions(path: Path) -> dict[str, str]:
    captions: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        name, tab, latex = line.partition("\t")
        if not tab:
            raise InputError(f"'{path}' line {number} has no tab between path and LaTeX.")
        if name in captions:
            raise InputError(f"'{path}' line {number} gives '{name}' a second caption.")
        captions[name] = latex
    return captions

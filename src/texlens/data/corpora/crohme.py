"""CROHME: handwritten formulas as InkML, of any year, rendered as pictures.

Layout: any tree of folders with `.inkml` files (TrainINKML/..., TestEM2014GT/...). A folder whose
name begins with train, val or test, the one given or one under it, determines the split of its
files. The formula is the `truth` annotation of the file, or the line of a captions file (path,
tab, LaTeX). Its authors' test sets come twice, with truth and without: an ink without is left out.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np

from texlens.data.corpora.base import Corpus, Locator, require_folder, split_of
from texlens.data.corpora.files import FolderFiles
from texlens.data.items import Drop, RawItem
from texlens.data.pictures.ink import Ink, InkError, InkStyle, array_to_png, parse_inkml, render_ink
from texlens.errors import InputError
from texlens.inputs import read_lines
from texlens.latex import normalize


@dataclass(frozen=True)
class InkCorpus(Corpus):
    """Ink under `folder`, rendered as pictures; the place of a locator is (file, caption or None).

    `vary` renders each ink in a random style of its own, set by `seed`.
    """

    folder: Path
    vary: bool = False
    seed: int = 0

    references: ClassVar[tuple[str, ...]] = ("truth",)  # the annotations that are the formula

    def load(self, locators: Sequence[Locator]) -> Iterator[RawItem | Drop]:
        """Render each ink."""
        for locator in locators:
            path, caption = locator.place
            try:
                ink = self.ink(path)
                # Seeded by the path, so that the picture does not depend on the order of the work.
                rng = np.random.default_rng([self.seed, zlib.crc32(path.encode())])
                style = InkStyle().vary(rng) if self.vary else InkStyle()
                image = array_to_png(render_ink(ink.strokes, style, rng))
            except OSError as error:
                yield Drop(locator.id, "read", f"cannot be read: {error.strerror}")
            except InkError as error:
                yield Drop(locator.id, "read", str(error))
            else:
                latex = ink.reference if caption is None else caption
                yield RawItem(
                    locator.id, image, latex, "handwritten", locator.source, locator.split
                )

    def ink(self, path: str) -> Ink:
        """The ink of a file. Raises OSError or InkError."""
        return parse_inkml(FolderFiles(self.folder).read(path), self.references)


@dataclass(frozen=True)
class Crohme(InkCorpus):
    """The corpus of any year; `captions` replace the formulas of the files."""

    captions: Path | None = None

    name = "crohme"

    def locators(self) -> Iterator[Locator | Drop]:
        """(file, caption or None), in the order of the files."""
        require_folder(self.folder, "a folder with CROHME's .inkml files")
        captions = _read_captions(self.captions) if self.captions else None
        found = sorted(p.relative_to(self.folder).as_posix() for p in self.folder.rglob("*.inkml"))
        if not found:
            raise InputError(f"There is no .inkml file under '{self.folder}'.")
        for path in found:
            # A captions file may count its paths from this folder or from the one above.
            name = f"{self.folder.resolve().name}/{path}"
            if captions is None:
                yield self._locator(path, None)
            elif path in captions:
                yield self._locator(path, captions.pop(path))
            elif name in captions:
                yield self._locator(path, captions.pop(name))
            else:
                yield Drop(path, "read", "has no line in the captions file")
        for name in sorted(captions or ()):
            yield Drop(name, "read", "has a caption but no ink file")

    def _locator(self, path: str, caption: str | None) -> Locator:
        folders = [*path.split("/")[:-1], self.folder.resolve().name]
        return Locator(path.removesuffix(".inkml"), (path, caption), split_of(folders), self.name)

    def inks(
        self, ids: Collection[str] | None = None, broken: list[Drop] | None = None
    ) -> list[Ink]:
        """The usable inks, each with its formula in normal form as its reference, and its writer.

        Args:
            ids: keep only these, named as in a prepared data set.
            broken: gets what cannot be used, each with its reason.

        Raises InputError when none is left.
        """
        inks = []
        drops: list[Drop] = [] if broken is None else broken
        for locator in self.locators():
            if isinstance(locator, Drop):
                drops.append(locator)
                continue
            if ids is not None and locator.id not in ids:
                continue
            path, caption = locator.place
            try:
                ink = self.ink(path)
            except OSError as error:
                drops.append(Drop(locator.id, "read", f"cannot be read: {error.strerror}"))
                continue
            except InkError as error:
                drops.append(Drop(locator.id, "read", str(error)))
                continue
            formula = normalize(caption or ink.reference)
            if formula and "\n" not in formula:
                inks.append(replace(ink, reference=formula, writer=_writer(path, ink.writer)))
            else:
                drops.append(Drop(locator.id, "read", "has no formula in one line"))
        if not inks:
            raise InputError(f"No ink under '{self.folder}' can be used.")
        return inks


def _writer(path: str, name: str) -> str:
    """Who wrote a file: by its annotation; MathBrush's files are named by session and number."""
    if name and name != "Unknown":
        return f"{PurePosixPath(path).parent.name}/{name}"
    return path.removesuffix(".inkml").rpartition("-")[0] or path


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

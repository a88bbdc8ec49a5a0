"""The corpora that `texlens data prepare` knows.

In: a copy of a corpus in the layout of its authors, or a name on the hub. Out: a `Corpus`, which
lists its items as small locators and loads each as a RawItem, or as a Drop with its reason.

Read `base` first, then one module a corpus: `tables` (all Parquet), `crohme`, `hme100k`, `unimer`,
`im2latex`, `folder` (a user's own); `synthetic` and `unseen_fonts` render pictures themselves.
A new corpus is one module, an entry of `CORPORA` and a case in `open_corpus`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from texlens.data.corpora.base import Corpus, Locator
from texlens.data.corpora.crohme import Crohme
from texlens.data.corpora.folder import Folder
from texlens.data.corpora.hme100k import Hme100k
from texlens.data.corpora.hub import fetch_dataset
from texlens.data.corpora.im2latex import Im2latex
from texlens.data.corpora.synthetic import Synthetic
from texlens.data.corpora.tables import ParquetCorpus
from texlens.data.corpora.unimer import SUBSETS, Unimer
from texlens.data.corpora.unseen_fonts import UnseenFonts
from texlens.data.items import Drop, RawItem, Sizes
from texlens.errors import InputError
from texlens.records import Kind

# Name -> its place on the hub (repository, files), None where its authors offer an archive.
CORPORA: dict[str, tuple[str, str] | None] = {
    "latex-formulas": ("OleehyO/latex-formulas", "cleaned_formulas/*.parquet"),
    "crohme": ("linxy/LaTeX_OCR", "human_handwrite/*.parquet"),
    "hme100k": None,
    "hmer": None,
    "unimer": None,
    "unsloth-latex-ocr": ("unsloth/LaTeX_OCR", "data/*.parquet"),
    "im2latex": None,
    "folder": None,
    "synthetic": None,
    "unseen-fonts": None,
}

# The sizes of the qwen-ocr report.
PRINTED_SIZES = (53_000, 800, 1_000)
HANDWRITTEN_SIZES = (2_000, 100, 100)
OUT_OF_DOMAIN_SIZES = (0, 0, 100)


@dataclass(frozen=True)
class Mixture:
    """Several corpora after one another; the split takes the same number of items from each."""

    corpora: tuple[Corpus, ...]
    name: str
    sizes: Sizes | None

    def locators(self) -> Iterator[Locator | Drop]:
        """(number of the corpus, its locator)."""
        for number, corpus in enumerate(self.corpora):
            for locator in corpus.locators():
                if isinstance(locator, Drop):
                    yield replace(locator, id=f"{corpus.name}/{locator.id}")
                else:
                    yield number, locator

    def load(self, locators: Sequence[Locator]) -> Iterator[RawItem | Drop]:
        """The items, their ids prefixed with their corpus's name, without their authors' splits."""
        for number, members in groupby(locators, key=lambda locator: locator[0]):
            corpus = self.corpora[number]
            for item in corpus.load([locator for _, locator in members]):
                label = f"{corpus.name}/{item.id}"
                if isinstance(item, Drop):
                    yield replace(item, id=label)
                else:
                    yield replace(item, id=label, split=None)


def open_corpus(
    name: str,
    paths: Sequence[Path],
    *,
    captions: Path | None = None,
    subset: str | None = None,
    kind: Kind = "printed",
    vary_ink: bool = False,
    seed: int = 0,
    count: int | None = None,
) -> Corpus:
    """A corpus by its name, from local copies (`paths`) or, where it is there, from the hub.

    Raises InputError for a name or an option that does not fit.
    """
    if name not in CORPORA:
        raise InputError(f"There is no corpus '{name}': choose among {', '.join(CORPORA)}.")
    for option, value, corpora in (
        ("--captions", captions, ("crohme", "hmer", "folder")),
        ("--subset", subset, ("unimer",)),
        ("--count", count, ("synthetic", "unseen-fonts")),
    ):
        if value is not None and name not in corpora:
            raise InputError(
                f"{option} has no meaning for '{name}', only for {', '.join(corpora)}."
            )
    if count is not None and count < 1:
        raise InputError(f"The count is {count}: give at least 1.")
    if name == "synthetic":
        return Synthetic(kind, tuple(paths), count, seed)
    if name == "unseen-fonts":
        if paths:
            raise InputError("'unseen-fonts' samples its own formulas: leave out --from.")
        return UnseenFonts(count, seed)
    hub = CORPORA[name]
    if not paths:
        if hub is None:
            raise InputError(f"'{name}' is not on the hub: give its folder with --from.")
        paths = [fetch_dataset(*hub)]
    if name == "hmer":
        if len(paths) != 2:
            raise InputError("'hmer' needs two folders: --from CROHME --from HME100K.")
        crohme = _crohme(paths[0], captions, vary_ink, seed)
        return Mixture((crohme, Hme100k(paths[1])), "hmer", HANDWRITTEN_SIZES)
    if len(paths) != 1:
        raise InputError(f"'{name}' takes one --from, not {len(paths)}.")
    path = paths[0]
    if not path.exists():
        raise InputError(f"There is no '{path}'.")
    match name:
        case "latex-formulas":
            return ParquetCorpus(name, path, sizes=PRINTED_SIZES, keep_splits=False)
        case "unsloth-latex-ocr":
            return ParquetCorpus(name, path)
        case "crohme":
            return _crohme(path, captions, vary_ink, seed)
        case "hme100k":
            return Hme100k(path)
        case "unimer":
            if subset not in SUBSETS:
                raise InputError(f"'unimer' needs --subset: {', '.join(SUBSETS)}.")
            sizes = OUT_OF_DOMAIN_SIZES if subset in ("spe", "sce") else None
            return Unimer(path, subset, sizes=sizes)
        case "im2latex":
            return ParquetCorpus(name, path) if _is_parquet(path) else Im2latex(path)
        case _:
            return Folder(path, captions, kind)


def _crohme(path: Path, captions: Path | None, vary_ink: bool, seed: int) -> Corpus:
    if _is_parquet(path):
        return ParquetCorpus("crohme", path, kind="handwritten")
    return Crohme(path, captions, vary=vary_ink, seed=seed)


def _is_parquet(path: Path) -> bool:
    return path.suffix == ".parquet" or any(path.glob("*.parquet"))


__all__ = ["CORPORA", "Corpus", "Mixture", "open_corpus"]

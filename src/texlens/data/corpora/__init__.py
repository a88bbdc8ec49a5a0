"""The corpora that `texlens data prepare` knows.

In: a copy of a corpus as its authors distribute it, or a name on the hub. Out: a `Corpus`, which
lists its items as small locators and loads each as a RawItem, or as a Drop with its reason.

Read `base` first, then one module a corpus: `tables` (all Parquet), `crohme` and `mathwriting`
(ink), `hme100k`, `unimer` and `im2latex` (pictures, in the places of `files`), `folder` (a user's
own); `synthetic` and `unseen_fonts` render pictures themselves. `hub` fetches.
A new corpus is one module, an entry of `CORPORA` and a case in `open_corpus`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from texlens.addresses import reason
from texlens.data.corpora import mathwriting, unimer
from texlens.data.corpora.base import Corpus, Locator, Origin
from texlens.data.corpora.crohme import Crohme
from texlens.data.corpora.folder import Folder
from texlens.data.corpora.hme100k import Hme100k
from texlens.data.corpora.hub import fetch_dataset, origin_of
from texlens.data.corpora.im2latex import Im2latex
from texlens.data.corpora.mathwriting import MathWriting
from texlens.data.corpora.synthetic import Synthetic
from texlens.data.corpora.tables import ParquetCorpus
from texlens.data.corpora.unimer import Unimer
from texlens.data.corpora.unseen_fonts import UnseenFonts
from texlens.data.items import Drop, RawItem, Sizes
from texlens.errors import InputError
from texlens.records import Kind

# Name -> its repository on the hub, None where its authors offer an archive.
CORPORA: dict[str, str | None] = {
    "latex-formulas": "OleehyO/latex-formulas",
    "crohme": "linxy/LaTeX_OCR",
    "linxy-latex-ocr": "linxy/LaTeX_OCR",
    "hme100k": None,
    "hmer": None,
    "mathwriting": None,
    "unimer": "wanderkid/UniMER_Dataset",
    "unsloth-latex-ocr": "unsloth/LaTeX_OCR",
    "im2latex": None,
    "folder": None,
    "synthetic": None,
    "unseen-fonts": None,
}

# The folder of a repository that has the corpus, where it is not named after the subset.
_PARTS = {
    "latex-formulas": "cleaned_formulas",
    "crohme": "human_handwrite",
    "unsloth-latex-ocr": "data",
}
# The folders of linxy/LaTeX_OCR.
_LINXY_KINDS: dict[str, Kind] = {
    "human_handwrite": "handwritten",
    "human_handwrite_print": "printed",
    "synthetic_handwrite": "handwritten",
    "full": "printed",
    "small": "printed",
}
_SUBSETS: dict[str, Sequence[str]] = {
    "unimer": tuple(unimer.SUBSETS),
    "mathwriting": mathwriting.SUBSETS,
    "linxy-latex-ocr": tuple(_LINXY_KINDS),
}

# The sizes of the qwen-ocr report.
PRINTED_SIZES = (53_000, 800, 1_000)
HANDWRITTEN_SIZES = (2_000, 100, 100)
OUT_OF_DOMAIN_SIZES = (0, 0, 100)


@dataclass(frozen=True)
class Mixture:
    """Several corpora after one another; samples have the same number of items from each."""

    corpora: tuple[Corpus, ...]
    name: str
    sizes: Sizes | None

    @property
    def origins(self) -> tuple[Origin, ...]:
        """The data sets on the hub that its corpora were fetched from."""
        return tuple(origin for corpus in self.corpora for origin in corpus.origins)

    def locators(self) -> Iterator[Locator | Drop]:
        """The locators of the corpora; their place is (number of the corpus, its locator)."""
        for number, corpus in enumerate(self.corpora):
            for locator in corpus.locators():
                label = f"{corpus.name}/{locator.id}"
                if isinstance(locator, Drop):
                    yield replace(locator, id=label)
                else:
                    yield replace(locator, id=label, place=(number, locator))

    def load(self, locators: Sequence[Locator]) -> Iterator[RawItem | Drop]:
        """The items, their ids prefixed with their corpus's name."""
        for number, members in groupby(locators, key=lambda locator: locator.place[0]):
            corpus = self.corpora[number]
            for item in corpus.load([locator.place[1] for locator in members]):
                yield replace(item, id=f"{corpus.name}/{item.id}")


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
    revision: str | None = None,
) -> Corpus:
    """A corpus by its name, from local copies (`paths`) or, where it is there, from the hub.

    Args:
        name: a key of `CORPORA`.
        paths: the local copies; one for most corpora.
        captions: a file of captions, for corpora that have none.
        subset: the part of the corpus, where it has several.
        kind: the kind of the pictures, for `folder` and `synthetic`.
        vary_ink: render every ink with a random pen and slant.
        seed: of the pictures that are rendered.
        count: how many synthetic pictures.
        revision: of the hub's repository; None for the newest.

    Raises:
        InputError: a name or an option does not fit, or there is no such corpus at a path.
        TexlensError: the corpus could not be fetched.
    """
    _check_options(name, paths, captions, subset, count, revision)
    # Worker processes may have been started in another working directory.
    paths = [path.absolute() if isinstance(path, Path) else path for path in paths]
    if name == "synthetic":
        return Synthetic(kind, tuple(paths), count, seed)
    if name == "unseen-fonts":
        if paths:
            raise InputError("'unseen-fonts' samples its own formulas: leave out --from.")
        return UnseenFonts(count, seed)
    if name == "hmer":
        return _hmer(paths, captions, vary_ink, seed, revision)
    if name == "linxy-latex-ocr":
        subset = subset or "human_handwrite"
    part = _PARTS.get(name, subset or "")
    if paths:
        path, origins = paths[0], origin_of(paths[0])
    else:
        path, origins = _fetch(name, part, revision)
    try:
        is_there = path.exists()
    except OSError as error:
        raise InputError(f"Cannot read '{path}': {reason(error)}.") from error
    if not is_there:
        raise InputError(f"There is no '{path}'.")
    match name:
        case "latex-formulas":
            # All of its rows are called train, by the hub and not by its authors.
            return ParquetCorpus(
                name, path, part, sizes=PRINTED_SIZES, keep_splits=False, origins=origins
            )
        case "unsloth-latex-ocr":
            return ParquetCorpus(name, path, part, origins=origins)
        case "linxy-latex-ocr":
            return ParquetCorpus(name, path, part, kind=_LINXY_KINDS[part], origins=origins)
        case "crohme":
            if _is_parquet(path, part):
                return ParquetCorpus(name, path, part, kind="handwritten", origins=origins)
            return Crohme(path, vary_ink, seed, captions)
        case "mathwriting":
            return MathWriting.open(path, subset, vary_ink, seed)
        case "hme100k":
            return Hme100k.open(path)
        case "unimer":
            assert subset is not None
            sizes = OUT_OF_DOMAIN_SIZES if subset in ("spe", "sce") else None
            return Unimer.open(path, subset, sizes, origins)
        case "im2latex":
            return ParquetCorpus(name, path) if _is_parquet(path) else Im2latex.open(path)
        case _:
            return Folder.open(path, captions, kind)


def _check_options(
    name: str,
    paths: Sequence[Path],
    captions: Path | None,
    subset: str | None,
    count: int | None,
    revision: str | None,
) -> None:
    if name not in CORPORA:
        raise InputError(f"There is no corpus '{name}': choose among {', '.join(CORPORA)}.")
    for option, value, corpora in (
        ("--captions", captions, ("crohme", "hmer", "folder")),
        ("--subset", subset, tuple(_SUBSETS)),
        ("--count", count, ("synthetic", "unseen-fonts")),
    ):
        if value is not None and name not in corpora:
            raise InputError(
                f"{option} has no meaning for '{name}', only for {', '.join(corpora)}."
            )
    if name in _SUBSETS and subset not in (*_SUBSETS[name], None):
        raise InputError(f"'{name}' has no subset '{subset}': {', '.join(_SUBSETS[name])}.")
    if name == "unimer" and subset is None:
        raise InputError(f"'unimer' needs --subset: {', '.join(_SUBSETS[name])}.")
    if count is not None and count < 1:
        raise InputError(f"The count is {count}: give at least 1.")
    if name != "hmer" and revision is not None and (paths or CORPORA[name] is None):
        raise InputError("--revision is for a corpus that is fetched from the hub.")
    if len(paths) > 1 and name not in ("synthetic", "unseen-fonts", "hmer"):
        raise InputError(f"'{name}' takes one --from, not {len(paths)}.")


def _fetch(name: str, part: str, revision: str | None) -> tuple[Path, tuple[Origin, ...]]:
    repository = CORPORA[name]
    if repository is None:
        raise InputError(f"'{name}' is not on the hub: give its folder with --from.")
    pattern = unimer.zip_file(part) if name == "unimer" else f"{part}/*.parquet"
    folder, origin = fetch_dataset(repository, [pattern], revision)
    return folder, (origin,)


def _hmer(
    paths: Sequence[Path], captions: Path | None, vary_ink: bool, seed: int, revision: str | None
) -> Corpus:
    """CROHME and HME100K: both local, or HME100K alone and CROHME's pictures from the hub."""
    if len(paths) not in (1, 2):
        raise InputError("'hmer' needs two folders: --from CROHME --from HME100K.")
    crohme = open_corpus(
        "crohme", paths[:-1], captions=captions, vary_ink=vary_ink, seed=seed, revision=revision
    )
    return Mixture((crohme, Hme100k.open(paths[-1])), "hmer", HANDWRITTEN_SIZES)


def _is_parquet(path: Path, part: str = "") -> bool:
    if path.suffix == ".parquet" or any(path.glob("*.parquet")):
        return True
    return bool(part) and any((path / part).rglob("*.parquet"))


__all__ = ["CORPORA", "Corpus", "Mixture", "open_corpus"]

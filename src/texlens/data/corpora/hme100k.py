"""HME100K: photographs of handwritten formulas.

Layouts: `train_labels.txt` (picture's name, tab, LaTeX tokens) beside `train_images/`, and the same
for `test`, as its authors distribute it; or `caption.txt` in `train/` and `test/`, or alone, beside
either a folder of pictures or `images.pkl`, a pickled dictionary from name to array (BGR or grey),
as recognisers that were trained on it use it.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from texlens.data.corpora.base import FileCorpus, Locator, match_captions, split_of
from texlens.data.corpora.files import Files, FolderFiles, locate_files
from texlens.data.items import Drop
from texlens.data.pictures.ink import array_to_png
from texlens.errors import InputError
from texlens.inputs import text_lines
from texlens.reading.pictures.opening import SUFFIXES
from texlens.records import Kind

_PICKLE = "images.pkl"
# Of every layout: the captions, and the folder of its pictures.
_LAYOUTS = {
    "train_labels.txt": "train_images",
    "test_labels.txt": "test_images",
    "train/caption.txt": "train",
    "val/caption.txt": "val",
    "test/caption.txt": "test",
    "caption.txt": "",
}
# All that NumPy's arrays need of a pickle. Newer versions write `numpy._core` for `numpy.core`.
_ARRAY_GLOBALS = frozenset((
    "numpy.ndarray", "numpy.dtype", "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar", "numpy.core.numeric._frombuffer", "_codecs.encode",
))  # fmt: skip


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler that can make arrays and plain containers, and nothing that runs code."""

    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}".replace("numpy._core.", "numpy.core.") in _ARRAY_GLOBALS:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"holds {module}.{name}, which is not an array")


@lru_cache(maxsize=2)
def load_array_pickle(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """A pickled dictionary of arrays. Raises InputError for anything else, and runs none of it."""
    try:
        with path.open("rb") as stream:
            content = _ArrayUnpickler(stream).load()
    except OSError as error:
        raise InputError(f"Cannot read '{path}': {error.strerror}.") from error
    except Exception as error:  # a broken pickle fails in many ways
        raise InputError(f"'{path}' is not a pickle of arrays: {error}.") from error
    if not isinstance(content, dict) or not all(
        isinstance(value, np.ndarray) for value in content.values()
    ):
        raise InputError(f"'{path}' is not a dictionary of arrays.")
    return {str(name): value for name, value in content.items()}


@dataclass(frozen=True)
class Hme100k(FileCorpus):
    """The corpus, or one of its splits."""

    name = "hme100k"
    kind: ClassVar[Kind] = "handwritten"

    @classmethod
    def open(cls, path: Path) -> Hme100k:
        """The corpus in a folder or a zip file. Raises InputError when it is not there."""
        return cls(locate_files(path, list(_LAYOUTS)))

    def locators(self) -> Iterator[Locator | Drop]:
        """(picture, or `images.pkl/` and a key; LaTeX) of every caption."""
        for captions, pictures in _LAYOUTS.items():
            if self.files.has(captions):
                yield from self._part(captions, pictures)

    def _part(self, captions: str, pictures: str) -> Iterator[Locator | Drop]:
        split = split_of([pictures])
        prefix = f"{pictures.removesuffix('_images')}/" if pictures else ""
        files = _files_by_stem(self.files, pictures)
        lines = text_lines(self.files.read(captions), f"{self.files}/{captions}")
        pairs = [(name, "".join(latex)) for name, *latex in (p.split(None, 1) for p in lines if p)]

        def locate(stem: str, latex: str) -> Locator | Drop:
            if not latex:
                return Drop(prefix + stem, "read", "has an empty caption")
            return Locator(prefix + stem, (files[stem], latex), split, self.source)

        def find(name: str) -> str | None:
            stem = _stem(name)
            return stem if stem in files else None

        return match_captions(pairs, files, find, locate, prefix)

    def read(self, file: str) -> bytes:
        """A picture file, or an array of the pickle as PNG."""
        archive, found, name = file.partition(f"{_PICKLE}/")
        if not found:
            return super().read(file)
        array = _load_pickle(self.files, archive + _PICKLE)[name]
        if array.ndim not in (2, 3) or array.dtype != np.uint8 or array.size == 0:
            raise ValueError(f"an array of shape {array.shape} and type {array.dtype}")
        return array_to_png(array)


def _files_by_stem(files: Files, folder: str) -> dict[str, str]:
    """Pictures by their stem, so that captions with and without suffix find them."""
    pickled = f"{folder}/{_PICKLE}".lstrip("/")
    if files.has(pickled):
        return {_stem(name): f"{pickled}/{name}" for name in _load_pickle(files, pickled)}
    return {
        Path(name).stem: name
        for name in files.names(folder)
        if Path(name).suffix.lower() in SUFFIXES
    }


def _stem(name: str) -> str:
    """The name of a picture without the suffix of a picture; it may have other dots."""
    path = Path(name)
    return path.stem if path.suffix.lower() in SUFFIXES else path.name


def _load_pickle(files: Files, name: str) -> dict[str, np.ndarray[Any, Any]]:
    if not isinstance(files, FolderFiles):
        raise InputError(f"'{files}' has pictures in {_PICKLE}: unpack it, and give the folder.")
    return load_array_pickle(files.folder / name)

"""HME100K: photographs of handwritten formulas with `caption.txt`.

Layout: `caption.txt` (picture name, white space, LaTeX tokens) beside either a folder of pictures
or `images.pkl`, a pickled dictionary from name to grey array. Sub-folders `train` and `test`, each
of this form, are the corpus's own splits.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from texlens.data.corpora.base import FileCorpus, Locator, match_captions, require_folder, split_of
from texlens.data.items import Drop
from texlens.data.pictures.ink import array_to_png
from texlens.errors import InputError
from texlens.inputs import read_lines
from texlens.reading.pictures.opening import SUFFIXES
from texlens.records import Kind

_PICKLE = "images.pkl"
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
    """The corpus under `folder`, or one of its splits."""

    name = "hme100k"
    kind: ClassVar[Kind] = "handwritten"

    def locators(self) -> Iterator[Locator | Drop]:
        """(id, file or `images.pkl/` and a key, LaTeX, split)."""
        require_folder(self.folder, "HME100K's folder with caption.txt")
        folders = ("", "train/", "val/", "test/")
        parts = [part for part in folders if (self.folder / part / "caption.txt").is_file()]
        if not parts:
            raise InputError(f"There is no caption.txt in '{self.folder}' or its train and test.")
        for part in parts:
            yield from self._part(part)

    def _part(self, part: str) -> Iterator[Locator | Drop]:
        folder = self.folder / part
        if (folder / _PICKLE).is_file():
            files = {name: f"{_PICKLE}/{name}" for name in load_array_pickle(folder / _PICKLE)}
        else:
            files = _files_by_name(folder)
        lines = [line.split(None, 1) for line in read_lines(folder / "caption.txt")]
        captions = [(name, "".join(latex)) for name, *latex in filter(None, lines)]

        def find(name: str) -> str | None:
            stem = name.rpartition(".")[0]
            return name if name in files else stem if stem in files else None

        def locate(name: str, latex: str) -> Locator | Drop:
            if not latex:
                return Drop(part + name, "read", "has an empty caption")
            return part + name, part + files[name], latex, split_of([part])

        return match_captions(captions, files, find, locate, part)

    def read(self, file: str) -> bytes:
        """A picture file, or an array of the pickle as PNG."""
        archive, found, name = file.partition(f"{_PICKLE}/")
        if not found:
            return super().read(file)
        array = load_array_pickle(self.folder / archive / _PICKLE)[name]
        if array.ndim not in (2, 3) or array.dtype != np.uint8 or array.size == 0:
            raise ValueError(f"an array of shape {array.shape} and type {array.dtype}")
        return array_to_png(array)


def _files_by_name(folder: Path) -> dict[str, str]:
    """Picture files by their stem, so that captions with and without suffix find them."""
    return {
        path.stem: path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    }

"""HME100K: photographs of handwritten formulas with `caption.txt`.

Layout: `caption.txt` (picture name, white space, LaTeX tokens) beside either a folder of pictures
or `images.pkl`, a pickled dictionary from name to grey array. Sub-folders `train` and `test`, each
of this form, are the corpus's own splits.
"""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from texlens.data.corpora.base import Locator, read_caption_lines, require_folder
from texlens.data.corpora.folder import PICTURES
from texlens.data.items import Drop, RawItem, Split
from texlens.data.pictures.ink import encode_png
from texlens.errors import InputError

# All that NumPy's arrays need of a pickle, under the names that old and new versions write.
_ARRAY_GLOBALS = frozenset(
    (module, name)
    for module in ("numpy.core.multiarray", "numpy._core.multiarray")
    for name in ("_reconstruct", "scalar")
) | {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
    ("_codecs", "encode"),
}


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler that can make arrays and plain containers, and nothing that runs code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ARRAY_GLOBALS:
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
    except Exception as error:  # a broken pickle fails in many ways; none is worth telling apart
        raise InputError(f"'{path}' is not a pickle of arrays: {error}.") from error
    if not isinstance(content, dict) or not all(
        isinstance(value, np.ndarray) for value in content.values()
    ):
        raise InputError(f"'{path}' is not a dictionary of arrays.")
    return {str(name): value for name, value in content.items()}


@dataclass(frozen=True)
class Hme100k:
    """The corpus under `folder`, or one of its splits."""

    folder: Path
    name: str = "hme100k"
    sizes: tuple[int, int, int] | None = None

    def locators(self) -> Iterator[Locator | Drop]:
        """(part, picture's name, file or None for the pickle, LaTeX)."""
        require_folder(self.folder, "HME100K's folder with caption.txt")
        parts = [
            p for p in ("", "train", "val", "test") if (self.folder / p / "caption.txt").is_file()
        ]
        if not parts:
            raise InputError(f"There is no caption.txt in '{self.folder}' or its train and test.")
        for part in parts:
            yield from self._part(part)

    def _part(self, part: str) -> Iterator[Locator | Drop]:
        folder = self.folder / part
        pickled = folder / "images.pkl"
        files = {} if pickled.is_file() else _files_by_name(folder)
        names = set(load_array_pickle(pickled)) if pickled.is_file() else set(files)
        rows = [
            line.split(None, 1)
            for line in read_caption_lines(folder / "caption.txt")
            if line.strip()
        ]
        times = Counter(row[0] for row in rows)
        prefix = f"{part}/" if part else ""
        for row in rows:
            name = row[0]
            known = name if name in names else name.rpartition(".")[0]
            if times[name] > 1:
                yield Drop(prefix + name, "read", "has several captions")
            elif known not in names:
                yield Drop(prefix + name, "read", "is a caption without a picture")
            elif len(row) < 2:
                yield Drop(prefix + name, "read", "has an empty caption")
            else:
                yield (part, known, files.get(known), row[1])
            names.discard(known)
        for name in sorted(names - {row[0] for row in rows}):
            if not name.startswith(".") and name.rpartition(".")[0] not in times:
                yield Drop(prefix + name, "read", "has no caption")

    def load(self, locators: Sequence[Locator]) -> Iterator[RawItem | Drop]:
        """Read the files, or take the arrays out of the pickle."""
        for part, name, file, latex in locators:
            label = f"{part}/{name}" if part else name
            try:
                if file is None:
                    array = load_array_pickle(self.folder / part / "images.pkl")[name]
                    image = _encode(array)
                else:
                    image = (self.folder / part / file).read_bytes()
            except (OSError, ValueError) as error:
                yield Drop(label, "read", f"its picture cannot be read: {error}")
            else:
                yield RawItem(label, image, latex, "handwritten", self.name, _SPLITS.get(part))


_SPLITS: dict[str, Split] = {"train": "train", "val": "validation", "test": "test"}


def _files_by_name(folder: Path) -> dict[str, str]:
    """Picture files by their stem, so that captions with and without suffix find them."""
    return {
        path.stem: path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in PICTURES
    }


def _encode(array: np.ndarray[Any, Any]) -> bytes:
    if array.ndim not in (2, 3) or array.dtype != np.uint8 or array.size == 0:
        raise ValueError(f"an array of shape {array.shape} and type {array.dtype} is no picture")
    return encode_png(array)

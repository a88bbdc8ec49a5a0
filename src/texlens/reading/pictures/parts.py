"""The connected parts of a picture: strokes, dots, letters, specks.

Parts are found over runs of ink in the rows, not over pixels: a few array operations for a page.
They are in the order of their first pixels, from the top and from the left, as scipy's `label` has
them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a picture. The first four arrays have a value for each run of ink.

    Attributes:
        rows: where the run is.
        starts: its first column.
        stops: the column after its last.
        part_of: the number of its part, from 0.
        count: of the parts.
    """

    rows: Integers
    starts: Integers
    stops: Integers
    part_of: Integers
    count: int

    def sizes(self, most: int) -> tuple[Integers, Integers]:
        """Heights and widths of the parts in pixels, of the first `most`."""
        count = min(self.count, most)
        of_first = np.flatnonzero(self.part_of < count)
        order = of_first[np.argsort(self.part_of[of_first], kind="stable")]
        first = np.searchsorted(self.part_of[order], np.arange(count))
        if not count:
            return first, first
        rows, starts, stops = (array[order] for array in (self.rows, self.starts, self.stops))
        heights = np.maximum.reduceat(rows, first) - rows[first] + 1  # runs are in order of rows
        widths = np.maximum.reduceat(stops, first) - np.minimum.reduceat(starts, first)
        return heights, widths

    def areas(self) -> Integers:
        """The number of pixels of each part."""
        lengths = self.stops - self.starts
        return np.bincount(self.part_of, weights=lengths, minlength=self.count).astype(np.intp)

    def mask(self, chosen: Mask, shape: tuple[int, int]) -> Mask:
        """The pixels of the chosen parts (one value a part) in a picture of this shape."""
        height, width = shape
        runs = chosen[self.part_of]
        ends = np.zeros(height * (width + 1) + 1, dtype=np.int8)
        line = self.rows[runs] * (width + 1)
        ends[line + self.starts[runs]] = 1
        ends[line + self.stops[runs]] = -1
        return np.cumsum(ends[:-1], dtype=np.int8).reshape(height, width + 1)[:, :width] > 0


def connected_parts(ink: Mask) -> Parts:
    """The parts of a picture (height, width) whose pixels touch at a side or a corner."""
    height, width = ink.shape
    step = width + 2  # between two rows: a run never touches one of its own row
    edges = np.zeros((height, step), dtype=np.int8)
    edges[:, 1:-1] = ink
    changes = np.flatnonzero(np.diff(edges.ravel()))
    starts, stops = changes[::2], changes[1::2]  # places in one line of all rows
    first = np.searchsorted(stops, starts + step)  # the runs in the row below that touch each run
    counts = np.searchsorted(starts, stops + step, side="right") - first
    above = np.repeat(np.arange(len(starts)), counts)
    below = np.arange(len(above)) + np.repeat(first - np.cumsum(counts) + counts, counts)
    roots, part_of = np.unique(_smallest_linked(len(starts), above, below), return_inverse=True)
    return Parts(
        rows=starts // step,
        starts=starts % step,
        stops=stops % step,
        part_of=part_of.astype(np.intp),
        count=len(roots),
    )


def _smallest_linked(count: int, one: Integers, other: Integers) -> Integers:
    """For each of `count` things the smallest that links connect it with; the links are pairs."""
    root = np.arange(count)
    while True:
        one, other = root[one], root[other]
        apart = one != other
        if not apart.any():
            return root
        one, other = one[apart], other[apart]
        np.minimum.at(root, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(root, further := root[root]):
            root = further

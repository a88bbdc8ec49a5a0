"""Where the tokens of a prompt stand, as Qwen2.5-VL counts (arXiv:2409.12191), and how batches split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]


def prompt_positions(before: int, rows: int, columns: int, after: int) -> Integers:
    """Positions (3, length) of a prompt: text, a picture's rows x columns visual tokens, text.

    A text token's position is the same in all three axes (time, height, width); a picture's tokens
    stand at the row and column of their grid, and what follows begins after the longer side.
    """
    grid = np.indices((1, rows, columns)).reshape(3, -1)
    first = np.broadcast_to(np.arange(before), (3, before))
    last = np.broadcast_to(np.arange(after) + before + max(rows, columns), (3, after))
    return np.concatenate([first, grid + before, last], axis=1)


def patch_places(rows: int, columns: int, merge: int) -> Integers:
    """Row and column (rows * columns, 2) of a picture's patches, in squares of merge x merge."""
    grid = np.indices((rows, columns)).reshape(2, rows // merge, merge, columns // merge, merge)
    return grid.transpose(1, 3, 2, 4, 0).reshape(-1, 2)


def rotary_axes(sections: Sequence[int]) -> list[int]:
    """Which axis (time, height, width) turns each frequency of the rotary embedding."""
    return [index % 3 for index, size in enumerate(sections) for _ in range(size)]


def _padded_size(lengths: Sequence[int]) -> int:
    """The number of tokens when all are padded to the longest."""
    return max(lengths) * len(lengths)


def parts(
    lengths: Sequence[int], limit: int, size: Callable[[Sequence[int]], int] = _padded_size
) -> Iterator[slice]:
    """Runs of neighbours, as many as it takes for a `size` of at least `limit`."""
    first = 0
    for stop in range(1, len(lengths) + 1):
        if stop == len(lengths) or size(lengths[first:stop]) >= limit:
            yield slice(first, stop)
            first = stop

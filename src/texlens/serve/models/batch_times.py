"""How long a batch takes: a fixed part, and a part for each picture."""

from __future__ import annotations

_MEMORY = 0.98  # the weight of what was measured before, at each new batch
_FIRST_GUESS = 0.05  # seconds for a picture


class BatchTimes:
    """A running linear fit of the seconds of batches to the number of their pictures."""

    def __init__(self) -> None:
        self._weight = self._n = self._t = self._nn = self._nt = 0.0
        self.per_picture = _FIRST_GUESS
        """The mean seconds of a picture in recent batches."""

    def add(self, pictures: int, seconds: float) -> None:
        """Record a batch."""
        self._weight = _MEMORY * self._weight + 1
        self._n = _MEMORY * self._n + pictures
        self._t = _MEMORY * self._t + seconds
        self._nn = _MEMORY * self._nn + pictures**2
        self._nt = _MEMORY * self._nt + pictures * seconds
        self.per_picture += 0.2 * (seconds / pictures - self.per_picture)

    def pictures_in_short(self) -> int:
        """How many pictures a batch may have that takes at most half as long again as one picture.

        On a CPU about one; on a GPU, where a batch takes hardly longer than one picture, many.
        """
        variance = self._weight * self._nn - self._n**2
        if self._weight == 0 or variance <= 1e-9 * self._nn:
            return 1  # batches of one size tell nothing
        slope = (self._weight * self._nt - self._n * self._t) / variance
        mean_n, mean_t = self._n / self._weight, self._t / self._weight
        slope = min(max(slope, 1e-6), mean_t / mean_n)  # neither part is negative
        fixed = mean_t - slope * mean_n
        return int(1.5 + 0.5 * fixed / slope)

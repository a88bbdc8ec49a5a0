"""CDM's matching: which tokens of two drawings are the same.

Tokens are assigned one to one at least cost (token, position, order), then RANSAC keeps those whose
places fit one transform between the pictures. RANSAC uses the same random samples as scikit-image
0.20 with seed 42, which the official code calls, so that results agree; here all trials of a round
are computed at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from texlens.metrics.cdm.tokens import same_token

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Integers = NDArray[np.intp]

TOKEN_COST: Final = 1.0
SAME_TOKEN_COST: Final = 0.005  # tokens that differ but are equal after the token map
POSITION_WEIGHT: Final = 0.05
ORDER_WEIGHT: Final = 0.15

ROUNDS: Final = 5
TRIALS: Final = 50
SAMPLE: Final = 2
MAX_RESIDUAL_PX: Final = 20.0
CROP_PADDING_PX: Final = 8  # around the ink of a picture
SEED: Final = 42
_EPSILON: Final = float(np.spacing(1))


@dataclass(frozen=True, slots=True)
class Inked:
    """The tokens of a drawing that left ink, in order of the tokens.

    `numbers` are their places among all tokens of the formula that have a colour. `boxes` has shape
    (tokens, 4): left, top, right, bottom in pixels of 1/200 inch at 12 points;
    `width` and `height` are those of the picture, in the same pixels.
    """

    tokens: tuple[str, ...]
    numbers: tuple[int, ...]
    boxes: Floats
    width: float
    height: float

    @classmethod
    def of(
        cls, tokens: Sequence[str], numbers: Integers, corners: Floats, width: float, height: float
    ) -> Inked | None:
        """The extents of inked parts; None where no part belongs to a token.

        Args:
            tokens: all tokens of the formula that have a colour.
            numbers: for each part the place of its token, shape (parts,); other numbers are ignored.
            corners: left, top, right, bottom of each part, shape (parts, 4).
            width: of the picture.
            height: of the picture.
        """
        known = (numbers >= 0) & (numbers < len(tokens))
        order = np.argsort(numbers[known], kind="stable")
        numbers, corners = numbers[known][order], corners[known][order]
        starts = np.flatnonzero(np.diff(numbers, prepend=-1))
        if not len(starts):
            return None
        lows = np.minimum.reduceat(corners[:, :2], starts)
        highs = np.maximum.reduceat(corners[:, 2:], starts)
        inked = tuple(numbers[starts].tolist())
        boxes = np.hstack([lows, highs])
        return cls(tuple(tokens[number] for number in inked), inked, boxes, width, height)


@dataclass(frozen=True, slots=True)
class Matching:
    """Pairs of indices of matched tokens, and the numbers of tokens of both formulas."""

    partners: tuple[tuple[int, int], ...]
    n_gt: int
    n_pred: int

    @property
    def f1(self) -> float:
        """F1, rounded to three places as in the official code."""
        return round(2 * len(self.partners) / (self.n_gt + self.n_pred), 3)


def match(gt: Inked, pred: Inked) -> Matching:
    """Match two drawings that each have at least one token."""
    rows, columns, token_cost = assign(gt, pred)
    kept = consistent(_centres(gt.boxes)[rows], _centres(pred.boxes)[columns])
    kept &= token_cost[rows, columns] != TOKEN_COST
    partners = zip(rows[kept].tolist(), columns[kept].tolist(), strict=True)
    return Matching(tuple(partners), len(gt.tokens), len(pred.tokens))


def assign(gt: Inked, pred: Inked) -> tuple[Integers, Integers, Floats]:
    """The cheapest one-to-one assignment: rows, columns, and the token costs (n_gt, n_pred)."""
    from scipy.optimize import linear_sum_assignment

    token_cost = _token_cost(gt.tokens, pred.tokens)
    # The official order of operations: costs may tie, and then the last bit decides.
    cost = _distance(*(inked.boxes.T / _sides(inked) for inked in (gt, pred)))
    cost /= 4
    cost *= POSITION_WEIGHT
    cost += token_cost
    longest = max(len(gt.tokens), len(pred.tokens))
    order = _distance(*(np.arange(len(inked.tokens))[None] / longest for inked in (gt, pred)))
    order *= ORDER_WEIGHT
    cost += order
    rows, columns = linear_sum_assignment(cost)
    return rows, columns, token_cost


def _token_cost(gt: Sequence[str], pred: Sequence[str]) -> Floats:
    numbers: dict[str, int] = {}
    gt_ids = np.array([numbers.setdefault(token, len(numbers)) for token in gt])
    pred_ids = np.array([numbers.setdefault(token, len(numbers)) for token in pred])
    classes: dict[str, int] = {}
    to_class = np.array([classes.setdefault(same_token(token), len(classes)) for token in numbers])
    same = to_class[gt_ids][:, None] == to_class[pred_ids]
    equal = gt_ids[:, None] == pred_ids
    cost: Floats = np.where(equal, 0.0, np.where(same, SAME_TOKEN_COST, TOKEN_COST))
    return cost


def _sides(inked: Inked) -> Floats:
    """The divisors of the four coordinates of a box, as a column."""
    return np.array([[inked.width], [inked.height], [inked.width], [inked.height]])


def _distance(gt: Floats, pred: Floats) -> Floats:
    """L1 distances (n, m) of features in rows (k, n) and (k, m), summed one feature at a time."""
    total = np.zeros((gt.shape[1], pred.shape[1]))
    term = np.empty_like(total)
    for a, b in zip(gt, pred, strict=True):
        total += np.abs(np.subtract.outer(a, b, out=term), out=term)
    return total


def _centres(boxes: Floats) -> Floats:
    """Centres (y, x) of boxes, shape (n, 2)."""
    centres: Floats = (boxes[:, 1::-1] + boxes[:, 3:1:-1]) / 2
    return centres


def consistent(gt: Floats, pred: Floats) -> Bools:
    """Which of n matched points, each (n, 2), fit one of `ROUNDS` transforms, shape (n,).

    With two points or fewer, all. Points found in one round are left out of the next.
    """
    n = len(gt)
    if n <= SAMPLE:
        return np.ones(n, dtype=bool)
    kept = np.zeros(n, dtype=bool)
    left = np.arange(n)
    for _ in range(ROUNDS):
        if len(left) <= SAMPLE:
            break
        found = ransac(gt[left], pred[left])
        if not found.any():
            break
        kept[left[found]] = True
        left = left[~found]
    return kept


def ransac(gt: Floats, pred: Floats) -> Bools:
    """The largest set of points that fits a scaling and translation given by two of them.

    A trial takes two points, their mean shift, and the ratio of their mean distances from their
    centres; its transform turns about the mean of *all* points. Of equal sets the one with the
    smaller sum of squared residuals over all points wins. Trials end early by the rule of
    scikit-image 0.20 (at a stop probability of 1, which rounding keeps finite).
    """
    n = len(gt)
    centre = gt.mean(axis=0)
    best: Bools = np.zeros(n, dtype=bool)
    best_count, best_sum = 0, math.inf
    last: float = TRIALS
    trial = 0
    # Most pictures fit at once: the first trial runs alone, and the rest only if needed.
    for first, end in ((0, 1), (1, TRIALS)):
        if trial >= last:
            break
        sample = _samples(n)[first:end]  # (trials, 2)
        a, b = gt[sample], pred[sample]  # (trials, 2, 2)
        a_centre, b_centre = a.mean(axis=1), b.mean(axis=1)
        a_spread = np.sqrt(((a - a_centre[:, None]) ** 2).sum(axis=2)).mean(axis=1)
        b_spread = np.sqrt(((b - b_centre[:, None]) ** 2).sum(axis=2)).mean(axis=1)
        scale = b_spread / (a_spread + 1e-10)
        moved = scale[:, None, None] * (gt - centre) + centre + (b_centre - a_centre)[:, None]
        squares = ((moved - pred) ** 2).sum(axis=2)  # (trials, n)
        residuals = np.sqrt(squares)
        inliers = residuals < MAX_RESIDUAL_PX
        counts = inliers.sum(axis=1).tolist()
        sums = (residuals * residuals).sum(axis=1).tolist()
        for i, (count, total) in enumerate(zip(counts, sums, strict=True)):
            if trial >= last:
                break
            trial += 1
            if count > best_count or (count == best_count and total < best_sum):
                best, best_count, best_sum = inliers[i], count, total
                last = min(last, _trials_needed(count / n))
                if total <= 0:
                    return best
    return best


def _trials_needed(share: float) -> float:
    """How many trials find a sample without outliers almost surely, when `share` are inliers."""
    if share == 0:
        return math.inf
    return math.ceil(math.log(_EPSILON) / math.log(max(_EPSILON, 1 - share**SAMPLE)))


@lru_cache(maxsize=2048)
def _samples(n: int) -> Integers:
    """The pairs of points that scikit-image 0.20 draws with seed 42, shape (TRIALS, SAMPLE)."""
    random = np.random.default_rng(SEED)
    return np.array([random.choice(n, SAMPLE, replace=False) for _ in range(TRIALS)])

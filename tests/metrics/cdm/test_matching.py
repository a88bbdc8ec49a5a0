"""Matching and RANSAC: the same answers as the official code's libraries give."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from texlens.metrics.cdm import matching as cdm_match
from texlens.metrics.cdm.matching import Floats, Inked, match, ransac
from texlens.metrics.cdm.tokens import same_token


def points(seed: int, n: int, moved: int) -> tuple[Floats, Floats]:
    """Points on a page and the same ones shifted, jittered, and `moved` of them far away."""
    random = np.random.default_rng(seed)
    gt = random.integers(0, [120, 900], (n, 2)) / 2
    pred = gt + random.integers(-30, 31, (n, 2)) / 2 + [3, -7]
    pred[:moved] += random.choice([-45, 30, 60], (moved, 2))
    return gt, pred


# Inliers that `skimage.measure.ransac` of scikit-image 0.20.0 found with the official settings.
SCIKIT_IMAGE_0_20 = [
    (1, 3, 1, "011"),
    (2, 4, 2, "0011"),
    (3, 7, 3, "0001111"),
    (4, 12, 6, "000000111111"),
    (5, 20, 4, "00001111111111111111"),
    (6, 35, 20, "00000000000000000000101111111011111"),
    (7, 50, 1, "01111111111111111111111111111111101111111111110111"),
    (8, 60, 40, "000000000000000000000000000000000000000011111110110111011111"),
    (9, 15, 15, "000100000011001"),
    (10, 9, 0, "011111111"),
]


@pytest.mark.parametrize(("seed", "n", "moved", "inliers"), SCIKIT_IMAGE_0_20)
def test_ransac_finds_what_scikit_image_0_20_finds(
    seed: int, n: int, moved: int, inliers: str
) -> None:
    assert "".join("01"[int(kept)] for kept in ransac(*points(seed, n, moved))) == inliers


def inked(tokens: str, boxes: list[tuple[float, float, float, float]]) -> Inked:
    words = tuple(tokens.split())
    return Inked(words, tuple(range(len(words))), np.array(boxes, dtype=float), 200.0, 60.0)


def row(tokens: str, y: float = 20.0) -> Inked:
    """Tokens side by side."""
    words = tokens.split()
    return inked(tokens, [(25.0 * i, y, 25.0 * i + 20, y + 20) for i in range(len(words))])


def test_the_assignment_is_the_cheapest_of_all() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        corners = random.integers(0, 40, (2, 5, 2))
        gt, pred = (
            inked(
                " ".join(random.choice(["a", r"\le", r"\leq"], 5)), [(*c, *(c + 9)) for c in side]
            )
            for side in corners
        )
        rows, columns, tokens = cdm_match.assign(gt, pred)

        def cost(i: int, j: int, gt: Inked = gt, pred: Inked = pred) -> float:
            a, b = gt.tokens[i], pred.tokens[j]
            token = 0.0 if a == b else 0.005 if same_token(a) == same_token(b) else 1.0
            box = np.abs(gt.boxes[i] - pred.boxes[j]) / [200, 60, 200, 60]
            return float(token + 0.05 * box.mean() + 0.15 * abs(i - j) / 5)

        found = sum(cost(i, j) for i, j in zip(rows, columns, strict=True))
        best = min(sum(map(cost, range(5), order)) for order in itertools.permutations(range(5)))
        assert found == pytest.approx(best)
        assert tokens[0, 0] in (0.0, 0.005, 1.0)


def test_f1_counts_matched_tokens_of_both_sides() -> None:
    assert match(row("a + b = c"), row("a + b = c")).f1 == 1
    assert match(row("a + b = c"), row("a + b = d")).f1 == 0.8
    assert match(row("a + b"), row("a + b = d")).f1 == 0.75
    assert match(row("a"), row("b")).f1 == 0


def test_few_matches_are_never_checked_for_their_place() -> None:
    low, high = row("x 2"), row("x 2", y=0)
    assert match(low, high).f1 == 1


def test_a_token_in_another_place_does_not_match() -> None:
    gt, pred = row("a + b = c d e f"), row("a + b = c d e f")
    pred.boxes[4] += [0, 200, 0, 200]
    found = match(gt, pred)
    assert found.f1 == 0.875
    assert (4, 4) not in found.partners


def test_synonyms_match_and_count_fully() -> None:
    assert match(row(r"a \leq b"), row(r"a \le b")).f1 == 1

"""Batches: one canvas each, lengths within the limit, sources by their shares."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from texlens.data.pictures.shards import read_shard
from texlens.model.tokenizer import build_tokenizer
from texlens.train.pretrain.batches import Batches
from texlens.train.pretrain.encoding import FormulaEncoder


def batches_of(shards: Path, shares: list[float], **settings: float) -> Batches:
    parts = [read_shard(path) for path in sorted(shards.glob("*.npz"))]
    encoder = FormulaEncoder(
        build_tokenizer([f for part in parts for f in part.formulas], min_count=1)
    )
    limits = {"max_tokens": 60, "max_visual_tokens": 800, "patches_per_batch": 2048} | settings
    batches = Batches(
        shares=shares, pixels_per_em=13.84, token_pixels=16, patches_per_token=4, seed=5, **limits
    )
    for source, part in zip(range(len(shares)), parts, strict=False):
        batches.add(encoder.encode(part), source)
    return batches


def test_a_batch_has_one_canvas_that_holds_its_pictures(shards: Path) -> None:
    batches = batches_of(shards, [1.0, 1.0])
    parts = [read_shard(path) for path in sorted(shards.glob("*.npz"))[:2]]
    scale = 13.84 / np.concatenate([part.pixels_per_em for part in parts])
    heights = np.concatenate([part.heights for part in parts]) * scale
    widths = np.concatenate([part.widths for part in parts]) * scale
    for _ in range(20):
        batch = batches.next(60)
        assert (heights[batch.chosen] <= 16 * batch.rows).all()
        assert (widths[batch.chosen] <= 16 * batch.columns).all()
        lengths = (batch.tokens >= 0).sum(axis=1)
        assert (lengths == batches.lengths[batch.chosen]).all()
        assert batch.tokens.shape[1] % 16 == 0


def test_lengths_grow_with_the_limit(shards: Path) -> None:
    batches = batches_of(shards, [1.0, 1.0, 1.0])
    shortest = int(np.sort(np.concatenate(batches._lengths))[20])
    for limit in (shortest, 60):
        longest = max(int((batches.next(limit).tokens >= 0).sum(axis=1).max()) for _ in range(30))
        assert longest <= limit
    assert longest > shortest


def test_sources_are_drawn_by_their_shares(shards: Path) -> None:
    batches = batches_of(shards, [3.0, 1.0])
    drawn = np.concatenate([batches.next(60).chosen for _ in range(400)])
    assert abs(float(np.mean(drawn < 40)) - 0.75) < 0.08


def test_hard_pictures_are_drawn_more_often(shards: Path) -> None:
    batches = batches_of(shards, [1.0], hard_examples=1.0)
    easy = np.arange(0, len(batches), 2)
    batches.note_losses(easy, np.zeros(len(easy), np.float32))
    drawn = np.concatenate([batches.next(60).chosen for _ in range(200)])
    assert 0.3 < float(np.mean(drawn % 2 == 0)) < 0.42
    batches.note_losses(easy, np.full(len(easy), np.nan, np.float32))  # after a gradient of NaN
    assert np.isfinite(batches.losses).all()


def test_pictures_of_a_source_are_drawn_by_their_weights(shards: Path) -> None:
    part = read_shard(sorted(shards.glob("*.npz"))[0])
    encoder = FormulaEncoder(build_tokenizer(part.formulas, min_count=1))
    batches = Batches(
        shares=[1.0], pixels_per_em=13.84, token_pixels=16, patches_per_token=4, seed=5,
        max_tokens=60, max_visual_tokens=800, patches_per_batch=2048,
    )  # fmt: skip
    heavy = np.arange(len(part.formulas)) < len(part.formulas) // 2
    batches.add(encoder.encode(part, np.where(heavy, 3.0, 1.0).astype(np.float32)), 0)
    drawn = np.concatenate([batches.next(60).chosen for _ in range(400)])
    fits = batches._canvas[0] >= 0
    expected = 3 * (heavy & fits).sum() / (3 * (heavy & fits).sum() + (~heavy & fits).sum())
    assert abs(float(np.mean(heavy[drawn])) - expected) < 0.05


def test_what_does_not_fit_is_left_out_and_counted(shards: Path) -> None:
    batches = batches_of(shards, [1.0], max_tokens=10, max_visual_tokens=10)
    assert batches.left_out["too long"] > 0
    assert batches.left_out["too large"] > 0
    drawable = len(batches) - sum(batches.left_out.values())
    batches.next(60)
    assert sum(map(len, batches._groups)) == drawable


def test_the_same_seed_draws_the_same(shards: Path) -> None:
    first, second = (batches_of(shards, [1.0, 2.0]) for _ in range(2))
    for _ in range(10):
        assert (first.next(60).chosen == second.next(60).chosen).all()

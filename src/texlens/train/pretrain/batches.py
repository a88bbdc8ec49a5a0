"""Which pictures make the next batch: all of one canvas size, curriculum in length over the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from texlens.train.pretrain.encoding import Encoded

# Canvas sizes in visual tokens. Few enough that every one is met often, close enough that little
# white is computed.
ROWS = (2, 3, 4, 5, 6, 8, 10, 13, 16)
COLUMNS = (4, 8, 12, 16, 20, 24, 28, 32, 38, 44, 50, 60, 72, 88, 104)
# A picture too large for any canvas is reduced, as a reader reduces it; smaller type is not legible.
REDUCTIONS = (1.0, 0.8, 0.65, 0.5)

_MORE = 1.5  # candidates for each picture of a batch, where hard ones are preferred
_UNKNOWN_LOSS = 0.3  # a token, of a picture that has not been trained on: that of a hard one
_LOSS_FLOOR = 0.02  # a token: pictures that are read without fail still come now and then

_GROWTH = 1.08  # grouping a million pictures takes a while: not for every shard that comes


@dataclass(frozen=True, slots=True)
class Batch:
    """The pictures of one step, by their index in the pool, and their answers.

    `tokens` (batch, longest): the answers, padded on the right with -1.
    """

    chosen: NDArray[np.int64]
    rows: int
    columns: int
    tokens: NDArray[np.int64]

    @property
    def shape(self) -> str:
        """The size of a batch in words: pictures, canvas in visual tokens, tokens of the answers."""
        count, tokens = self.tokens.shape
        return f"{count} of {self.rows} x {self.columns}, {tokens} tokens"


class Batches:
    """Draws batches of pictures of one canvas size, each source by its mixing_ratio.

    Within a source a picture is drawn by its weight.

    A picture's canvas is the smallest that holds it at the training scale. A canvas is chosen in
    proportion to its pictures' weights, divided by how many of them fill a batch, so that it does
    not matter for a picture which canvas it has.

    With `hard_examples` a batch is chosen from half as many pictures again, each kept in proportion to
    that power of its loss when it was last used (`note_losses`).
    """

    def __init__(
        self,
        *,
        shares: Sequence[float],
        pixels_per_em: float,
        token_pixels: int,
        patches_per_token: int,
        patches_per_batch: int,
        max_tokens: int,
        max_visual_tokens: int,
        seed: int,
        hard_examples: float = 0.0,
    ) -> None:
        self.hard_examples = hard_examples
        self.losses = np.zeros(0, np.float32)  # of each picture, a token, when it was last used
        self.shares = np.array(shares, dtype=np.float64)
        self.pixels_per_em = pixels_per_em
        self.token_pixels = token_pixels
        self.visual_tokens_per_batch = patches_per_batch // patches_per_token
        self.max_tokens = max_tokens
        self.max_visual_tokens = max_visual_tokens
        self.random = np.random.default_rng(seed)
        self.left_out = {"too long": 0, "too large": 0}
        self.canvases = [(rows, columns) for rows in ROWS for columns in COLUMNS]
        self._tokens: list[NDArray[np.int32]] = []
        self._starts: list[NDArray[np.int64]] = []
        self._lengths: list[NDArray[np.int64]] = []
        self._sources: list[NDArray[np.int64]] = []
        self._drawn: list[NDArray[np.float32]] = []
        self._canvas: list[NDArray[np.int64]] = []
        self._pictures = 0
        self._stored = 0
        self._limit = -1
        self.grouped = 0  # pictures that batches are chosen from, without those added since
        self.tokens = np.zeros(0, np.int32)
        self.starts = np.zeros(0, np.int64)
        self.lengths = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return self._pictures

    def add(self, encoded: Encoded, source: int) -> None:
        """Count in the pictures of a shard, in the order in which the pool holds them."""
        shard = encoded.shard
        scale = self.pixels_per_em / shard.pixels_per_em
        margin = 2 * 5  # pixels, at the training scale
        canvas = np.full(len(scale), -1)
        for reduced in REDUCTIONS:
            rows = np.ceil((shard.heights * scale * reduced + margin) / self.token_pixels)
            columns = np.ceil((shard.widths * scale * reduced + margin) / self.token_pixels)
            row, column = np.searchsorted(ROWS, rows), np.searchsorted(COLUMNS, columns)
            fits = (row < len(ROWS)) & (column < len(COLUMNS))
            area = np.array((*ROWS, 0))[row] * np.array((*COLUMNS, 0))[column]
            fits &= area <= self.max_visual_tokens
            canvas = np.where((canvas < 0) & fits, row * len(COLUMNS) + column, canvas)
        fits = canvas >= 0
        short = (encoded.lengths <= self.max_tokens) & (encoded.lengths > 0)
        self.left_out["too large"] += int((~fits).sum())
        self.left_out["too long"] += int((fits & ~short).sum())
        canvas = np.where(short, canvas, -1)
        self._tokens.append(encoded.tokens)
        self._starts.append(encoded.starts + self._stored)
        self._lengths.append(encoded.lengths)
        self._sources.append(np.full(len(canvas), source))
        self._drawn.append(encoded.weights)
        self._canvas.append(canvas)
        self._stored += len(encoded.tokens)
        self._pictures += len(canvas)
        unknown = np.full(len(canvas), _UNKNOWN_LOSS, np.float32)
        self.losses = np.concatenate([self.losses, unknown])

    def regroup(self, limit: int, count: int) -> None:
        """Group the first `count` pictures, of at most `limit` tokens, by their canvas."""
        self.tokens = np.concatenate(self._tokens)
        self.starts = np.concatenate(self._starts)
        self.lengths = np.concatenate(self._lengths)
        sources, canvas = np.concatenate(self._sources), np.concatenate(self._canvas)
        drawn = np.concatenate(self._drawn)
        self._tokens, self._starts, self._lengths = [self.tokens], [self.starts], [self.lengths]
        self._sources, self._canvas, self._drawn = [sources], [canvas], [drawn]
        fitting = canvas[:count] >= 0
        use = np.flatnonzero(fitting & (self.lengths[:count] <= limit))
        if not len(use):
            use = np.flatnonzero(fitting)
        totals = np.bincount(sources[use], weights=drawn[use], minlength=len(self.shares))
        weight = (self.shares / np.maximum(totals, 1))[sources[use]] * drawn[use]
        order = np.argsort(canvas[use], kind="stable")
        use, weight = use[order], weight[order]
        present, first = np.unique(canvas[use], return_index=True)
        self._groups = np.split(use, first[1:])
        self._weights = [np.cumsum(part) / part.sum() for part in np.split(weight, first[1:])]
        self._present = present
        of_canvas = np.array([part.sum() for part in np.split(weight, first[1:])])
        chance = of_canvas / np.array([self._batch_size(canvas_id) for canvas_id in present])
        self._chance = chance / chance.sum()
        self._limit, self.grouped = limit, count

    def _batch_size(self, canvas: int) -> int:
        rows, columns = self.canvases[canvas]
        # The text costs too: about as much as 40 visual tokens.
        fitting = self.visual_tokens_per_batch // (rows * columns + 40)
        return int(min(max(fitting // 8 * 8, 8), 1024))

    def next(self, limit: int) -> Batch:
        """Draw a batch of pictures whose answers have at most `limit` tokens."""
        if limit != self._limit or len(self) > _GROWTH * self.grouped:
            self.regroup(limit, len(self))
        index = int(self.random.choice(len(self._present), p=self._chance))
        size = self._batch_size(int(self._present[index]))
        count = round(_MORE * size) if self.hard_examples else size
        picks = np.searchsorted(self._weights[index], self.random.random(count), side="right")
        chosen = self._groups[index][np.minimum(picks, len(self._groups[index]) - 1)]
        if self.hard_examples:
            chosen = self._hardest(chosen, size)
        rows, columns = self.canvases[int(self._present[index])]
        return Batch(chosen, rows, columns, self.answers(chosen))

    def _hardest(self, candidates: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """So many of the candidates, drawn without replacement by a power of their last loss."""
        logits = self.hard_examples * np.log(self.losses[candidates] + _LOSS_FLOOR)
        # The largest of these sums are such a draw (Gumbel's trick).
        order = np.argsort(-(logits + self.random.gumbel(size=len(candidates))), kind="stable")
        return candidates[np.sort(order[:count])]

    def note_losses(self, chosen: NDArray[np.int64], losses: NDArray[np.float32]) -> None:
        """Remember the losses a token of the pictures of a batch."""
        known = np.isfinite(losses)
        self.losses[chosen[known]] = losses[known]

    def answers(self, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """Token ids of pictures, padded on the right with -1 to a multiple of 16."""
        lengths = self.lengths[chosen]
        longest = int(np.ceil(lengths.max() / 16) * 16)
        place = np.arange(longest)[None, :]
        inside = place < lengths[:, None]
        at = np.where(inside, self.starts[chosen][:, None] + place, 0)
        return np.where(inside, self.tokens[at], -1).astype(np.int64)

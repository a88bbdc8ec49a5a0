"""Decoding a batch of pictures with torch, by transformers' `generate`."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from texlens.reading.decoding.generation import (
    GREEDY,
    Completion,
    DecodingConfig,
    GenerationBatch,
)


class Decoder:
    """Decoding with a Qwen2.5-VL, or a PEFT model around one."""

    def __init__(self, model: Any, *, max_new_tokens: int) -> None:
        self.model = model
        self.max_new_tokens = max_new_tokens
        ends = model.generation_config.eos_token_id
        self.end_tokens = tuple(ends) if isinstance(ends, list | tuple) else (ends,)

    @torch.inference_mode()
    def decode(
        self, inputs: dict[str, Tensor], decoding: DecodingConfig = GREEDY
    ) -> list[Completion]:
        """One answer a row of a processor's batch: one picture a row, padded on the left.

        The penalty of 1 keeps the decoding greedy: Qwen2.5-VL's own generation configuration has a
        repetition penalty of 1.05, which formulas suffer from, since they repeat symbols.
        """
        if decoding.by_model:
            return self._decode_by_model(inputs, decoding.seed)
        count = len(inputs["input_ids"])
        batch = GenerationBatch(
            count, decoding, end_tokens=self.end_tokens, max_new_tokens=self.max_new_tokens
        )
        self.model.generate(
            **inputs,
            max_new_tokens=self.max_new_tokens,
            do_sample=False,
            num_beams=1,
            repetition_penalty=1.0,
            logits_processor=[partial(_next_scores, batch, self.end_tokens[0])],
        )
        return batch.completions()

    def _decode_by_model(self, inputs: dict[str, Tensor], seed: int = 0) -> list[Completion]:
        """The same by the model's own generation configuration.

        The log-probabilities are those after its penalties and before its temperature.
        """
        recorder = _Recorder()
        devices = [self.model.device] if self.model.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(seed)
            sequences = self.model.generate(
                **inputs, max_new_tokens=self.max_new_tokens, logits_processor=[recorder]
            )
        logprobs = recorder.logprobs(sequences)
        rows = sequences[:, inputs["input_ids"].shape[1] :].tolist()
        return [self._completion(*row) for row in zip(rows, logprobs, strict=True)]

    def _completion(self, tokens: list[int], logprobs: list[float]) -> Completion:
        """A row of `generate`, up to its end token."""
        ends = [place for place, token in enumerate(tokens) if token in self.end_tokens]
        if ends:
            return Completion(tuple(tokens[: ends[0]]), tuple(logprobs[: ends[0] + 1]))
        return Completion(tuple(tokens), tuple(logprobs), "limit")


def _next_tokens(batch: GenerationBatch, logits: Tensor) -> Tensor:
    """Append the next token of each row, from its logits (rows, vocabulary)."""
    best, likeliest = logits.max(-1)
    total = logits.logsumexp(-1)
    table = cache(lambda: (logits - total[:, None]).cpu().numpy())
    tokens = batch.append(likeliest.tolist(), (best - total).tolist(), lambda row: table()[row])
    return torch.tensor(tokens, device=logits.device)


class _Recorder:
    """A logits processor of the stock `generate` that records the tokens' log-probabilities."""

    def __init__(self) -> None:
        self._last: Tensor | None = None
        self._recorded: list[Tensor] = []

    def __call__(self, ids: Tensor, logits: Tensor) -> Tensor:
        self._record(ids)
        self._last = logits.float().log_softmax(-1)
        return logits

    def _record(self, ids: Tensor) -> None:
        """Record the last token of each row; its probability was computed before it was known."""
        if self._last is not None:
            self._recorded.append(self._last.gather(1, ids[:, -1:]))

    def logprobs(self, sequences: Tensor) -> list[list[float]]:
        """Of every generated token, row by row, after `generate` has returned `sequences`."""
        self._record(sequences)
        values: list[list[float]] = torch.cat(self._recorded, dim=1).tolist()
        return values


def _next_scores(batch: GenerationBatch, end_token: int, _: Tensor, logits: Tensor) -> Tensor:
    """A logits processor of the stock `generate` that leaves it one token a row."""
    was_done = torch.tensor(batch.done, device=logits.device)
    tokens = _next_tokens(batch, logits.float())
    tokens[was_done] = end_token  # an answer that was cut has no end token of its own
    return torch.full_like(logits, float("-inf")).scatter_(1, tokens[:, None], 0.0)

"""A small model in onnxruntime: reading without torch and transformers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from PIL import Image

from texlens.errors import InputError
from texlens.model.prompt_config import PromptConfig, load_prompt_config, prompt_for
from texlens.model.small_tokenizer import SmallTokenizer
from texlens.reading.backends.base import GRAPHS, graph_file, graphs_of
from texlens.reading.backends.onnx_graphs import (
    Floats,
    Text,
    Vision,
    Weights,
    in_int8,
    load_weights,
)
from texlens.reading.backends.onnx_pictures import PatchMaker
from texlens.reading.decoding.generation import (
    GREEDY,
    Completion,
    DecodingConfig,
    GenerationBatch,
    generate,
)
from texlens.reading.decoding.positions import Integers, prompt_positions
from texlens.reading.pictures.framing import frame_for
from texlens.runs import read_json

_BATCH_SIZE = 64


class OnnxBackend:
    """The model of a folder, if there are graphs for it, on the CPU in float32 or int8.

    `decode` computes in the thread that calls it. As many threads as there are cores may, or as
    OMP_NUM_THREADS asks for. In int8 an answer can depend a little on the pictures beside it in a batch.

    Raises InputError when the folder holds no such model.
    """

    def __init__(
        self,
        folder: Path,
        *,
        int8: bool = False,
        max_new_tokens: int | None = None,
        prompt: PromptConfig | str | Path | None = None,
    ) -> None:
        graphs = graphs_of(folder, int8=int8)
        if graphs is None:
            raise InputError(
                f"'{folder}' holds no graphs for onnxruntime: run  pip install 'texlens[model]'  "
                "and read with torch."
            )
        config = read_json(folder / "config.json")
        own = load_prompt_config(folder) or PromptConfig(base=str(folder))
        self.prompt_config = prompt_for(prompt, own)
        self.folder: Path | None = folder
        self.batch_size = _BATCH_SIZE
        self.concurrency = _threads()
        self.max_new_tokens = max_new_tokens or self.prompt_config.max_new_tokens
        self.end_tokens = _end_tokens(folder)
        self.generation_config: dict[str, Any] = {}  # small models have none but greedy decoding
        self._pictures = PatchMaker.load(
            folder, self.prompt_config.min_pixels, self.prompt_config.max_pixels
        )
        self.frame = frame_for(self.prompt_config, self._pictures)
        self.prompt = _prompt(folder, self.prompt_config)
        self._tokenizer = SmallTokenizer.from_folder(folder)
        self.vocabulary = self._tokenizer.size
        ids = np.array(self._tokenizer.encode(self.prompt))
        place = int(np.flatnonzero(ids == config["image_token_id"])[0])
        self._before, self._after = ids[:place], ids[place + 1 :]
        self._weights: Weights = load_weights(folder)
        if int8:
            self._weights = in_int8(self._weights)
        vision, decoder = (graphs / graph_file(graph, int8=int8) for graph in GRAPHS)
        self._vision = Vision(vision, config, self._weights)
        self._text = Text(decoder, config, self._weights)

    @property
    def fingerprint(self) -> str:
        """A hash over a sample of every tensor of the model."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self._weights.items()):
            digest.update(f"{name} {tensor.shape}".encode())
            digest.update(tensor.ravel()[:: max(1, tensor.size // 4096)].tobytes())
        return digest.hexdigest()

    def text(self, tokens: Sequence[int]) -> str:
        """The text of tokens, without special ones."""
        return self._tokenizer.decode(tokens)

    def decode(
        self, pictures: Sequence[Image.Image], decoding: DecodingConfig = GREEDY
    ) -> list[Completion]:
        """The answer to each picture (mode RGB)."""
        states, positions = self._prompts(pictures)
        logits, cache = self._text.read_prompts(states, positions)
        batch = GenerationBatch(
            len(states), decoding, end_tokens=self.end_tokens, max_new_tokens=self.max_new_tokens
        )
        first = np.array([places.max() + 1 for places in positions])
        answers = generate(
            batch, logits, cache, first, next_tokens=_next_tokens, step=self._text.step
        )
        return [
            replace(answer, prompt_tokens=len(state))
            for answer, state in zip(answers, states, strict=True)
        ]

    def _prompts(self, pictures: Sequence[Image.Image]) -> tuple[list[Floats], list[Integers]]:
        """Each picture's prompt, embedded (length, width), and its positions (3, length)."""
        different = {id(picture): picture for picture in pictures}  # one may have many scripts
        cut = dict(zip(different, map(self._pictures.cut, different.values()), strict=True))
        seen = dict(zip(cut, self._vision.encode(list(cut.values())), strict=True))
        grids = [cut[id(picture)] for picture in pictures]
        merge = self._vision.merge
        before, after = (self._text.embedding[ids] for ids in (self._before, self._after))
        states = [np.concatenate([before, seen[id(picture)], after]) for picture in pictures]
        positions = [
            prompt_positions(len(before), grid.rows // merge, grid.columns // merge, len(after))
            for grid in grids
        ]
        return states, positions


def _next_tokens(batch: GenerationBatch, logits: Floats) -> Integers:
    """Append the next token of each row, from its logits (rows, vocabulary)."""
    likeliest = logits.argmax(axis=-1)
    highest = logits.max(axis=-1)
    total = np.log(np.exp(logits - highest[:, None]).sum(axis=-1)) + highest
    tokens = batch.append(
        likeliest.tolist(), (highest - total).tolist(), lambda row: logits[row] - total[row]
    )
    return np.array(tokens)


def _threads() -> int:
    """As many as OMP_NUM_THREADS asks for, as torch does; one for each core where it is not set."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return (int(asked) if asked.isdecimal() else 0) or os.cpu_count() or 1


def _end_tokens(folder: Path) -> tuple[int, ...]:
    ends = read_json(folder / "generation_config.json")["eos_token_id"]
    return tuple(ends) if isinstance(ends, list) else (ends,)


def _prompt(folder: Path, prompt_config: PromptConfig) -> str:
    """The conversation in the model's chat template, up to where the answer begins."""
    source = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    # As transformers compiles chat templates.
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, autoescape=False)
    return environment.from_string(source).render(
        messages=prompt_config.messages(), add_generation_prompt=True
    )

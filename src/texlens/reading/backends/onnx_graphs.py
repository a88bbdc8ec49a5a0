"""A small model's two graphs in onnxruntime, fed with the weights of its `model.safetensors`.

`vision.onnx` and `decoder.onnx` (written by `tools/onnx/export_graphs.py`) contain no weights: their
initializers have the names of the checkpoint's tensors, which a session gets when it is created.
Everything is computed in float32, but for the products of `*.int8.onnx`. The decoder reads and writes the cache of keys and values in
place, in numpy arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from safetensors.numpy import load_file

from texlens.errors import InputError
from texlens.reading.decoding.positions import Integers, parts, patch_places, rotary_axes

Floats = npt.NDArray[np.float32]
Weights = Mapping[str, npt.NDArray[Any]]

_TOKENS_AT_A_TIME = 2048  # of prompts
_PATCHES_AT_A_TIME = 2048


def load_weights(folder: Path) -> dict[str, Floats]:
    """The tensors of a checkpoint in float32, matrices of any rank flattened to two dimensions.

    Raises InputError when the file is missing or damaged.
    """
    path = folder / "model.safetensors"
    try:
        tensors = load_file(path)
    except Exception as error:  # safetensors has an exception type of its own for each version
        raise InputError(f"The weights '{path}' cannot be read: {error}.") from error
    return {
        name: np.ascontiguousarray(
            tensor.reshape(len(tensor), -1) if tensor.ndim > 2 else tensor, dtype=np.float32
        )
        for name, tensor in tensors.items()
    }


def in_int8(weights: Mapping[str, Floats]) -> Weights:
    """The weights as the int8 graphs take them.

    The matrix (outputs, inputs) of a linear layer becomes (inputs, outputs) in int8, with `NAME.scale`
    (outputs) beside `NAME.weight`. Embeddings keep their type: the tokens' is the head too.
    """
    quantised: dict[str, npt.NDArray[Any]] = {}
    for name, tensor in weights.items():
        quantised[name] = tensor
        if tensor.ndim == 2 and "embed" not in name:
            highest = np.abs(tensor).max(axis=1)
            scale = np.where(highest > 0, highest, 1).astype(np.float32) / np.float32(127)
            whole = np.rint(tensor / scale[:, None]).astype(np.int8)
            quantised[name] = np.ascontiguousarray(whole.T)
            quantised[name.removesuffix("weight") + "scale"] = scale
    return quantised


def open_graph(path: Path, weights: Weights, prefix: str) -> onnxruntime.InferenceSession:
    """One graph with its weights: the tensors whose names begin with `prefix`.

    onnxruntime keeps pointers to the weights: they must live as long as the session. A call computes
    in the thread of its caller: a small model's operators are too short to be worth sharing, and
    several threads can read a batch each.

    Raises InputError when weights and graph are not of the same shape.
    """
    names = [name for name in weights if name.startswith(prefix)]
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(weights[name]) for name in names]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # shapes change from call to call
    options.intra_op_num_threads = 1
    options.add_external_initializers(names, values)
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # a class of its own for every kind of fault
        raise InputError(
            f"'{path}' does not fit the weights beside it ({' '.join(str(error).split())[:200]}): "
            "write it again with tools/onnx/export_graphs.py."
        ) from error


@dataclass(frozen=True, slots=True)
class Grid:
    """One picture's patches (rows * columns, values), in squares of merge x merge."""

    patches: Floats
    rows: int
    columns: int


class Vision:
    """The vision tower: pictures of any sizes to visual tokens."""

    def __init__(self, graph: Path, config: dict[str, Any], weights: Weights) -> None:
        vision = config["vision_config"]
        self.merge: int = vision["spatial_merge_size"]
        self._session = open_graph(graph, weights, "visual.")
        head_width = vision["hidden_size"] // vision["num_heads"]
        theta = vision.get("rope_parameters", {}).get("rope_theta", 10_000.0)
        self._frequencies = _frequencies(head_width // 2, theta)

    def encode(self, grids: Sequence[Grid]) -> list[Floats]:
        """The visual tokens (rows * columns / merge^2, text width) of each picture."""
        encoded: list[Floats] = []
        for run in _runs(grids):
            length = len(run[0].patches)
            angles = np.concatenate([self._angles(grid.rows, grid.columns) for grid in run])
            (tokens,) = self._session.run(
                ["tokens"],
                {
                    "patches": np.stack([grid.patches for grid in run]),
                    "cos": np.cos(angles),
                    "sin": np.sin(angles),
                    "places": np.arange(len(run) * length).reshape(len(run), length),
                },
            )
            encoded += np.split(tokens, len(run))
        return encoded

    def _angles(self, rows: int, columns: int) -> Floats:
        """Of one picture's patches (rows * columns, head width / 2), in the patches' order."""
        places = patch_places(rows, columns, self.merge)[:, :, None].astype(np.float32)
        return np.asarray((places * self._frequencies).reshape(rows * columns, -1))


def _runs(grids: Sequence[Grid]) -> Iterator[Sequence[Grid]]:
    """Neighbours of equally many patches, as many as one call takes."""
    for length, group in groupby(grids, key=lambda grid: len(grid.patches)):
        run = list(group)
        for part in parts([length] * len(run), _PATCHES_AT_A_TIME, size=sum):
            yield run[part]


class Cache:
    """The keys and values of a batch: per layer (rows, key heads, capacity, head width).

    A row's tokens are at the front; `lengths` (rows) holds their numbers.
    """

    GROWTH = 64

    def __init__(self, layers: int, shape: tuple[int, int, int, int], lengths: Integers) -> None:
        self.arrays = [np.zeros(shape, dtype=np.float32) for _ in range(2 * layers)]
        self.lengths = lengths
        self.step: _Step | None = None

    def keep(self, rows: Sequence[int]) -> None:
        """Drop every row but these."""
        self.arrays = [array[list(rows)] for array in self.arrays]
        self.lengths = self.lengths[list(rows)]
        self.step = None

    def make_room(self) -> None:
        """Have room for one more token in each row."""
        if int(self.lengths.max()) < self.arrays[0].shape[2]:
            return
        more = ((0, 0), (0, 0), (0, self.GROWTH), (0, 0))
        self.arrays = [np.pad(array, more) for array in self.arrays]
        self.step = None


class Text:
    """The language model: prompts in, then one token a row at a time."""

    def __init__(self, graph: Path, config: dict[str, Any], weights: Weights) -> None:
        text = config["text_config"]
        self.embedding: Floats = weights["model.embed_tokens.weight"]
        self._session = open_graph(graph, weights, "model.")
        self._layers: int = text["num_hidden_layers"]
        self._key_heads: int = text["num_key_value_heads"]
        self._head_width: int = text["hidden_size"] // text["num_attention_heads"]
        rope = text["rope_parameters"]
        self._frequencies = _frequencies(self._head_width, rope["rope_theta"])
        self._axes = rotary_axes(rope["mrope_section"])

    def read_prompts(
        self, states: Sequence[Floats], positions: Sequence[Integers]
    ) -> tuple[Floats, Cache]:
        """Logits (rows, vocabulary) after each prompt, and the cache for going on.

        `states` are the embedded prompts (length, width), `positions` theirs (3, length). Prompts
        of like length should stand together: they are computed in parts, each padded to its longest.
        """
        lengths = np.array([len(state) for state in states], dtype=np.int64)
        shape = (len(states), self._key_heads, int(lengths.max()) + Cache.GROWTH, self._head_width)
        cache = Cache(self._layers, shape, lengths)
        logits = np.empty((len(states), len(self.embedding)), dtype=np.float32)
        for rows in parts(lengths.tolist(), _TOKENS_AT_A_TIME):
            longest = int(lengths[rows].max())
            step = _Step(self, [array[rows] for array in cache.arrays], longest, logits[rows])
            for row, (state, position) in enumerate(
                zip(states[rows], positions[rows], strict=True)
            ):
                step.states[row, : len(state)] = state
                step.turn(row, position)
            step.run(lengths[rows], lengths[rows])
        return logits, cache

    def step(self, tokens: Sequence[int] | Integers, positions: Integers, cache: Cache) -> Floats:
        """Logits (rows, vocabulary) after one more token in each row, at these positions (rows).

        The array is overwritten by the next step.
        """
        cache.make_room()
        if cache.step is None:
            logits = np.empty((len(tokens), len(self.embedding)), dtype=np.float32)
            cache.step = _Step(self, cache.arrays, 1, logits)
        step = cache.step
        step.states[:, 0] = self.embedding[list(tokens)]
        step.turn(0, np.broadcast_to(positions, (3, len(positions))))
        cache.lengths += 1
        step.run(np.ones_like(cache.lengths), cache.lengths)
        return step.logits

    def angles(self, positions: Integers) -> Floats:
        """Of positions (3, n): (n, head width / 2)."""
        return np.asarray(positions[self._axes].T.astype(np.float32) * self._frequencies)


class _Step:
    """Calls of the decoder of one shape (rows, n), whose arrays are bound to it once."""

    def __init__(self, text: Text, cache: Sequence[Floats], n: int, logits: Floats) -> None:
        rows, half = len(logits), text._head_width // 2
        self._text, self.logits, self._n = text, logits, n
        self.states = np.zeros((rows, n, text.embedding.shape[1]), dtype=np.float32)
        self._cos = np.ones((rows * n, half), dtype=np.float32)
        self._sin = np.zeros((rows * n, half), dtype=np.float32)
        self._last = np.zeros(rows, dtype=np.int64)
        self._lengths = np.zeros(rows, dtype=np.int32)
        self._longest = np.zeros(1, dtype=np.int32)
        self._places = np.arange(rows * n, dtype=np.int64).reshape(rows, n)
        self._cache = list(cache)
        self._binding = text._session.io_binding()
        for name, array in (
            ("states", self.states), ("cos", self._cos), ("sin", self._sin),
            ("places", self._places), ("last", self._last), ("lengths", self._lengths),
            ("longest", self._longest),
        ):  # fmt: skip
            self._binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        self._binding.bind_output("logits", "cpu", 0, np.float32, logits.shape, logits.ctypes.data)
        for place, array in enumerate(self._cache):
            name = f"{'key' if place % 2 == 0 else 'value'}_{place // 2}"
            where = ("cpu", 0, np.float32, array.shape, array.ctypes.data)
            self._binding.bind_input(name, *where)
            self._binding.bind_output(f"new_{name}", *where)

    def turn(self, row: int, positions: Integers) -> None:
        """Set the positions (3, tokens) of the tokens from this row's first on."""
        angles = self._text.angles(positions)
        start = row * self._n
        self._cos[start : start + len(angles)] = np.cos(angles)
        self._sin[start : start + len(angles)] = np.sin(angles)

    def run(self, new: Integers, lengths: Integers) -> None:
        """Fill `logits`; each row has `new` new tokens, and `lengths` with those in the cache."""
        self._last[:] = np.arange(len(new)) * self._n + new - 1
        self._lengths[:] = lengths - 1
        self._longest[0] = lengths.max()
        self._text._session.run_with_iobinding(self._binding)


def _frequencies(width: int, theta: float) -> Floats:
    """The rotary embedding's frequencies for heads of this width, in radians a position."""
    exponents = np.arange(0, width, 2, dtype=np.float32) / np.float32(width)
    return np.asarray(1.0 / np.float32(theta) ** exponents, dtype=np.float32)

"""Write the graphs by which onnxruntime runs a small model, without its weights.

    python tools/onnx/export_graphs.py src/texlens/assets/small

Reads the folder's `config.json` and writes `vision.onnx` and `decoder.onnx` beside it, and both again as
`*.int8.onnx`, each some tens of kilobytes. Their initializers carry the names and shapes of the tensors in `model.safetensors` (the
patch embedding flattened to two dimensions) and no data: `texlens.reading.backends.onnx_graphs` hands
onnxruntime the weights of that one file, so that they are shipped once and the graphs hold for
every set of weights of the same shape.

In the int8 graphs the layers' matrices have 8 bits with a scale for each output, and their inputs get 8
bits with one scale for all rows of a call. The patch embedding and the head stay in float32.

The mathematics is that of transformers' Qwen2.5-VL with full attention. Attention with its cache,
rotary embedding and the norms are onnxruntime's own operators (domain `com.microsoft`).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper
from texlens.reading.backends.base import graph_file

MICROSOFT = "com.microsoft"
_OPSET = 20
_IR = 9  # read by onnxruntime since 1.17

Shape = list[int | str]


class Graph:
    """Nodes and weights as they are added; every tensor is known by its name."""

    def __init__(self, *, int8: bool) -> None:
        self.int8 = int8
        self.nodes: list[NodeProto] = []
        self.weights: dict[str, TensorProto] = {}

    def add(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """A node; returns the name of its output, or a list of names."""
        domain = attributes.pop("domain", "")
        names = [f"{kind}_{len(self.nodes)}_{place}" for place in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def weight(self, name: str, *shape: int, kind: int = TensorProto.FLOAT) -> str:
        """A tensor of the checkpoint, named and shaped, its data to be given at loading."""
        tensor = TensorProto(name=name, data_type=kind, dims=shape)
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="model.safetensors")
        self.weights[name] = tensor
        return name

    def integers(self, *values: int) -> str:
        """A constant vector."""
        return self.add("Constant", value_ints=list(values))

    def linear(self, state: str, name: str, inputs: int, outputs: int, bias: bool) -> str:
        """(n, inputs) to (n, outputs), by the layer of this name."""
        if self.int8:
            weight = self.weight(f"{name}.weight", inputs, outputs, kind=TensorProto.INT8)
            no_zero_point = ""
            tensors = [state, weight, self.weight(f"{name}.scale", outputs), no_zero_point]
        else:
            tensors = [state, self.weight(f"{name}.weight", outputs, inputs)]
        if bias:
            tensors.append(self.weight(f"{name}.bias", outputs))
        if self.int8:
            return self.add("DynamicQuantizeMatMul", *tensors, domain=MICROSOFT)
        return self.add("Gemm", *tensors, transB=1)

    def norm(self, state: str, name: str, width: int, eps: float) -> str:
        """Rows of (n, width) divided by their root mean square, and scaled."""
        weight = self.weight(f"{name}.weight", width)
        return self.add("SimplifiedLayerNormalization", state, weight, axis=-1, epsilon=eps)

    def gated(self, state: str, name: str, width: int, hidden: int, bias: bool) -> str:
        """The gated MLP of a layer: down(silu(gate) * up)."""
        gate = self.linear(state, f"{name}.gate_proj", width, hidden, bias)
        up = self.linear(state, f"{name}.up_proj", width, hidden, bias)
        active = self.add("QuickGelu", gate, domain=MICROSOFT, alpha=1.0)
        return self.linear(self.add("Mul", active, up), f"{name}.down_proj", hidden, width, bias)

    def turned(self, heads: str) -> str:
        """Rotary embedding of (rows, n, heads * head width)."""
        return self.add("RotaryEmbedding", heads, "places", "cos", "sin", domain=MICROSOFT)

    def model(
        self, name: str, inputs: list[ValueInfoProto], outputs: list[ValueInfoProto]
    ) -> ModelProto:
        """The graph as a file's content."""
        graph = helper.make_graph(
            self.nodes, name, inputs, outputs, initializer=list(self.weights.values())
        )
        versions = [helper.make_opsetid("", _OPSET), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(
            graph, opset_imports=versions, ir_version=_IR, producer_name="texlens"
        )


def _floats(name: str, *shape: int | str) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _integers(name: str, *shape: int | str, kind: int = TensorProto.INT64) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def vision_graph(config: dict[str, Any], *, int8: bool) -> ModelProto:
    """Patches of equally long pictures (pictures, length, values) to visual tokens.

    `cos` and `sin` (pictures * length, head width / 2) turn the patch that `places` (pictures,
    length) puts there. The tokens (pictures * length / merge^2, text width) stand one picture
    after the other.
    """
    vision = config["vision_config"]
    width, hidden, heads = vision["hidden_size"], vision["intermediate_size"], vision["num_heads"]
    values = vision["in_channels"] * vision["temporal_patch_size"] * vision["patch_size"] ** 2
    merged, text_width = width * vision["spatial_merge_size"] ** 2, vision["out_hidden_size"]
    graph = Graph(int8=int8)
    apart = graph.add("Concat", graph.add("Shape", "places"), graph.integers(-1), axis=0)
    together = graph.integers(-1, width)
    flat = graph.add("Reshape", "patches", graph.integers(-1, values))
    embedding = graph.weight("visual.patch_embed.proj.weight", width, values)
    state = graph.add("Gemm", flat, embedding, transB=1)
    for layer in range(vision["depth"]):
        name = f"visual.blocks.{layer}"
        normed = graph.norm(state, f"{name}.norm1", width, 1e-6)
        qkv = graph.linear(normed, f"{name}.attn.qkv", width, 3 * width, bias=True)
        query, key, value = graph.add(
            "Split", graph.add("Reshape", qkv, apart), outputs=3, axis=-1, num_outputs=3
        )
        mixed = graph.add(
            "MultiHeadAttention",
            graph.turned(query),
            graph.turned(key),
            value,
            domain=MICROSOFT,
            num_heads=heads,
        )
        mixed = graph.add("Reshape", mixed, together)
        change = graph.linear(mixed, f"{name}.attn.proj", width, width, bias=True)
        state = graph.add("Add", state, change)
        normed = graph.norm(state, f"{name}.norm2", width, 1e-6)
        change = graph.gated(normed, f"{name}.mlp", width, hidden, bias=True)
        state = graph.add("Add", state, change)
    state = graph.norm(state, "visual.merger.ln_q", width, 1e-6)
    state = graph.add("Reshape", state, graph.integers(-1, merged))
    state = graph.linear(state, "visual.merger.mlp.0", merged, merged, bias=True)
    state = graph.add("Gelu", state)
    state = graph.linear(state, "visual.merger.mlp.2", merged, text_width, bias=True)
    half = width // heads // 2
    inputs = [
        _floats("patches", "pictures", "length", values),
        _floats("cos", "patches_of_all", half),
        _floats("sin", "patches_of_all", half),
        _integers("places", "pictures", "length"),
    ]
    return _renamed(graph, state, "tokens").model(
        "vision", inputs, [_floats("tokens", "tokens_of_all", text_width)]
    )


def decoder_graph(config: dict[str, Any], *, int8: bool) -> ModelProto:
    """Embedded tokens (rows, n, width) to logits after the last of each row, with a cache.

    Either whole prompts, padded on the right, on an empty cache, or one token a row. `cos`, `sin`
    and `places` are as in the vision graph. `last` (rows) is the place among all rows * n of the
    token whose successor is wanted; `lengths` (rows) a row's tokens with those in the cache, less
    one; `longest` the largest length, not less one. `key_L` and `value_L` (rows, key heads,
    capacity, head width) are read and written in place: bind `new_key_L` to the same memory.
    """
    text = config["text_config"]
    width, hidden, vocabulary = text["hidden_size"], text["intermediate_size"], text["vocab_size"]
    heads, key_heads = text["num_attention_heads"], text["num_key_value_heads"]
    layers, eps = text["num_hidden_layers"], text["rms_norm_eps"]
    head_width = width // heads
    graph = Graph(int8=int8)
    apart = graph.add("Concat", graph.add("Shape", "places"), graph.integers(-1), axis=0)
    together = graph.integers(-1, width)
    state = graph.add("Reshape", "states", together)
    caches: list[tuple[str, str]] = []
    for layer in range(layers):
        name = f"model.layers.{layer}"
        normed = graph.norm(state, f"{name}.input_layernorm", width, eps)
        query, key, value = (
            graph.add(
                "Reshape",
                graph.linear(
                    normed, f"{name}.self_attn.{part}_proj", width, count * head_width, bias=True
                ),
                apart,
            )
            for part, count in (("q", heads), ("k", key_heads), ("v", key_heads))
        )
        mixed, *cache = graph.add(
            "GroupQueryAttention",
            graph.turned(query),
            graph.turned(key),
            value,
            f"key_{layer}",
            f"value_{layer}",
            "lengths",
            "longest",
            outputs=3,
            domain=MICROSOFT,
            num_heads=heads,
            kv_num_heads=key_heads,
        )
        caches.append((cache[0], cache[1]))
        mixed = graph.add("Reshape", mixed, together)
        if layer == layers - 1:  # only the last token of each row is wanted from here on
            mixed, state = (graph.add("Gather", part, "last", axis=0) for part in (mixed, state))
        change = graph.linear(mixed, f"{name}.self_attn.o_proj", width, width, bias=False)
        state = graph.add("Add", state, change)
        normed = graph.norm(state, f"{name}.post_attention_layernorm", width, eps)
        change = graph.gated(normed, f"{name}.mlp", width, hidden, bias=False)
        state = graph.add("Add", state, change)
    state = graph.norm(state, "model.norm", width, eps)
    # The embedding is the head too (tied weights).
    head = graph.weight("model.embed_tokens.weight", vocabulary, width)
    logits = graph.add("Gemm", state, head, transB=1)
    inputs = [
        _floats("states", "rows", "n", width),
        _floats("cos", "tokens", head_width // 2),
        _floats("sin", "tokens", head_width // 2),
        _integers("places", "rows", "n"),
        _integers("last", "rows"),
        _integers("lengths", "rows", kind=TensorProto.INT32),
        _integers("longest", 1, kind=TensorProto.INT32),
    ]
    outputs = [_floats("logits", "rows", vocabulary)]
    _renamed(graph, logits, "logits")
    for layer, pair in enumerate(caches):
        for part, made in zip(("key", "value"), pair, strict=True):
            shape: Shape = ["rows", key_heads, "capacity", head_width]
            inputs.append(_floats(f"{part}_{layer}", *shape))
            outputs.append(_floats(f"new_{part}_{layer}", *shape))
            _renamed(graph, made, f"new_{part}_{layer}")
    return graph.model("decoder", inputs, outputs)


def _renamed(graph: Graph, old: str, new: str) -> Graph:
    """The graph with an output of its nodes called by another name."""
    for node in graph.nodes:
        node.output[:] = [new if name == old else name for name in node.output]
    return graph


def export_graphs(folder: Path) -> list[Path]:
    """Write the graphs of the model in a folder into that folder; returns their paths.

    Raises ValueError for a model that these graphs do not describe.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    vision, text = config["vision_config"], config["text_config"]
    if set(vision["fullatt_block_indexes"]) != set(range(vision["depth"])):
        raise ValueError("The vision tower has windowed attention: the graphs know only full.")
    if not config.get("tie_word_embeddings") or text.get("use_sliding_window"):
        raise ValueError("The graphs know only tied embeddings and full attention.")
    written = []
    for name, build in (("vision", vision_graph), ("decoder", decoder_graph)):
        for int8 in (False, True):
            path = folder / graph_file(name, int8=int8)
            path.write_bytes(build(config, int8=int8).SerializeToString(deterministic=True))
            written.append(path)
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a folder with config.json")
    for path in export_graphs(parser.parse_args().folder):
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

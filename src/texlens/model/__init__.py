"""The model: transformers' Qwen2.5-VL, at any size, with its processor and its prompt configuration.

In: a folder or a name on the hub, with or without an adapter. Out: a `Loaded`, which reading and
training use.

Read `load` and `prompt_config`; then `processor`, `prompt` and `tokenizer` (pictures and text to
tensors), `vision_attention` (faster batches), `merge` (adapters), `card` and `sharing` (the hub); `shape`
and `qwen_shapes` (new small models, and the shapes of Qwen's releases).
"""

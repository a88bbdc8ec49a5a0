"""The network that a run trains: what of it is trained, in which form, and how its steps become fast.

In: a recipe. Out: a Qwen2.5-VL with the trained weights in place.

Read `adapters` (loading, LoRA) and `optimizer_state` (what a second stage continues). What makes a
step fast is in `folded_lora`, `compiled`, `graphed` (CUDA graphs) and `probe` (how to split a step).
"""

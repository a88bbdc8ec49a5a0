"""The model: transformers' Qwen2.5-VL, at any size, with its picture processor and its prompt configuration."""

"""Rejection-sampling fine-tuning: the model's own best answers are the examples of supervised fine-tuning.

In: a recipe (`RftConfig`) with pictures and LaTeX, and weights of rewards. Out: what supervised fine-tuning
leaves, and the answers that were kept (`answers.parquet`, `answers.jsonl`).

Read `settings` (the recipe), `answers` (sampling and choosing), `train` (the run).
"""

"""Supervised fine-tuning: the loss is on the tokens of the answer.

In: a recipe (`SftConfig`) with Parquet files of pictures and LaTeX. Out: a folder with an adapter or
a model, its log, its scores on dev sets, and `run.json`. What it shares with GRPO is in `train.run`.

Read `settings` (the recipe), `train` (the run, from top to bottom), `batches` (the order of the
examples and their tensors), `augmentation`, `dev_loss`, `trainer` (what is changed in TRL's trainer).
"""

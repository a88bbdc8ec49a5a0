"""GRPO: reinforcement learning on pictures of formulas, with rewards for the model's own answers.

In: a recipe (`GrpoConfig`) with Parquet files of pictures and LaTeX, and weights of rewards
(`train.rewards`). Out: what supervised fine-tuning leaves, and a record of every completion. What it
shares with supervised fine-tuning is in `train.run`.

Read `settings` (the recipe), `train` (the run, from top to bottom), `prompts` and `prefilter` (what
the model is asked), `trainer` (what is changed in TRL's trainer), `sampling/` (answers),
`completions` (the record).
"""

"""What all fine-tuning shares.

In: a recipe. Out: the network it trains, its examples, and the folder of the run with checkpoints,
log, scores on dev sets and weights.

Read `config` (how recipes are read), `settings` (what is in them), `adapters` and `folded_lora` (the
network), `examples` (the data), `schedule` (length and learning rate), `run_folder`, `curves` and
`model_card` (the folder), `dev_evaluation`, `callbacks`, and `trl_trainers`, where TRL's trainers
are configured and run.
"""

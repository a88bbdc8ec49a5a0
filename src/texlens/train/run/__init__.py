"""What all fine-tuning shares.

In: a recipe. Out: the network it trains, its examples, and the folder of the run with checkpoints,
log, scores on dev sets and weights.

Read `config` (how recipes are read), `settings` (what is in them), `processes` (how a run starts on
several devices), `adapters` and `folded_lora` (the network), `examples` and `prepared` (the data and
where it is kept), `loader_processes`, `schedule` (length and learning rate), `optimizer_state` (what a
second stage continues), `run_folder`, `curves` and `model_card` (the folder), `dev_evaluation`,
`callbacks`, `failures`, and `trl_trainers`, where TRL's trainers are configured and run. What makes a
step fast is in `probe`, `compiled`, `graphed` and `vision_features`.
"""

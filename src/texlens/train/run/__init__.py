"""A run of fine-tuning, of either kind: its processes, its folder, its log, and TRL's trainers.

In: a recipe, a network (`train.network`) and examples (`train.data`). Out: the folder of the run with
checkpoints, log, scores on dev sets and weights.

Read `processes` (how a run starts on several devices), `schedule` (length and learning rate),
`run_folder`, `curves` and `model_card` (the folder), `dev_evaluation`, `callbacks`, `failures`, and
`trl_trainers`, where TRL's trainers are configured and run.
"""

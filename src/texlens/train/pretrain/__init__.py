"""Training a small Qwen2.5-VL from scratch on rendered pictures of formulas.

In: a recipe (`settings.PretrainConfig`), shards of `texlens data render`, prepared Parquet. Out: a
folder with a model that `texlens read --model` opens, its log and curves, and a checkpoint.

Read `train` first. Then the path of a batch: `data` and `augmentation` keep all pictures on the
device and change them each time one is used, `batches` chooses pictures of one canvas size,
`forward` is the pass over them, `ctc_head` the auxiliary loss of the beginning, `replicas` the work on
several GPUs. Dev pictures are read as in fine-tuning (`train.run.dev_evaluation`).
"""

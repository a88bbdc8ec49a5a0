"""The data of fine-tuning: examples of data files, prepared once and opened by path.

In: Parquet files of pictures and LaTeX, and a model's processor. Out: rows with pictures as the model
reads them, token ids of the answer, and counts; for a frozen vision tower also its features.

Read `examples` (one row), `prepared` (where rows are kept, and how they are found again),
`vision_features`, `loader_processes` (how data loaders start their processes, and `sound_imports`, which
they begin with).
"""

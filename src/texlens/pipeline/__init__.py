"""A whole experiment in one command: prepare data, train in stages, evaluate, compare.

In: a `PipelineConfig`, from a YAML file such as `texlens/recipes/pipeline_quick.yaml`. Out: a
folder with the data sets, the trained stages, their evaluations and one report.

Read `config` first, then `run` (what happens, in order), `steps` (what is kept or resumed when the
same command runs again), `page` (the first page of the report) and `chart` (its first picture).
`trial` is another command: every step once, short, to see whether a machine is ready.
"""

from __future__ import annotations

from texlens.pipeline.config import PipelineConfig
from texlens.pipeline.run import run_pipeline

__all__ = ["PipelineConfig", "run_pipeline"]

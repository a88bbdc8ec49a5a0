"""How long does `texlens train pretrain` take until its first step?

    python benchmarks/pretrain_start.py FOLDER [FOLDER ...] [--parquet FILE[:LABELS] ...]

Runs the command itself, with a tiny network, on folders of shards and on Parquet files, and ends it at the
first line of its log. Prints the wall clock and the processor time of all its processes. Under
`taskset -c 0` it is that of one core. Without folders it is what any start takes.

    --resume    measures how long a run that was stopped takes to its next step
    --start DIR a model of the tiny network, whose tokeniser is used: none is built from the formulas
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SETTINGS = {
    "job": "pretrain",
    "shape": {
        "vision_width": 32, "vision_layers": 2, "vision_heads": 2, "vision_mlp": 48,
        "text_width": 32, "text_layers": 2, "text_heads": 2, "text_key_value_heads": 1,
        "text_mlp": 48,
    },
    "prompt_config": {"pixels_per_em": 13.84, "min_pixels": 256, "max_new_tokens": 12},
    "patches_per_batch": 2048, "warmup_steps": 4, "logging_steps": 1, "pool_gib": 12,
}  # fmt: skip


def processor_seconds() -> float:
    """Of all processes that were started here and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(recipe: Path, out: Path, steps: int) -> tuple[float, float, int]:
    """Wall clock until the log grows, processor seconds, and the pictures in the pool."""
    log = out / "log.jsonl"
    lines = len(log.read_text().splitlines()) if log.exists() else 0
    command = [sys.executable, "-m", "texlens", "train", "pretrain", str(recipe)]
    command += ["--out", str(out), "--set", f"max_steps={steps}"]
    before, clock = processor_seconds(), time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while process.poll() is None:
            time.sleep(0.02)
            if log.exists() and len(log.read_text().splitlines()) > lines:
                break
        seconds = time.perf_counter() - clock
        assert process.stderr is not None
        messages = process.stderr.read().decode()
    if process.returncode:
        sys.exit(messages)
    pictures = json.loads(log.read_text().splitlines()[-1])["in_pool"]
    return seconds, processor_seconds() - before, pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("shards", nargs="*", type=Path)
    parser.add_argument("--parquet", nargs="*", default=[])
    parser.add_argument("--start", type=Path)
    parser.add_argument("--resume", action="store_true")
    arguments = parser.parse_args()
    data: list[dict[str, str]] = []
    for file in arguments.parquet:
        path, _, labels = file.partition(":")
        data.append({"parquet": path} | ({"labels": labels} if labels else {}))
    data += [{"shards": str(folder)} for folder in arguments.shards]
    settings = SETTINGS | {"data": data}
    if arguments.start:
        settings |= {"start": str(arguments.start)}
    with tempfile.TemporaryDirectory() as folder:
        recipe, out = Path(folder) / "recipe.yaml", Path(folder) / "run"
        recipe.write_text(json.dumps(settings))
        seconds, processor, pictures = run(recipe, out, 1)
        cores = len(os.sched_getaffinity(0))
        print(
            f"{pictures} pictures, {cores} cores, load average {os.getloadavg()[0]:.1f}: "
            f"{seconds:.1f} s to the first step, {processor:.1f} s of processor time"
        )
        if arguments.resume:
            (out / "run.json").unlink()  # as if the run had been stopped after its checkpoint
            seconds, processor, _ = run(recipe, out, 2)
            print(f"resumed: {seconds:.1f} s to the next step, {processor:.1f} s")


if __name__ == "__main__":
    main()

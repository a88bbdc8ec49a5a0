"""Memory and time of fine-tuning on many rows: preparing them, training with workers, resuming.

    OMP_NUM_THREADS=1 python benchmarks/data_plane.py [--rows 1000000] [--workers 4] [--folder /tmp/x]

The rows are rendered formulas of the package's grammar, repeated with ids of their own. The network is
tiny, with the prompt configuration of a general Qwen2.5-VL, since only the data is measured. `texlens
train sft` runs as a user runs it: once until some steps after a checkpoint, where it is killed, and then
again. Memory is the sum of RssAnon over the process and all below it, sampled every 0.1 s: pages of
mapped files, which the system can drop at any time, are not in it.

Prints rows a second of preparing, the peak of that sum while preparing and while training, and the
seconds from the start of the second command to its first step, by the clock and of the processor time
of the training process alone, which on a busy machine is far less.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import torch
import yaml

from texlens.data.formulas.grammar import generate
from texlens.data.parquet import write_examples
from texlens.model.processor import build_processor
from texlens.model.prompt_config import PromptConfig
from texlens.model.shape import Shape, build_model
from texlens.model.tokenizer import build_tokenizer
from texlens.records import Example
from texlens.render import Size, png_many
from texlens.train.run.curves import read_log

DIFFERENT = 2000
CHECKPOINT = 20  # steps


def rows(count: int) -> Iterator[Example]:
    """`count` examples with `DIFFERENT` formulas."""
    random = Random(0)
    formulas = [generate(random, tokens=random.randint(8, 60), depth=2) for _ in range(DIFFERENT)]
    drawn = [
        (formula, picture)
        for formula, picture in zip(formulas, png_many(formulas, Size(em_px=14.0)), strict=True)
        if isinstance(picture, bytes)
    ]
    for number in range(count):
        formula, picture = drawn[number % len(drawn)]
        yield Example(f"row-{number}", picture, formula)


def write_model(folder: Path) -> None:
    """A tiny network that takes pictures as Qwen2.5-VL does."""
    prompt_config = PromptConfig()
    tokenizer = build_tokenizer(
        [r"\frac { a } { b }"], phrases=(prompt_config.system, prompt_config.instruction)
    )
    shape = Shape(
        vision_width=32, vision_layers=1, vision_heads=2, vision_mlp=48,
        text_width=32, text_layers=1, text_heads=2, text_key_value_heads=1, text_mlp=48,
    )  # fmt: skip
    torch.manual_seed(0)
    build_model(shape, tokenizer).save_pretrained(folder)
    build_processor(shape, tokenizer, prompt_config).save_pretrained(folder)
    prompt_config.save(folder)


def anonymous_bytes(process: int) -> int:
    """RssAnon of a process and all below it."""
    total, waiting = 0, [process]
    while waiting:
        pid = waiting.pop()
        try:
            status = Path(f"/proc/{pid}/status").read_text()
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except OSError:
            continue  # it has ended
        for line in status.splitlines():
            if line.startswith("RssAnon:"):
                total += 1024 * int(line.split()[1])
    return total


def processor_seconds(process: int) -> float:
    """The processor time of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def watch(command: list[str], until: Callable[[], bool]) -> tuple[float, float, int]:
    """Run a command until a condition holds, and kill it.

    Returns its seconds by the clock, those of its processor time, and its peak of memory.
    """
    start, peak, used = time.perf_counter(), 0, 0.0
    process = subprocess.Popen(command, start_new_session=True)
    try:
        while process.poll() is None and not until():
            peak = max(peak, anonymous_bytes(process.pid))
            used = processor_seconds(process.pid)
            time.sleep(0.1)
        if process.poll() not in (None, 0):
            sys.exit(f"The run ended with exit status {process.returncode}.")
        return time.perf_counter() - start, used, peak
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--folder", type=Path, help="Keep the files here, and use those found.")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="data-plane-"))
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["TEXLENS_CACHE"] = str(folder / "cache")
    data = folder / f"{arguments.rows}.parquet"
    if not data.is_file():
        write_examples(data, rows(arguments.rows))
    write_model(folder / "model")
    recipe = {
        "model": str(folder / "model"), "data": [{"parquet": str(data)}], "device": "cpu",
        "max_steps": 10**6, "per_device_train_batch_size": 8, "gradient_accumulation_steps": 1,
        "dataloader_num_workers": arguments.workers, "logging_steps": 1, "save_steps": CHECKPOINT,
        "report_to": [],
    }  # fmt: skip
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    out = folder / "run"
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "texlens", "train", "sft", str(folder / "recipe.yaml")]
    command += ["--out", str(out)]
    gib = 2**30
    prepared = out / "dataset.json"
    seconds, used, peak = watch(command, prepared.is_file)
    print(
        f"{arguments.rows:,} rows ({data.stat().st_size / gib:.2f} GiB): start and preparing "
        f"{seconds:.1f} s, peak of anonymous memory {peak / gib:.2f} GiB",
        flush=True,
    )

    def steps() -> int:
        return max((record["step"] for record in read_log(out / "log.jsonl")), default=0)

    seconds, used, peak = watch(command, lambda: steps() >= CHECKPOINT + 10)
    print(
        f"prepared before: {seconds:.1f} s to step {CHECKPOINT + 10} ({used:.1f} s of processor "
        f"time), with {arguments.workers} workers peak of anonymous memory {peak / gib:.2f} GiB",
        flush=True,
    )
    # The log is cut back to the checkpoint first; then comes the first step.
    reached: list[bool] = []

    def first_step() -> bool:
        reached.append(steps() <= CHECKPOINT or (bool(reached) and reached[-1]))
        return reached[-1] and steps() > CHECKPOINT

    seconds, used, peak = watch(command, first_step)
    print(
        f"resumed after a kill: first step after {seconds:.1f} s ({used:.1f} s of processor time), "
        f"peak {peak / gib:.2f} GiB; load average {os.getloadavg()[0]:.1f}"
    )
    if arguments.folder is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()

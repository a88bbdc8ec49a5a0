"""How well do `texlens train sft` and `texlens train grpo` fill a GPU at the shapes that Qwen released?

    python benchmarks/train_large.py --data im2latex_train.parquet --out FOLDER [--runs sft fast grpo trl]
    python benchmarks/train_large.py --data ... --out FOLDER --runs fast --devices 2 [--launch fsdp2]
    python benchmarks/train_large.py --data ... --model src/texlens/assets/small --out FOLDER --steps 4

The commands themselves are run, on real pictures and a model with random weights (`texlens train
random-weights`): speed and memory depend on shapes alone. Beside them, in the same run, plain TRL with
the same data, LoRA and batch. For each: examples/s and seconds a step after the first steps, the
driver's median busy percentage over the same time, the seconds of each stage of a step, the most memory in
use, and the share of the card's peak that the matrix products of the language model make up.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from texlens.train.run.stages import PREFIX, STAGES

LAUNCH = Path(__file__).resolve().parents[1] / "src" / "texlens" / "train" / "launch"
PEAK_TFLOPS = 989  # of an H100 SXM in bfloat16, dense, by its data sheet
PLAIN_TRL = """
import io, sys, time, json
import torch
from datasets import Dataset, Features, Image, List, Value
from peft import LoraConfig
from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration, TrainerCallback
from trl import SFTConfig, SFTTrainer
from texlens.data.parquet import read_examples
from texlens.model.processor import load_processor

model, data, steps, log = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
def rows():
    for example in read_examples(data, 2500):
        user = [{"role": "user", "content": "Extract the formulas in the image, and output in Latex format."}]
        answer = [{"role": "assistant", "content": example.latex_formula}]
        yield {"prompt": user, "completion": answer, "images": [{"bytes": example.image, "path": None}]}
table = Dataset.from_list(list(rows())).cast_column("images", List(Image()))
class Times(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        with open(log, "a") as stream:
            stream.write(json.dumps({"step": state.global_step, "time": time.time()}) + "\\n")
cuda = torch.cuda.is_available()
network = Qwen2_5_VLForConditionalGeneration.from_pretrained(model, dtype=torch.bfloat16 if cuda else torch.float32)
layers = r"model\\.language_model\\.layers\\.\\d+\\.(self_attn\\.[qkvo]_proj|mlp\\.(gate|up|down)_proj)"
trainer = SFTTrainer(
    model=network, train_dataset=table, processing_class=load_processor(model), callbacks=[Times()],
    peft_config=LoraConfig(r=8, lora_alpha=16, target_modules=layers, task_type="CAUSAL_LM"),
    args=SFTConfig(output_dir=log + ".out", per_device_train_batch_size=4, gradient_accumulation_steps=2,
                   max_steps=steps, bf16=cuda, gradient_checkpointing=False, save_strategy="no", report_to=[],
                   max_length=None, dataloader_num_workers=4 if cuda else 0, use_cpu=not cuda),
)
trainer.train()
"""

# The product's command, with its fifth step under torch's profiler.
COUNTED = """
import json, os, sys
from collections import Counter
from torch.profiler import ProfilerActivity, profile
from texlens.cli import main
from texlens.train.run.trl_trainers import RunTrainer

begin, begun = RunTrainer.get_batch_samples, [0, None]
def counted(self, *arguments):
    begun[0] += 1
    if begun[0] == 5:
        begun[1] = profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA])
        begun[1].__enter__()
    elif begun[0] == 6:
        begun[1].__exit__(None, None, None)
        calls = Counter(event.name for event in begun[1].events() if "Launch" in event.name)
        with open(os.environ["LAUNCHES"], "w") as stream:
            json.dump(calls, stream)
    return begin(self, *arguments)
if __name__ == "__main__":  # the loader's processes import this file
    RunTrainer.get_batch_samples = counted
    main()
"""


class Card:
    """The driver's view of the first visible GPU, sampled beside a run: (time, busy percent, MiB in use)."""

    def __init__(self) -> None:
        query = "--query-gpu=utilization.gpu,memory.used"
        first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
        command = ["nvidia-smi", "-i", first, query, "--format=csv,noheader,nounits", "-lms", "200"]
        self.process = None
        if shutil.which("nvidia-smi"):
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.began = time.time()

    def stop(self, since: float) -> dict[str, float]:
        """The median busy percentage since a time, and the most memory in use."""
        if self.process is None:
            return {}
        self.process.terminate()
        lines = self.process.communicate()[0].splitlines()
        samples = [[float(cell) for cell in line.split(",")] for line in lines if "," in line]
        late = samples[int((since - self.began) / 0.2) :]
        return {
            "busy_percent": statistics.median(busy for busy, _ in late) if late else 0.0,
            "peak_gib": max(used for _, used in samples) / 1024,
        }


def run(command: list[str], log: Path) -> tuple[float, float]:
    """Run a command; its seconds, and the time it began."""
    began = time.time()
    with log.open("w") as stream:
        done = subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        tail = "\n".join(log.read_text().splitlines()[-12:])
        raise RuntimeError(f"{' '.join(command[:5])} ... failed:\n{tail}")
    return time.time() - began, began


def command_of(
    name: str, arguments: argparse.Namespace, model: Path, out: Path, *, steps: int
) -> list[str]:
    """The arguments of `texlens` for a run."""
    job, recipe, changes = RUNS[name]
    settings = {
        "model": model, "data.0.parquet": arguments.data, "dev": "[]", "report_to": "[]",
        "metric_for_best_model": "null", "max_steps": steps, "save_steps": 100_000,
        "logging_steps": 1,
    }  # fmt: skip
    settings |= changes | dict(pair.split("=", 1) for pair in arguments.set)
    sets = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    return ["train", job, recipe, "--out", str(out), *sets]


def texlens_run(name: str, arguments: argparse.Namespace, model: Path) -> dict[str, Any]:
    """One run of the product's own command, and what its log says."""
    devices = arguments.devices
    label = name if devices == 1 else f"{name}_{arguments.launch}_{devices}"
    out = arguments.out / label
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "texlens"]
    if devices > 1:
        launch = [
            "accelerate.commands.launch",
            "--config_file",
            str(LAUNCH / f"{arguments.launch}.yaml"),
        ]
        launch += ["--num_processes", str(devices), "--main_process_port", "0"]
        command[2:3] = [*launch, "-m", "texlens"]
    command += command_of(name, arguments, model, out, steps=arguments.steps)
    card = Card()
    seconds, began = run(command, arguments.out / f"{label}.txt")
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    late = steps[len(steps) // 2 :]
    first = steps[len(steps) // 2 - 1]
    minutes = late[-1]["minutes"] - first["minutes"]
    config = json.loads((out / "run.json").read_text())["config"]
    per_step = (
        config["per_device_train_batch_size"] * config["gradient_accumulation_steps"] * devices
    )
    found: dict[str, Any] = {
        "seconds": round(seconds, 1),
        "examples_per_step": per_step,
        "seconds_per_step": round(60 * minutes / len(late), 4),
        "examples_per_second": round(per_step * len(late) / (60 * minutes), 2),
        "loss": late[-1]["loss"],
    }
    training = 60 * (steps[-1]["minutes"] - first["minutes"])
    found |= card.stop(began + seconds - training - 5)
    for key in (*(PREFIX + stage for stage in STAGES), "tokens"):
        if key in late[-1]:
            found[key] = round(statistics.mean(line[key] for line in late), 4)
    for key in ("gib_reserved", "gib_allocated", "recorded_lengths"):
        if key in late[-1]:
            found[key] = late[-1][key]
    if RUNS[name][0] == "sft":
        data = json.loads((out / "dataset.json").read_text())
        tokens = data["tokens"]["median"] * found["examples_per_second"]
        # Forward and backward to the inputs: frozen weights have no gradients of their own.
        found["tokens_per_second"] = round(tokens)
        found["tflops"] = round(tokens * 4 * arguments.weights / 1e12, 1)
        found["share_of_peak"] = round(found["tflops"] / PEAK_TFLOPS / devices, 4)
    if (out / "probe.json").is_file():
        found["probe"] = json.loads((out / "probe.json").read_text())
    if devices == 1:
        found["launches_per_step"] = launches(name, arguments, model)
    return found


def launches(name: str, arguments: argparse.Namespace, model: Path) -> dict[str, int]:
    """How often the host starts kernels or recorded passes in one step, by the name of the call."""
    out = arguments.out / f"{name}_launches"
    shutil.rmtree(out, ignore_errors=True)
    script, counts = arguments.out / "counted.py", arguments.out / f"{name}_launches.json"
    script.write_text(COUNTED)
    command = [sys.executable, str(script), *command_of(name, arguments, model, out, steps=6)]
    run(["env", f"LAUNCHES={counts}", *command], arguments.out / f"{name}_launches.txt")
    found: dict[str, int] = json.loads(counts.read_text())
    return found


def trl_run(arguments: argparse.Namespace, model: Path) -> dict[str, Any]:
    """Plain TRL, eight examples a step."""
    script, log = arguments.out / "plain_trl.py", arguments.out / "plain_trl.jsonl"
    script.write_text(PLAIN_TRL)
    log.unlink(missing_ok=True)
    card = Card()
    command = [sys.executable, str(script), str(model), str(arguments.data)]
    seconds, _ = run([*command, str(arguments.steps), str(log)], arguments.out / "plain_trl.txt")
    times = [json.loads(line)["time"] for line in log.read_text().splitlines()]
    middle = len(times) // 2
    step = (times[-1] - times[middle]) / (len(times) - 1 - middle)
    found: dict[str, Any] = {"seconds": round(seconds, 1), "seconds_per_step": round(step, 4)}
    found["examples_per_second"] = round(8 / step, 2)
    return found | card.stop(times[middle])


# What is run: the job, its recipe, and what differs from the recipe.
RUNS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "sft": ("sft", "sft_printed_3b", {"schedule_steps": "null", "eval_loss_steps": "null"}),
    "fast": ("sft", "sft_printed_3b_fast", {"num_train_epochs": "null", "eval_loss_steps": "null"}),
    "grpo": ("grpo", "grpo_3b", {"prompt_config.max_new_tokens": 200, "data.0.rows": "[0,400]"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="Parquet of pictures with LaTeX")
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", ".")))
    parser.add_argument("--model", default="Qwen/Qwen2.5-VL-3B-Instruct", help="the shape")
    parser.add_argument("--weights-folder", type=Path, help="where the random weights are, or go")
    parser.add_argument("--weights", type=float, default=2.77e9, help="of its decoder layers")
    parser.add_argument("--runs", nargs="+", default=["sft", "fast", "trl", "grpo"])
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--devices", type=int, default=1, help="all but plain TRL run on so many")
    parser.add_argument("--launch", default="ddp", choices=("ddp", "fsdp2"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    model = arguments.weights_folder or arguments.out / "model"
    if not (model / "texlens.json").is_file():
        command = [sys.executable, "-m", "texlens", "train", "random-weights", arguments.model]
        run([*command, "--out", str(model), "--force"], arguments.out / "random_weights.txt")
    report: dict[str, Any] = {"model": arguments.model, "steps": arguments.steps, "runs": {}}
    for name in arguments.runs:
        try:
            found = (
                trl_run(arguments, model) if name == "trl" else texlens_run(name, arguments, model)
            )
        except RuntimeError as error:  # one run that fails must not cost the others their time
            found = {"failed": str(error)}
        report["runs"][name] = found
        print(name, json.dumps(found), flush=True)
        (arguments.out / "train_large.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

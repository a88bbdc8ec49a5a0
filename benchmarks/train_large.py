"""How well does training fill an accelerator at the shapes that Qwen released?

    python benchmarks/train_large.py [--model Qwen/Qwen2.5-VL-3B-Instruct] [--out FOLDER]
    OMP_NUM_THREADS=1 python benchmarks/train_large.py --model src/texlens/assets/small --tiny

Weights are random, pictures are noise and answers are random tokens of fixed length: speed and
memory depend on shapes alone. As in the shipped recipes, LoRA of rank 8 lies on the linear layers
of the language model, the vision tower and the merger, in float32 over frozen bfloat16 weights, or
over a language model of 4 bits (nf4, double quantisation) where bitsandbytes is installed. AdamW;
vision attention batched by length; loss on the answers' tokens, computed in parts.

For each setting: examples/s, tokens/s (all tokens of the sequences), TFLOP/s of all operations that
PyTorch counts in a step, the driver's busy percentage, the peak of allocated memory, and beside it
what `--dry-run` estimates. Writes train_large.json into --out, or $OUT.
Needs torch, transformers and peft; not the rest of TexLens' dependencies.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from texlens.model.qwen_shapes import model_config
from texlens.model.vision_attention import batch_vision_attention
from texlens.train.plan.memory import Batch, Training, activation_bytes

PROMPT = 30  # tokens of the system's and the user's sentences and of the chat form
RANK = 8
LOSS_PART = 512  # answer tokens whose logits exist together


@dataclass(frozen=True)
class Setting:
    """One way to train: `side` gives a picture's patches (height, width)."""

    name: str
    quantised: bool
    checkpointing: bool
    examples: int
    side: tuple[int, int]
    answer: int


# A formula of a line (112 x 560 pixels: 80 visual tokens) and the largest picture that the
# recipes let through (504 x 504 pixels: 324 visual tokens).
LINE, LARGEST = (8, 40), (36, 36)


def settings(tiny: bool) -> list[Setting]:
    if tiny:
        return [
            Setting("line, batch 2", False, False, 2, (4, 20), 20),
            Setting("line, batch 2, checkpointing", False, True, 2, (4, 20), 20),
            Setting("line, batch 2, nf4", True, False, 2, (4, 20), 20),
        ]
    found = []
    for quantised in (False, True):
        for checkpointing, examples, side, answer in (
            (False, 4, LINE, 100),
            (True, 4, LINE, 100),
            (True, 16, LINE, 100),
            (False, 16, LINE, 100),
            (True, 64, LINE, 100),
            (True, 4, LARGEST, 512),
            (True, 16, LARGEST, 512),
        ):
            name = f"{'line' if side == LINE else 'largest'}, batch {examples}"
            name += ", checkpointing" if checkpointing else ""
            name += ", nf4" if quantised else ""
            found.append(Setting(name, quantised, checkpointing, examples, side, answer))
    return found


def build(config: Any, device: torch.device, quantised: bool) -> Any:
    """A network of random bfloat16 weights on the device, with LoRA on all its parts."""
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen2_5_VLForConditionalGeneration

    config._attn_implementation = "sdpa"
    torch.manual_seed(0)
    with device:
        network = Qwen2_5_VLForConditionalGeneration._from_config(config, dtype=torch.bfloat16)
    if quantised:
        quantise(network.model.language_model, device)
        network.is_loaded_in_4bit = True
    batch_vision_attention(network)
    network.requires_grad_(False)
    lora = LoraConfig(
        r=RANK,
        target_modules=(
            r".*language_model.*\.[qkvo]_proj|.*\.(gate|up|down)_proj"
            r"|.*visual.*\.(qkv|proj)|.*merger\.mlp\.[02]"
        ),
    )
    return get_peft_model(network, lora).train()


def quantise(module: Any, device: torch.device) -> None:
    """Put every linear layer of the module into 4 bits, as `load_in_4bit` does."""
    import bitsandbytes

    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is torch.nn.Linear:
                four = bitsandbytes.nn.Linear4bit(
                    child.in_features,
                    child.out_features,
                    bias=child.bias is not None,
                    compute_dtype=torch.bfloat16,
                    compress_statistics=True,
                    quant_type="nf4",
                    device="meta",
                )
                four.weight = bitsandbytes.nn.Params4bit(
                    child.weight.data, requires_grad=False, compress_statistics=True,
                    quant_type="nf4",
                )  # fmt: skip
                four.bias = child.bias
                setattr(parent, name, four.to(device))


def make_batch(config: Any, setting: Setting, device: torch.device) -> dict[str, torch.Tensor]:
    """Noise in the form of a training batch: equal pictures, equal lengths, a full mask."""
    rows, columns = setting.side
    merge, vision = config.vision_config.spatial_merge_size, config.vision_config
    visual = rows * columns // merge**2
    length = PROMPT + visual + setting.answer
    plain = min(1000, config.text_config.vocab_size // 4)
    tokens = torch.randint(1, plain, (setting.examples, length), device=device)
    tokens[:, 4] = config.vision_start_token_id
    tokens[:, 5 : 5 + visual] = config.image_token_id
    tokens[:, 5 + visual] = config.vision_end_token_id
    width = 3 * vision.temporal_patch_size * vision.patch_size**2
    return {
        "input_ids": tokens,
        "attention_mask": torch.ones_like(tokens),
        "mm_token_type_ids": (tokens == config.image_token_id).int(),
        "pixel_values": torch.randn(setting.examples * rows * columns, width, device=device),
        "image_grid_thw": torch.tensor([[1, rows, columns]] * setting.examples, device=device),
    }


def step(network: Any, optimizer: Any, batch: dict[str, torch.Tensor], answer: int) -> torch.Tensor:
    """Forward, loss on the answer's tokens, backward, update."""
    device = batch["input_ids"].device
    base = network.get_base_model()
    with torch.autocast(device.type, torch.bfloat16):
        hidden = base.model(**batch, use_cache=False).last_hidden_state[:, -answer - 1 : -1]
        targets = batch["input_ids"][:, -answer:]
        parts = zip(
            hidden.flatten(0, 1).split(LOSS_PART), targets.flatten().split(LOSS_PART), strict=True
        )
        # A part's logits are computed again for the backward pass, not kept.
        losses = [checkpoint(part_loss, base, *part, use_reentrant=False) for part in parts]
        loss = torch.stack(losses).sum() / targets.numel()
    loss.backward()
    torch.nn.utils.clip_grad_norm_([p for p in network.parameters() if p.requires_grad], 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.detach()


def part_loss(base: Any, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(base.lm_head(hidden).float(), targets, reduction="sum")


def measure(
    network: Any, config: Any, setting: Setting, device: torch.device, seconds: float
) -> Any:
    """Run steps for about `seconds`; the figures of one setting."""
    on_gpu = device.type == "cuda"
    network.gradient_checkpointing_disable()
    if setting.checkpointing:
        network.gradient_checkpointing_enable(
            gradient_checkpointing_kwargs={"use_reentrant": False}
        )
        network.enable_input_require_grads()
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=5e-5, fused=on_gpu)
    batch = make_batch(config, setting, device)

    def wait() -> None:
        if on_gpu:
            torch.cuda.synchronize()

    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    resident = torch.cuda.memory_allocated() if on_gpu else 0
    for _ in range(2):
        step(network, optimizer, batch, setting.answer)
    with FlopCounterMode(display=False) as counter:
        loss = step(network, optimizer, batch, setting.answer)
    flops = counter.get_total_flops()
    wait()
    times: list[float] = []
    busy = BusySampler() if on_gpu else None
    began = time.perf_counter()
    while time.perf_counter() - began < seconds or len(times) < 5:
        start = time.perf_counter()
        loss = step(network, optimizer, batch, setting.answer)
        wait()
        times.append(time.perf_counter() - start)
    median = statistics.median(times)
    length = batch["input_ids"].shape[1]
    patches = setting.side[0] * setting.side[1]
    cost_batch = Batch(setting.examples, length, patches, setting.answer)
    training = Training("lora", "lora", "lora", checkpointing=setting.checkpointing)
    loss_bytes = LOSS_PART * config.text_config.vocab_size * 14
    figures: dict[str, Any] = {
        "steps": len(times),
        "seconds_a_step": median,
        "examples_per_second": setting.examples / median,
        "tokens_per_second": setting.examples * length / median,
        "tokens_a_sequence": length,
        "trained_parameters": sum(p.numel() for p in trained),
        "loss": loss.item(),
        "tflops_per_second": flops / median / 1e12,
    }
    if on_gpu and busy is not None:
        figures["busy_percent"] = busy.stop()
        gib = 2**30
        figures["peak_gib"] = torch.cuda.max_memory_allocated() / gib
        figures["resident_gib"] = resident / gib
        estimate = resident + 12 * figures["trained_parameters"]
        figures["estimated_peak_gib"] = (
            estimate + activation_bytes(config, cost_batch, training, loss_bytes)
        ) / gib
    return figures


class BusySampler:
    """The driver's busy percentage, sampled beside the run."""

    def __init__(self) -> None:
        command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        try:
            self.process: Any = subprocess.Popen(
                [*command, "-lms", "200"], stdout=subprocess.PIPE, text=True
            )
        except OSError:
            self.process = None

    def stop(self) -> float | None:
        """End the sampling; the mean, or None without the driver's tool."""
        if self.process is None:
            return None
        self.process.terminate()
        values = [int(line) for line in self.process.communicate()[0].split() if line.isdigit()]
        return statistics.mean(values) if values else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="Qwen/Qwen2.5-VL-3B-Instruct")
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", ".")))
    parser.add_argument("--seconds", type=float, default=5.0, help="of timed steps a setting")
    parser.add_argument("--budget", type=float, default=165.0, help="no setting begins after this")
    parser.add_argument("--tiny", action="store_true", help="three small settings, for a CPU")
    arguments = parser.parse_args()
    began = time.perf_counter()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if find_spec("peft") is None:
        sys.exit("peft is not installed: it puts LoRA on the model.")
    with_nf4 = find_spec("bitsandbytes") is not None
    report: dict[str, Any] = {
        "model": arguments.model,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else platform.machine(),
        "versions": {name: _version(name) for name in
                     ("torch", "transformers", "peft", "bitsandbytes")},
        "nf4": "run" if with_nf4 else "not run: bitsandbytes is not installed",
        "settings": [],
    }  # fmt: skip
    print(f"{arguments.model} on {report['device']}, {report['versions']}", flush=True)
    network, of_kind = None, None
    for setting in settings(arguments.tiny):
        if setting.quantised and not with_nf4:
            continue
        entry: dict[str, Any] = asdict(setting)
        report["settings"].append(entry)
        if time.perf_counter() - began > arguments.budget:
            entry["failed"] = "left out: the time was used up"
            continue
        try:
            if of_kind is not setting.quantised:
                network = None
                empty()
                start = time.perf_counter()
                config = model_config(arguments.model)
                network = build(config, device, setting.quantised)
                of_kind = setting.quantised
                print(f"built in {time.perf_counter() - start:.1f} s", flush=True)
            entry |= measure(network, config, setting, device, arguments.seconds)
        except torch.cuda.OutOfMemoryError:
            entry["failed"] = "out of memory"
        except Exception as error:
            # One setting that fails must not cost the others their time on the machine.
            entry["failed"] = f"{type(error).__name__}: {error}"
        empty()
        print(describe(entry), flush=True)
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "train_large.json").write_text(json.dumps(report, indent=2) + "\n")
    print(f"{time.perf_counter() - began:.0f} s in all; {arguments.out / 'train_large.json'}")


def describe(entry: dict[str, Any]) -> str:
    if "failed" in entry:
        return f"{entry['name']:<40} {entry['failed']}"
    line = (
        f"{entry['name']:<40} {entry['examples_per_second']:7.2f} examples/s "
        f"{entry['tokens_per_second']:9.0f} tokens/s"
    )
    line += f"  {entry['tflops_per_second']:.3g} TFLOP/s"
    if "peak_gib" in entry:
        line += f"  busy {entry['busy_percent']}, peak {entry['peak_gib']:.1f} GiB, estimated {entry['estimated_peak_gib']:.1f}"
    return line


def empty() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()

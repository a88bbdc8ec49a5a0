"""What merging an adapter that was trained on 4-bit weights into other weights changes.

    python benchmarks/merge_nf4.py --data DATA.parquet [--model FOLDER] [--steps 40] [--n 100]

An adapter learns on a base in nf4, by the settings of the small recipe. Then the same answers are scored
with the adapter on: the nf4 base, as trained; the base in float32, and in bfloat16, into which `texlens
merge` writes it; and nf4's own values in float32, into which it could be merged instead. The rows for
training are the first of the file, those for measuring the last.

Prints the mean loss of an answer's tokens on --n rows and, for each row, the largest difference of its
loss from that with the nf4 base.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from texlens.data.parquet import count_examples
from texlens.model.load import EMBEDDED, Loaded, load_model
from texlens.model.merge import merged
from texlens.train.data.prepared import FineTuningData, prepare_examples
from texlens.train.settings import DataFile
from texlens.train.sft.batches import IGNORED, AnswerCollator
from texlens.train.sft.settings import SftConfig
from texlens.train.sft.train import train_sft


@torch.no_grad()
def losses(loaded: Loaded, data: FineTuningData) -> np.ndarray:
    """The mean loss of the answer of each row (rows)."""
    collator, found = AnswerCollator(loaded, data.prompt), []
    for row in data.table:
        batch = {name: tensor.to(loaded.model.device) for name, tensor in collator([row]).items()}
        labels = batch.pop("labels")[0, 1:]
        logits = loaded.model(**batch).logits[0, :-1].float()
        found.append(float(functional.cross_entropy(logits, labels, ignore_index=IGNORED)))
    return np.array(found)


def dequantised(network: Any) -> Any:
    """The network with the values of its 4-bit weights in float32."""
    import bitsandbytes as bnb

    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, bnb.nn.Linear4bit):
                weight = bnb.functional.dequantize_4bit(child.weight.data, child.weight.quant_state)
                plain = torch.nn.Linear(
                    child.in_features, child.out_features, bias=child.bias is not None
                )
                plain.weight = torch.nn.Parameter(weight.float(), requires_grad=False)
                if child.bias is not None:
                    plain.bias = torch.nn.Parameter(child.bias.data.float(), requires_grad=False)
                setattr(module, name, plain.to(weight.device))
    return network.float()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default=str(EMBEDDED))
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    rows = count_examples(arguments.data)
    out = Path(tempfile.mkdtemp()) / "run"
    config = SftConfig.model_validate(
        {
            "model": arguments.model, "quantisation": "nf4", "device": arguments.device,
            "data": [{"parquet": arguments.data, "rows": [0, 8 * arguments.steps]}],
            "max_steps": arguments.steps, "per_device_train_batch_size": 8,
            "gradient_accumulation_steps": 1, "learning_rate": 5e-4, "report_to": [],
            "lora": {"r": 16, "lora_alpha": 32}, "dataloader_num_workers": 0,
        }
    )  # fmt: skip
    train_sft(config, out)
    adapter = out / "adapter"

    def load(dtype: str, quantisation: Any = None, with_adapter: bool = True) -> Loaded:
        return load_model(
            arguments.model, adapter if with_adapter else None, dtype=dtype,
            device=arguments.device, quantisation=quantisation,
        )  # fmt: skip

    trained_on = load("float32", "nf4")
    files = [DataFile(parquet=arguments.data, rows=(rows - arguments.n, rows))]
    data = prepare_examples(files, trained_on, max_length=10**6, quiet=True)
    reference = losses(trained_on, data)
    half = load("bfloat16")
    own = load("float32", "nf4")
    dequantised(own.model)
    for name, loaded in (
        ("base alone, float32", load("float32", with_adapter=False)),
        ("adapter on nf4, as trained", trained_on),
        (
            "merged into float32",
            Loaded(merged(load("float32").model), half.processor, half.prompt_config),
        ),
        ("merged into bfloat16", Loaded(merged(half.model), half.processor, half.prompt_config)),
        (
            "merged into nf4's values, float32",
            Loaded(merged(own.model), half.processor, half.prompt_config),
        ),
    ):
        found = losses(loaded, data)
        print(
            f"{name:<36} loss {found.mean():.4f}, largest difference of a row "
            f"{np.abs(found - reference).max():.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()

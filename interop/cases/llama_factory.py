# /// script
# dependencies = ["torch==2.13.0", "llamafactory==0.9.5"]
# ///
"""LLaMA-Factory trains an adapter on `--format messages`; TexLens reads with it and merges it."""

import json
import subprocess

from common import DATA, MODEL, OUT, losses, require, texlens, texlens_readings

RECIPE = {
    "model_name_or_path": str(MODEL), "stage": "sft", "do_train": True, "finetuning_type": "lora",
    "dataset_dir": str(DATA / "messages"), "dataset": "texlens_train", "template": "qwen2_vl",
    "cutoff_len": 1024, "output_dir": str(OUT / "lora"), "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 1, "learning_rate": 1e-3, "max_steps": 8, "logging_steps": 1,
    "report_to": "none", "save_only_model": True,
}  # fmt: skip
recipe = OUT / "recipe.yaml"  # JSON is YAML; from a .json file 0.9.5 reads nothing
recipe.write_text(json.dumps(RECIPE))
subprocess.run(["llamafactory-cli", "train", recipe], check=True)
history = [json.loads(line) for line in (OUT / "lora" / "trainer_log.jsonl").open()]
first, last = losses(history)
require(last < first, f"the loss went from {first:.3f} to {last:.3f}")
with_adapter = texlens_readings("--model", MODEL, "--adapter", OUT / "lora")
texlens("merge", OUT / "lora", "--model", MODEL, "--out", OUT / "merged")
merged = texlens_readings("--model", OUT / "merged")
same = sum(a["normal"] == b["normal"] for a, b in zip(with_adapter, merged, strict=True))
require(
    same >= len(merged) - 1, f"{same} of {len(merged)} readings of the merged model are the same"
)
print(
    f"loss {first:.2f} to {last:.2f}; adapter and merged model agree on {same} of {len(merged)} pictures"
)

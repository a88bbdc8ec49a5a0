"""Starts the server that transformers ships, with a model of TexLens.

Only the processor is TexLens' own: the stock one of Qwen2.5-VL needs torchvision, for video.
Arguments: folder of the model, port.
"""

from __future__ import annotations

import sys
from pathlib import Path

import transformers
from transformers.cli.transformers import main

from texlens.model.processor import load_processor

folder, port = sys.argv[1:]
transformers.AutoProcessor.from_pretrained = lambda *_, **__: load_processor(Path(folder))
sys.argv = ["transformers", "serve", folder, "--port", port, "--device", "cpu"]
main()

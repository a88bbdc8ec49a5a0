# /// script
# dependencies = ["torch==2.13.0", "torchvision==0.28.0", "transformers==5.23.0", "texlens[model]"]
# ///
"""Transformers' pipeline, with torchvision, reads what TexLens reads without guards."""

import torchvision
import transformers
from common import MODEL, PICTURES, local_readings, require

import texlens

read = transformers.pipeline("image-text-to-text", model=str(MODEL))
local, same = local_readings(), 0
for path in PICTURES:
    messages = texlens.chat_messages(path, MODEL)
    (answer,) = read(text=messages, max_new_tokens=220, return_full_text=False)
    same += answer["generated_text"].strip() == local[path.name]["text"].strip()
print(f"torchvision {torchvision.__version__}")
require(same == len(PICTURES), f"{same} of {len(PICTURES)} readings are those of TexLens")
print(f"{same} of {len(PICTURES)} readings are those of TexLens without guards")

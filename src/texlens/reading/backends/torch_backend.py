"""A model in torch: the processor before it and the decoder behind it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from PIL import Image

from texlens.model.load import Loaded
from texlens.reading.decoding.generation import GREEDY, Completion, DecodingConfig
from texlens.reading.decoding.greedy import Decoder
from texlens.reading.pictures.framing import frame_for

_SMALL_MODEL = 100_000_000  # parameters


class TorchBackend:
    """Any Qwen2.5-VL, with or without adapter, of any dtype, on any device."""

    def __init__(self, loaded: Loaded, *, max_new_tokens: int | None = None) -> None:
        self.prompt_config = loaded.prompt_config
        self.folder = loaded.folder
        self.processor = loaded.processor
        self.decoder = Decoder(
            loaded.model, max_new_tokens=max_new_tokens or loaded.prompt_config.max_new_tokens
        )
        count = sum(parameter.numel() for parameter in loaded.model.parameters())
        self.concurrency = 1  # torch shares each operator among the cores
        self.batch_size = 64 if count < _SMALL_MODEL else 8
        self.prompt: str = loaded.processor.apply_chat_template(
            loaded.prompt_config.messages(), tokenize=False, add_generation_prompt=True
        )
        self.frame = frame_for(loaded.prompt_config, loaded.processor.image_processor)
        self.vocabulary = len(loaded.processor.tokenizer)
        self.end_tokens = self.decoder.end_tokens
        self.generation_config = _not_greedy(loaded.model.generation_config)
        self._device = loaded.model.device

    @property
    def fingerprint(self) -> str:
        """A hash over a sample of every tensor of the model, and their types."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.decoder.model.state_dict().items()):
            digest.update(f"{name} {getattr(tensor, 'dtype', '')}".encode())
            if hasattr(tensor, "flatten"):
                values = tensor.detach().flatten()
                sample = values[:: max(1, len(values) // 4096)].float().cpu()
                digest.update(sample.numpy().tobytes())
        return digest.hexdigest()

    def decode(
        self, pictures: Sequence[Image.Image], decoding: DecodingConfig = GREEDY
    ) -> list[Completion]:
        """The answer to each picture (mode RGB)."""
        inputs = self.processor(
            text=[self.prompt] * len(pictures),
            images=list(pictures),
            padding=True,
            return_tensors="pt",
            images_kwargs={
                "size": {
                    "shortest_edge": self.prompt_config.min_pixels,
                    "longest_edge": self.prompt_config.max_pixels,
                }
            },
        )
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        answers = self.decoder.decode(dict(inputs.to(self._device)), decoding)
        return [
            replace(answer, prompt_tokens=length)
            for answer, length in zip(answers, lengths, strict=True)
        ]

    def text(self, tokens: Sequence[int]) -> str:
        """The text of tokens, without special ones."""
        text: str = self.processor.tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text


def _not_greedy(generation_config: Any) -> dict[str, Any]:
    """What a generation configuration changes in the choice of tokens."""
    settings: dict[str, Any] = generation_config.to_diff_dict()
    names = ("do_sample", "temperature", "top_k", "top_p", "repetition_penalty", "num_beams")
    return {name: settings[name] for name in names if settings.get(name) is not None}

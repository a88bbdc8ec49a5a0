"""The token ids of a prompt, split at the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Prompt:
    """The token ids before and after the visual tokens, up to the start of the answer."""

    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def length(self) -> int:
        """Number of text tokens of the prompt."""
        return len(self.before) + len(self.after)


def prompt_of(processor: Any, prompt_config: Any) -> Prompt:
    """The prompt of a prompt configuration, split at the picture."""
    text = processor.apply_chat_template(
        prompt_config.messages(), add_generation_prompt=True, tokenize=False
    )
    before, after = text.split(processor.image_token)
    encode = processor.tokenizer
    return Prompt(tuple(encode(before)["input_ids"]), tuple(encode(after)["input_ids"]))

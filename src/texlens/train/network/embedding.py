"""Text and pictures as the language model takes them: one sequence of embedded tokens."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def embed_with_pictures(network: Any, ids: Tensor, features: Tensor) -> Tensor:
    """Embedded tokens (batch, length, width) with visual tokens in the places of the pictures.

    `network`: a Qwen2.5-VL, plain or PEFT; `ids` (batch, length); `features` (visual tokens of all
    pictures, width), one picture after another.
    """
    embedded: Tensor = network.get_input_embeddings()(ids)
    visual = (ids == network.config.image_token_id)[..., None]
    return embedded.masked_scatter(visual, features.to(embedded.dtype))

"""Pictures and prompts to tensors: Qwen2.5-VL's processor, for pictures alone.

The stock `Qwen2_5_VLProcessor` requires a video processor, which needs torchvision. This subclass
has none and works with Pillow and numpy. Stock transformers loads what it saves with `AutoProcessor`
where torchvision is installed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, ProcessorMixin
from transformers.models.qwen2_5_vl.processing_qwen2_5_vl import Qwen2_5_VLProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.utils.hub import cached_file

from texlens.model.prompt_config import PromptConfig
from texlens.model.shape import Shape
from texlens.runs import read_json, write_json

_STOCK_CLASS = "Qwen2_5_VLProcessor"


class PictureProcessor(Qwen2_5_VLProcessor):
    """Qwen2.5-VL's processor without its video part."""

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        chat_template: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)

    def save_pretrained(
        self, save_directory: str | Path, push_to_hub: bool = False, **kwargs: Any
    ) -> None:
        """Save in the form of both this class and the stock class."""
        folder = Path(save_directory)
        super().save_pretrained(folder, push_to_hub=push_to_hub, **kwargs)
        for name in ("processor_config.json", "tokenizer_config.json"):
            path = folder / name
            if path.is_file():
                write_json(path, read_json(path) | {"processor_class": _STOCK_CLASS})
        pictures = self.image_processor.to_dict()
        pictures["image_processor_type"] = "Qwen2VLImageProcessor"
        pictures["processor_class"] = _STOCK_CLASS
        write_json(folder / "preprocessor_config.json", pictures)
        videos = {key: value for key, value in pictures.items() if key != "image_processor_type"}
        videos["video_processor_type"] = "Qwen2VLVideoProcessor"
        write_json(folder / "video_preprocessor_config.json", videos)


def build_processor(shape: Shape, tokenizer: Any, prompt_config: PromptConfig) -> PictureProcessor:
    """The processor of a new small model.

    White paper becomes 0: with CLIP's statistics, which make white a large constant, such a model
    memorised the texts and ignored the picture.
    """
    pictures = Qwen2VLImageProcessorPil(
        patch_size=shape.patch,
        merge_size=shape.merge,
        temporal_patch_size=2,
        size={"shortest_edge": prompt_config.min_pixels, "longest_edge": prompt_config.max_pixels},
        image_mean=[1.0, 1.0, 1.0],
        image_std=[0.5, 0.5, 0.5],
        resample=2,  # bilinear, as in training
    )
    return PictureProcessor(pictures, tokenizer, chat_template=tokenizer.chat_template)


def load_processor(source: str | Path) -> PictureProcessor:
    """The processor of a Qwen2.5-VL in a local folder or, by name, on the hub.

    Raises OSError when the files cannot be found (transformers' own message).
    """
    pictures = Qwen2VLImageProcessorPil.from_pretrained(source)
    tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    template = tokenizer.chat_template
    if template is None:
        # Releases of 2025 keep it in a file of its own.
        path = cached_file(
            source, "chat_template.json", _raise_exceptions_for_missing_entries=False
        )
        template = None if path is None else read_json(Path(path))["chat_template"]
    tokenizer.padding_side = "left"  # generation in batches is wrong with padding on the right
    return PictureProcessor(pictures, tokenizer, chat_template=template)

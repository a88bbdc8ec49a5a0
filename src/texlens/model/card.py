"""What the cards of all models have in common, and the draft of the card of a merged model.

`texlens.train.run.model_card` drafts the cards of trained ones. A draft has a line that begins with
*Draft*, with which `sharing.push` refuses it.
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData
from jinja2 import Template

from texlens.model.prompt_config import PromptConfig
from texlens.model.sharing import CARD
from texlens.runs import write_text

_UNFILLED = "[More Information Needed]"  # in the card that PEFT writes beside any adapter


def metadata(prompt_config: PromptConfig, *, is_adapter: bool) -> ModelCardData:
    """The hub's metadata of a model."""
    base, licence = prompt_config.base, prompt_config.licence
    is_custom = " " in licence  # a name, not an identifier of the hub
    return ModelCardData(
        base_model=base if re.fullmatch(r"[\w-]+/[\w.-]+", base) else None,
        library_name="peft" if is_adapter else "transformers",
        license="other" if is_custom else licence.lower() or None,
        license_name=licence if is_custom else None,
        pipeline_tag="image-to-text",
        tags=["latex-ocr", "texlens"],
    )


def base_in_words(prompt_config: PromptConfig) -> str:
    """The name of the base in a sentence."""
    return prompt_config.base or "the small model that comes with TexLens"


def usage(prompt_config: PromptConfig, *, is_adapter: bool) -> str:
    """The code that reads with a model, for `texlens` and, where it needs more, for transformers."""
    arguments = 'adapter="this folder"' if is_adapter else '"this folder"'
    if is_adapter and prompt_config.base:
        arguments = f"{prompt_config.base!r}, {arguments}"
    text = Template(_template("usage.md"), trim_blocks=True).render(
        reader_arguments=arguments, prompt_config=prompt_config, is_adapter=is_adapter
    )
    return text.strip()


def write_merged_card(
    folder: Path, adapter: Path, prompt_config: PromptConfig, record: dict[str, Any]
) -> None:
    """Draft the card of a merged model.

    Args:
        folder: of the merged model.
        adapter: whose own card, if it has one, describes the data and the scores.
        prompt_config: of the merged model.
        record: the content of `merge.json`.
    """
    card = ModelCard.from_template(
        metadata(prompt_config, is_adapter=False),
        template_str=_template("merged_card.md"),
        base=base_in_words(prompt_config),
        prompt_config=prompt_config,
        sections=_sections(adapter / CARD),
        usage=usage(prompt_config, is_adapter=False),
        **record | {"adapter": adapter.resolve().name},
    )
    write_text(folder / CARD, f"{card}\n")


def _sections(path: Path) -> str:
    """The sections of an adapter's card, without the one on its use."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if _UNFILLED in text:
        return ""
    sections = re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]
    return "\n\n".join(one.strip() for one in sections if not one.startswith("## Use\n"))


def _template(name: str) -> str:
    path = resources.files("texlens.model") / "templates" / name
    return path.read_text(encoding="utf-8")

"""The prompt configuration of a model: the prompt it was trained with and its limits.

Every folder of a model or an adapter made by TexLens holds it as `texlens.json`. A folder without
one was made elsewhere and gets the prompt of the qwen-ocr report, or another one by `prompt_for`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from texlens.errors import InputError
from texlens.inputs import read_text
from texlens.runs import write_text

PROMPT_CONFIG_FILE = "texlens.json"

PromptName = Literal["plain", "think_answer"]
"""The prompts that have a name: that of the qwen-ocr report, and one with tags as in the GRPO report."""


class PromptConfig(BaseModel):
    """The prompt and the limits that a model must be used with.

    `min_pixels` and `max_pixels` bound the area of a picture for the processor. `pixels_per_em` is
    the size of type in training, in pixels for one em of the base font: pictures are to be scaled
    to about this size. None: any size (a general model).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    system: str = "You are a helpful assistant."
    instruction: str = "Extract the formulas in the image, and output in Latex format."
    answer_format: Literal["plain", "think_answer"] = "plain"
    min_pixels: int = 28 * 28 * 4
    max_pixels: int = 262_144
    max_new_tokens: int = 512
    pixels_per_em: float | None = None
    base: str = ""
    licence: str = ""

    def messages(self, picture: Any = None) -> list[dict[str, Any]]:
        """The conversation that asks for the LaTeX of one picture, in transformers' chat form."""
        image = {"type": "image"} if picture is None else {"type": "image", "image": picture}
        return [
            {"role": "system", "content": [{"type": "text", "text": self.system}]},
            {"role": "user", "content": [image, {"type": "text", "text": self.instruction}]},
        ]

    def save(self, folder: Path) -> None:
        """Write `texlens.json` into a model's or an adapter's folder."""
        write_text(folder / PROMPT_CONFIG_FILE, self.model_dump_json(indent=2) + "\n")


# The first prompt is quoted from the qwen-ocr report. The GRPO report (Small Model, Big Equations)
# only describes its prompt, so the second is worded here; the limit of 600 tokens is the report's.
PROMPTS: dict[str, PromptConfig] = {
    "plain": PromptConfig(),
    "think_answer": PromptConfig(
        system=(
            "You are a LaTeX OCR expert. First look closely at the picture and describe what you "
            "see inside <think> and </think>; then write the LaTeX of the formula, and nothing "
            "else, inside <answer> and </answer>."
        ),
        answer_format="think_answer",
        max_new_tokens=600,
    ),
}


def with_prompt(own: PromptConfig, name: str) -> PromptConfig:
    """A prompt configuration with the words of a named prompt, and at least its room for an answer."""
    named = PROMPTS[name]
    words = named.model_dump(include={"system", "instruction", "answer_format"})
    longest = max(own.max_new_tokens, named.max_new_tokens)
    return own.model_copy(update=words | {"max_new_tokens": longest})


def prompt_for(prompt: PromptConfig | str | Path | None, own: PromptConfig) -> PromptConfig:
    """The prompt configuration to use a model with, so that several models can get the same one.

    Args:
        prompt: a name in `PROMPTS`, which changes the words and leaves the model's limits; or a
            prompt configuration, a `texlens.json` or a folder that holds one, which replaces all of
            it; None: no change.
        own: the model's own.

    Raises:
        InputError: there is no such name or file.
    """
    if prompt is None:
        return own
    if isinstance(prompt, str) and prompt in PROMPTS:
        return with_prompt(own, prompt)
    if not isinstance(prompt, PromptConfig):
        path = Path(prompt).expanduser()
        found = load_prompt_config(path.parent if path.name == PROMPT_CONFIG_FILE else path)
        if found is None:
            raise InputError(
                f"'{prompt}' is no {PROMPT_CONFIG_FILE}, no folder that holds one, and none of "
                f"{', '.join(PROMPTS)}."
            )
        prompt = found
    return prompt.model_copy(
        update={"base": own.base or prompt.base, "licence": own.licence or prompt.licence}
    )


def prompt_config_of(model: str, adapter: str | None = None) -> PromptConfig:
    """The prompt configuration of an adapter's folder, else of the model's, else the default."""
    for name in (adapter, model):
        if name is not None and (found := load_prompt_config(Path(name).expanduser())):
            return found
    return PromptConfig(base=model)


def load_prompt_config(folder: Path) -> PromptConfig | None:
    """The prompt configuration in a folder, or None when the folder has none.

    Raises InputError when the file is there but is not a prompt configuration.
    """
    path = folder / PROMPT_CONFIG_FILE
    if not path.is_file():
        return None
    try:
        return PromptConfig.model_validate_json(read_text(path))
    except ValidationError as error:
        first = error.errors()[0]
        what = f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"
        raise InputError(
            f"'{path}' is not a prompt configuration of a TexLens model ({what})."
        ) from error

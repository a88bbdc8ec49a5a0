"""For other software that runs a model of TexLens: the conversation that the model was trained on.

transformers' own processors can scale a picture to an area. They cannot crop it to its ink, make the
ink dark on white, or bring the type to one size; and a processor class that is saved with a model runs
only as remote code. So a picture is framed before it is given to them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from texlens.errors import InputError
from texlens.model.load import EMBEDDED
from texlens.model.prompt_config import PROMPT_CONFIG_FILE, load_prompt_config
from texlens.reading.pictures.framing import NoInk, frame_of_folder, open_framed


def chat_messages(
    picture: Path | str | bytes | Image.Image, model: Path | str | None = None
) -> list[dict[str, Any]]:
    """The conversation that asks a model for the LaTeX of a picture, in transformers' chat form.

    `transformers.pipeline("image-text-to-text", model=...)` takes it as `text`, and a processor's
    `apply_chat_template` as it is. The picture in it is framed as the model's training pictures were.

    Args:
        picture: a file, the bytes of one, or an open image.
        model: the model's folder. None: the embedded model.

    Raises:
        InputError: the picture cannot be opened or shows nothing, or the folder has no `texlens.json`.
    """
    folder = EMBEDDED if model is None else Path(model).expanduser()
    prompt_config = load_prompt_config(folder)
    if prompt_config is None:
        raise InputError(f"'{folder}' has no {PROMPT_CONFIG_FILE}: copy that of the model's base.")
    source = Path(picture) if isinstance(picture, str) else picture
    try:
        image = open_framed(source, frame_of_folder(prompt_config, folder))
    except NoInk:
        raise InputError("The picture shows nothing that could be a formula.") from None
    return prompt_config.messages(image)

"""The settings of a model's image processor, without transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from texlens.errors import InputError

OWN_FILE = "preprocessor_config.json"
SHARED_FILE = "processor_config.json"
"""What transformers 5 writes in place of the first: the settings of all parts of a processor."""


def image_settings(folder: Path) -> dict[str, Any] | None:
    """The settings of the image processor in a model's folder; None where it has none.

    Raises InputError when the file is damaged or says nothing of patches.
    """
    for name in (OWN_FILE, SHARED_FILE):
        path = folder / name
        if not path.is_file():
            continue
        try:
            settings = json.loads(path.read_text(encoding="utf-8"))
            if name == SHARED_FILE:
                settings = settings.get("image_processor")
                if settings is None:
                    continue
            int(settings["patch_size"]), int(settings["merge_size"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"'{path}' does not say patch_size and merge_size.") from error
        return dict(settings)
    return None


def visual_token_px(settings: dict[str, Any]) -> int:
    """The side of a visual token in pixels."""
    return int(settings["patch_size"]) * int(settings["merge_size"])

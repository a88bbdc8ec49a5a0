"""The fonts that MathJax renders in: a script with the whole engine for each."""

from __future__ import annotations

import importlib.util
from importlib import resources
from importlib.resources.abc import Traversable

from texlens.errors import InputError


def fonts() -> list[str]:
    """MathJax's fonts: `tex`, and those of the package `texlens-fonts` if it is installed."""
    if importlib.util.find_spec("texlens_fonts") is None:
        return ["tex"]
    files = resources.files("texlens_fonts").joinpath("js").iterdir()
    scripts = sorted(file.name for file in files if file.name.endswith(".js"))
    return ["tex", *(name.removesuffix(".js") for name in scripts)]


def bundle(font: str) -> Traversable:
    """The script of a font. Raises InputError when its package is not installed."""
    if font == "tex":
        return resources.files("texlens.engine").joinpath("js", "engine.js")
    if font not in fonts():
        raise InputError(
            f"There is no font '{font}': there is {', '.join(fonts())}. More are in the package "
            "texlens-fonts."
        )
    return resources.files("texlens_fonts").joinpath("js", f"{font}.js")

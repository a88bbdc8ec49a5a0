"""What is installed here and what works: one finding for each part, which is tried."""

from __future__ import annotations

import importlib.util
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

from texlens.errors import TexlensError


@dataclass(frozen=True, slots=True)
class Finding:
    """One part, whether it works, and its version or what to do."""

    what: str
    works: bool
    detail: str


def diagnose() -> list[Finding]:
    """Try every part. Never raises: a part that fails is a finding."""
    findings = [
        Finding("Python", True, f"{platform.python_version()} on {platform.platform()}"),
        _tried("engine", _engine),
        _tried("PNG", _picture),
    ]
    for extra, modules in (
        ("read", ("onnxruntime", "tokenizers", "safetensors", "llguidance")),
        ("serve", ("fastapi", "uvicorn")),
        ("docx", ("docx",)),
        ("remote", ("openai",)),
        ("desk", ("pyperclip", "watchfiles")),
        ("tex", ("pypdfium2",)),
        ("data", ("pyarrow", "cv2", "matplotlib")),
        ("model", ("torch", "transformers", "peft")),
        ("train", ("trl", "accelerate", "datasets")),
    ):
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        detail = f"pip install 'texlens[{extra}]'" if missing else _versions(modules)
        findings.append(Finding(f"extra '{extra}'", not missing, detail))
    findings.append(_accelerator())
    pdflatex = shutil.which("pdflatex")
    detail = pdflatex or "optional: rendering by TeX"
    findings.append(Finding("pdflatex", pdflatex is not None, detail))
    return findings


def _tried(what: str, part: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, part())
    except Exception as error:  # a finding, whatever it is
        return Finding(what, False, f"{type(error).__name__}: {error}")


def _engine() -> str:
    from texlens.engine import Failure, get_engine

    engine = get_engine()
    (drawing,) = engine.draw([r"\frac{a}{b}"])
    if isinstance(drawing, Failure):
        raise TexlensError(drawing.message)
    return engine.signature


def _picture() -> str:
    from texlens.engine import Failure
    from texlens.render import png

    picture = png("x^2")
    if isinstance(picture, Failure):
        raise TexlensError(picture.message)
    return "rasterised by resvg"


def _accelerator() -> Finding:
    if importlib.util.find_spec("torch") is None:
        return Finding("GPU", False, "optional: needs the extra 'model'")
    import torch

    if torch.cuda.is_available():
        return Finding("GPU", True, torch.cuda.get_device_name())
    return Finding("GPU", False, "optional: everything runs on the CPU, training slowly")


def _versions(modules: tuple[str, ...]) -> str:
    names = {"cv2": "opencv-python-headless", "docx": "python-docx"}
    return ", ".join(f"{name} {metadata.version(names.get(name, name))}" for name in modules)

"""What is installed here and what works: one finding a part, each found by trying the part."""

from __future__ import annotations

import importlib.util
import platform
import shutil
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """One part, whether it works, and its version or what to do."""

    what: str
    works: bool
    detail: str

    def as_json(self) -> dict[str, Any]:
        """The finding as `texlens doctor --json` prints it."""
        return asdict(self)


def diagnose() -> list[Finding]:
    """Try every part. Never raises: what fails is a finding."""
    findings = [Finding("Python", True, f"{platform.python_version()} on {platform.platform()}")]
    findings.append(_engine())
    findings.append(_picture())
    for extra, modules in (
        ("read", ("onnxruntime", "tokenizers", "safetensors")),
        ("serve", ("fastapi", "uvicorn")),
        ("docx", ("docx",)),
        ("remote", ("openai",)),
        ("desk", ("pyperclip", "watchfiles")),
        ("data", ("pyarrow", "cv2", "matplotlib")),
        ("model", ("torch", "transformers", "peft")),
        ("train", ("trl", "accelerate", "datasets")),
    ):
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        detail = f"pip install 'texlens[{extra}]'" if missing else _versions(modules)
        findings.append(Finding(f"extra '{extra}'", not missing, detail))
    findings.append(_accelerator())
    for program, job in (
        ("pdflatex", "TeX rendering"),
        ("gs", "Ghostscript, for --cdm-engine tex"),
    ):
        found = shutil.which(program)
        findings.append(Finding(program, found is not None, found or f"optional: {job}"))
    return findings


def _engine() -> Finding:
    try:
        from texlens.engine import get_engine

        engine = get_engine()
        drawn = engine.draw([r"\frac{a}{b}"])[0]
        return Finding("engine", hasattr(drawn, "boxes"), engine.signature)
    except Exception as error:  # a finding, whatever it is
        return Finding("engine", False, f"{type(error).__name__}: {error}")


def _picture() -> Finding:
    try:
        from texlens.render import png

        return Finding("PNG", isinstance(png(r"x^2"), bytes), "drawn by resvg")
    except Exception as error:  # a finding, whatever it is
        return Finding("PNG", False, f"{type(error).__name__}: {error}")


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

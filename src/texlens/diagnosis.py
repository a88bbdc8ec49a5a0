"""What is installed here and what works: one finding for each part, which is tried."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

from texlens.errors import TexlensError
from texlens.imports import import_quietly, is_installed, leave_out_broken_torchvision


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
        *torchvision_findings(),  # first: the packages of 'model' try to import it
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
        findings.append(extra_finding(extra, modules))
    findings.append(_accelerator())
    pdflatex = shutil.which("pdflatex")
    detail = pdflatex or "optional: rendering by TeX"
    findings.append(Finding("pdflatex", pdflatex is not None, detail))
    return findings


def extra_finding(extra: str, modules: tuple[str, ...]) -> Finding:
    """Whether the modules of an extra can be imported."""
    what, versions = f"extra '{extra}'", []
    for name in modules:
        if not is_installed(name):
            return Finding(what, False, f"pip install 'texlens[{extra}]'")
        try:
            versions.append(f"{name} {_version(name)}")
        except (Exception, SystemExit) as error:  # what cannot be imported is as good as absent
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            return Finding(what, False, f"'{name}' is installed and cannot be imported: {reason}")
    return Finding(what, True, ", ".join(versions))


def _version(name: str) -> str:
    """The version of a module, which is imported; that of the package it came from, whichever it is."""
    module = import_quietly(name)
    own = getattr(module, "__version__", None)
    if own is not None:
        return str(own)
    packages = metadata.packages_distributions().get(name, [])
    return metadata.version(packages[0]) if packages else "of no known version"


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


def torchvision_findings() -> list[Finding]:
    """What is wrong with the torchvision that is installed, if anything: TexLens does without one."""
    failure = leave_out_broken_torchvision()
    if failure is None:
        return []
    detail = (
        "optional: it is installed and cannot be imported, and TexLens reads without it; other tools "
        f"need the one built for this torch ({failure})"
    )
    return [Finding("torchvision", False, detail)]


def _accelerator() -> Finding:
    try:
        import torch
    except (Exception, SystemExit):  # the extra 'model' says why
        return Finding("GPU", False, "optional: needs the extra 'model'")
    if torch.cuda.is_available():
        return Finding("GPU", True, torch.cuda.get_device_name())
    return Finding("GPU", False, "optional: everything runs on the CPU, training slowly")

"""What can be done here, and what is missing for the rest: one finding each, which is tried."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata, resources

from texlens.errors import TexlensError
from texlens.imports import import_quietly, is_installed, leave_out_broken_torchvision

# What each extra is for, and what it imports.
EXTRAS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("score", "score predictions", ("rapidfuzz", "rouge_score", "sacrebleu", "scipy")),
    (
        "serve",
        "serve a page and an API",
        ("fastapi", "uvicorn", "python_multipart", "prometheus_client"),
    ),
    ("mcp", "offer tools to assistants", ("mcp",)),
    ("docx", "write Word documents", ("docx",)),
    ("remote", "read by another server", ("openai",)),
    ("desk", "watch a folder, copy", ("pyperclip", "watchfiles")),
    ("hub", "push and pull models", ("huggingface_hub",)),
    ("data", "prepare data", ("pyarrow", "cv2", "matplotlib")),
    ("tex", "render by TeX", ("pypdfium2",)),
    ("cluster", "work on a Ray cluster and with object stores", ("ray", "upath")),
    ("browser", "render by Chromium", ("playwright", "fontTools")),
    ("model", "read by torch", ("torch", "transformers", "peft")),
    ("train", "train", ("trl", "accelerate", "datasets", "tensorboard")),
)
# Programs that TexLens runs where they are installed, and for what.
_PROGRAMS = (
    (("pdflatex",), "the metric `compiles`, CDM by TeX, pictures of formulas by TeX"),
    (("gs",), "labels for pictures (`data label`)"),
    (("chromium", "google-chrome"), "pictures of formulas in browsers' fonts"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What can be done, whether it works, and the versions or what is missing for it."""

    what: str
    works: bool
    detail: str


def diagnose() -> list[Finding]:
    """Try every part. Never raises: a part that fails is a finding."""
    return [
        Finding("Python", True, f"{platform.python_version()} on {platform.platform()}"),
        _tried("check LaTeX", _engine),
        _tried("render LaTeX", _picture),
        _tried("read pictures", _reading),
        *torchvision_findings(),  # first: the packages of 'model' try to import it
        *(extra_finding(*extra) for extra in EXTRAS),
        _screen(),
        _accelerator(),
        *(_program(names, use) for names, use in _PROGRAMS),
    ]


def extra_finding(extra: str, what: str, modules: tuple[str, ...]) -> Finding:
    """Whether what an extra is for can be done: all its modules can be imported."""
    absent = [name for name in modules if not is_installed(name)]
    if absent:
        return Finding(what, False, f"{', '.join(absent)}: pip install 'texlens[{extra}]'")
    versions = []
    for name in modules:
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


def _reading() -> str:
    from texlens.reading import Reader

    picture = resources.files("texlens") / "demo" / "02-euler.png"
    reading = Reader(backend="onnx").read(picture.read_bytes())
    if not reading.latex:
        raise TexlensError(", ".join(reading.warnings))
    return f"the embedded model, by onnxruntime {_version('onnxruntime')}"


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


def _screen() -> Finding:
    """Whether `snip` can work: windows, and a clipboard for what it reads."""
    missing = []
    if not is_installed("tkinter") or not is_installed("_tkinter"):
        missing.append("Python's Tk: on Debian and Ubuntu apt install python3-tk")
    if not is_installed("pyperclip"):
        missing.append("pyperclip: pip install 'texlens[desk]'")
    elif not _has_clipboard():
        missing.append("a clipboard: on Linux wl-clipboard or xclip, in a desktop session")
    return Finding("snip the screen", not missing, "; ".join(missing) or "by Python's Tk")


def _has_clipboard() -> bool:
    try:
        copy, _ = import_quietly("pyperclip").determine_clipboard()
    except Exception:  # it tries several toolkits
        return False
    return bool(copy)


def _accelerator() -> Finding:
    try:
        import torch
    except (Exception, SystemExit):  # "read by torch" says why
        return Finding("use a GPU", False, "torch: pip install 'texlens[model]'")
    if torch.cuda.is_available():
        return Finding("use a GPU", True, torch.cuda.get_device_name())
    return Finding(
        "use a GPU", False, "torch finds none: everything runs on the CPU, training slowly"
    )


def _program(names: tuple[str, ...], use: str) -> Finding:
    found = next(filter(None, map(shutil.which, names)), None)
    return Finding(f"run {names[0]}", found is not None, f"{found or 'not installed'}: for {use}")

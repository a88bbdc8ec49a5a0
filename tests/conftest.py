"""What all tests share: the optional development data, and the rule that no skip goes unnoticed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

# No deadline for one example: a busy machine is no bug. CI draws the same examples every time.
settings.register_profile(
    "texlens", deadline=None, derandomize=bool(os.environ.get("TEXLENS_STRICT_SKIPS"))
)
settings.load_profile("texlens")

REPOSITORY = Path(__file__).resolve().parents[1]

# A skip for one of these reasons is expected anywhere; every other one fails a run that sets
# TEXLENS_STRICT_SKIPS, as .ci/run does.
EXPECTED_SKIPS = (
    "development data absent",
    "TeX is installed",
    "wandb is not installed",
    "this process may not mount a file system",
    *filter(None, [os.environ.get("TEXLENS_EXPECTED_SKIPS")]),
)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real development data beside the checkout; the test skips where it is absent."""
    folder = Path(os.environ.get("TEXLENS_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("development data absent")
    return folder


@pytest.fixture(scope="session")
def pdflatex() -> str:
    """The path of pdflatex; the test skips where TeX is not installed."""
    found = shutil.which("pdflatex")
    if found is None:
        pytest.skip("pdflatex is not installed")
    return found


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2.5-VL with random weights, loud enough that its answers differ by picture."""
    import torch

    from texlens.model.processor import build_processor
    from texlens.model.prompt_config import PromptConfig
    from texlens.model.shape import Shape, build_model
    from texlens.model.tokenizer import build_tokenizer

    folder = tmp_path_factory.mktemp("model")
    prompt_config = PromptConfig(
        pixels_per_em=13.84, min_pixels=256, max_pixels=200_000, max_new_tokens=24
    )
    formulas = [r"\frac { a } { b } + x ^ { 2 } = \sum _ { i } y _ { i }", r"\sqrt { z } ( 1 - q )"]
    tokenizer = build_tokenizer(
        formulas, phrases=(prompt_config.system, prompt_config.instruction), min_count=1
    )
    shape = Shape(
        vision_width=64, vision_layers=2, vision_heads=2, vision_mlp=96,
        text_width=64, text_layers=2, text_heads=4, text_key_value_heads=2, text_mlp=96,
    )  # fmt: skip
    torch.manual_seed(0)
    model = build_model(shape, tokenizer)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(6)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(folder)
    build_processor(shape, tokenizer, prompt_config).save_pretrained(folder)
    prompt_config.save(folder)
    return folder


_unexpected_skips: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(expected in reason for expected in EXPECTED_SKIPS):
            _unexpected_skips.append(f"{report.nodeid}: {reason}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if os.environ.get("TEXLENS_STRICT_SKIPS") and _unexpected_skips and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if os.environ.get("TEXLENS_STRICT_SKIPS") and _unexpected_skips:
        terminalreporter.section("skips that should not be")
        for line in _unexpected_skips:
            terminalreporter.line(line)

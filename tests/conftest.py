"""What all tests share: the optional development data, and the rule that no skip goes unnoticed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

# A skip for one of these reasons is expected anywhere; every other one fails a run that sets
# TEXLENS_STRICT_SKIPS, as .ci/run does.
EXPECTED_SKIPS = ("development data absent",)


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

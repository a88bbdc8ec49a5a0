"""`texlens doctor` finds out what works, whatever state an installation is in."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from texlens import diagnosis


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    return tmp_path


def finding(*modules: str) -> diagnosis.Finding:
    return diagnosis.extra_finding("data", modules)


def test_a_module_may_come_from_any_package(packages: Path) -> None:
    (packages / "cv2.py").write_text("")
    wheel = packages / "opencv_contrib_python-4.5.0.dist-info"
    wheel.mkdir()
    (wheel / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: opencv-contrib-python\nVersion: 4.5.0\n"
    )
    (wheel / "top_level.txt").write_text("cv2\n")
    found = finding("cv2")
    assert found.works
    assert found.detail.startswith("cv2 ")


@pytest.mark.parametrize("code", ["import no_such_module", "1 / 0", "raise SystemExit(3)", "def"])
def test_a_module_that_cannot_be_imported_is_a_finding_of_one_line(
    packages: Path, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (packages / "cv2.py").write_text(f"print('noise')\n{code}\n")
    found = finding("cv2")
    assert not found.works
    assert found.detail.startswith("'cv2' is installed and cannot be imported: ")
    assert "\n" not in found.detail
    assert capsys.readouterr() == ("", "")


def test_a_missing_module_names_the_extra() -> None:
    assert finding("no_such_module").detail == "pip install 'texlens[data]'"

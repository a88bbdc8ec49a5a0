"""`texlens doctor` finds out what works, whatever state an installation is in."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from texlens import diagnosis

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    return tmp_path


def finding(*modules: str) -> diagnosis.Finding:
    return diagnosis.extra_finding("data", "prepare data", modules)


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


def test_missing_modules_and_their_extra_are_named() -> None:
    found = finding("no_such_module", "sys", "nor_this")
    assert found.detail == "no_such_module, nor_this: pip install 'texlens[data]'"


def test_every_module_that_is_looked_for_belongs_to_its_extra() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    packages = metadata.packages_distributions()
    for extra, _, modules in diagnosis.EXTRAS:
        required = {
            re.match(r"[\w-]+", line)[0].lower() for line in project["optional-dependencies"][extra]
        }
        for module in modules:
            assert required & {name.lower().replace("_", "-") for name in packages[module]}, (
                extra,
                module,
            )


def test_reading_is_tried() -> None:
    findings = {found.what: found for found in diagnosis.diagnose()}
    assert findings["read pictures"].works
    assert findings["read pictures"].detail.startswith("the embedded model, by onnxruntime ")


def test_snipping_needs_windows_and_a_clipboard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "is_installed", lambda name: False)
    found = diagnosis._screen()
    assert not found.works
    assert "python3-tk; pyperclip: pip install 'texlens[desk]'" in found.detail
    monkeypatch.setattr(diagnosis, "is_installed", lambda name: True)
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    found = diagnosis._screen()
    assert sys.platform != "linux" or "a clipboard: on Linux" in found.detail


def test_programs_that_are_not_there_are_named_with_their_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    findings = [diagnosis._program(names, use) for names, use in diagnosis._PROGRAMS]
    assert not any(found.works for found in findings)
    assert all(found.detail.startswith("not installed: for ") for found in findings)

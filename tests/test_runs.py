"""A run's folder: resumed with the same settings only, its files for whom the umask says."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from texlens import runs
from texlens.errors import InputError
from texlens.runs import begin_or_resume, write_text


def test_a_run_is_resumed_with_the_same_settings_only(tmp_path: Path) -> None:
    record = tmp_path / "out" / "settings.json"
    settings = {"seed": 1, "sizes": (1, 2), "model": "small"}
    begin_or_resume(record, settings)
    begin_or_resume(record, settings)
    with pytest.raises(InputError, match="another seed and model: give another --out"):
        begin_or_resume(record, {**settings, "seed": 2, "model": "large"})
    record.write_text("cut sho")
    with pytest.raises(InputError, match="unfinished run"):
        begin_or_resume(record, settings)


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_have_the_permissions_that_the_umask_leaves(
    tmp_path: Path, umask: int, mode: int
) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "file", "content")
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode
        assert os.umask(umask) == umask
    finally:
        os.umask(before)


def test_progress_of_slow_work_has_a_rate_from_the_first_item(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "_LOG_EVERY_SECONDS", 0.0)
    assert list(runs.progress("ab", total=2, unit="chunks")) == ["a", "b"]
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("1/2 chunks, ")
    assert second.endswith("about 0 min left")

"""A run's folder: resumed with the same settings only, its files for whom the umask says."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from texlens import runs
from texlens.errors import InputError
from texlens.runs import (
    atomic_write,
    begin_or_resume,
    check_out_file,
    open_out_folder,
    write_text,
)


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


def test_what_a_killed_process_left_is_removed_and_what_another_writes_is_not(
    tmp_path: Path,
) -> None:
    out, file = tmp_path / "out", tmp_path / "file.json"
    out.mkdir()
    code = (
        "import sys, os; from pathlib import Path; from texlens.runs import atomic_write\n"
        "with atomic_write(Path(sys.argv[1])) as stream: os._exit(9)"
    )
    for path in (out / "a", file, tmp_path / "other.json"):
        subprocess.run([sys.executable, "-c", code, path], check=False)
    with atomic_write(out / "b"):
        assert len(list(out.iterdir())) == 2
        check_out_file(file, force=False)
        open_out_folder(out, marker="marker", force=False)
        assert len(list(out.iterdir())) == 1
    assert [path.name for path in out.iterdir()] == ["b"]
    others = [path.name for path in tmp_path.iterdir() if path.is_file()]
    assert len(others) == 1
    assert others[0].startswith(".other.json.")

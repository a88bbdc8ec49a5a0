"""The cache of drawings: it changes nothing, is shared by processes, bounded, and expendable."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from texlens.engine import Drawing, Failure, get_engine
from texlens.metrics import cache
from texlens.metrics.cache import DiskCache, DrawingStore, cache_folder

FORMULAS = [
    r"\frac{a}{b}",
    "x^2",
    r"\frac{",
    r"\quad",
    r"\color{red} \sqrt{x}",
    r"\text{é} \ne \ud800",
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TEXLENS_CACHE", str(tmp_path))
    return tmp_path


def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(formulas: object, **_: object) -> None:
        raise AssertionError("a formula was drawn again")

    monkeypatch.setattr(get_engine(), "draw", refuse)


def test_a_second_run_reads_what_the_first_one_drew(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = get_engine().draw(FORMULAS)
    assert any(isinstance(f, Drawing) for f in fresh)
    assert any(isinstance(f, Failure) for f in fresh)
    assert DrawingStore().draw(FORMULAS) == fresh
    no_engine(monkeypatch)
    assert DrawingStore().draw([*FORMULAS, FORMULAS[0]]) == [*fresh, fresh[0]]


def test_another_engine_never_sees_these_drawings(monkeypatch: pytest.MonkeyPatch) -> None:
    DrawingStore().draw(FORMULAS)
    monkeypatch.setattr(DrawingStore, "signature", "another engine")
    no_engine(monkeypatch)
    with pytest.raises(AssertionError, match="drawn again"):
        DrawingStore().draw(FORMULAS)


def test_a_formula_is_drawn_once_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    store = DrawingStore(on_disk=False)
    first = store.draw(FORMULAS)
    no_engine(monkeypatch)
    assert store.draw(FORMULAS[::-1]) == first[::-1]


def test_without_the_disk_nothing_is_written(folder: Path) -> None:
    DrawingStore(on_disk=False).draw(FORMULAS)
    assert list(folder.iterdir()) == []


def test_failures_of_the_moment_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Failure("took longer than 1.5 s", None, "timeout")
    monkeypatch.setattr(get_engine(), "draw", lambda formulas: [slow for _ in formulas])
    assert DrawingStore().draw(["x"]) == [slow]
    monkeypatch.undo()
    assert isinstance(DrawingStore().draw(["x"])[0], Drawing)


@pytest.mark.parametrize(
    "junk", [b"no database at all" * 1000, b"SQLite format 3\0" + b"\7" * 9000]
)
def test_a_damaged_file_is_dropped_with_a_warning(folder: Path, junk: bytes) -> None:
    (folder / "drawings.sqlite").write_bytes(junk)
    with pytest.warns(UserWarning, match="damaged"):
        drawn = DrawingStore().draw(["x"])
    assert isinstance(drawn[0], Drawing)
    assert DrawingStore().draw(["x"]) == drawn


def test_a_damaged_row_is_drawn_again() -> None:
    drawn = DrawingStore().draw(["x"])
    connection = sqlite3.connect(cache_folder() / "drawings.sqlite")
    with connection:
        connection.execute("UPDATE drawings SET content = x'00ff'")
    connection.close()
    assert DrawingStore().draw(["x"]) == drawn


def test_where_no_file_can_be_kept_scoring_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "file").write_text("")
    monkeypatch.setenv("TEXLENS_CACHE", str(folder / "file" / "below"))
    with pytest.warns(UserWarning, match="cannot be used"):
        assert isinstance(DrawingStore().draw(["x"])[0], Drawing)


def test_without_shared_memory_the_file_is_used_all_the_same(folder: Path) -> None:
    # As on a network file system: the file of the shared memory cannot be opened.
    (folder / "c.sqlite-shm").mkdir()
    DiskCache(folder / "c.sqlite").put({b"key": b"content"})
    assert DiskCache(folder / "c.sqlite").get([b"key"]) == {b"key": b"content"}


def test_the_file_is_bounded_and_the_oldest_go_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MAX_BYTES", 200_000)
    disk = DiskCache(folder / "c.sqlite")
    for number in range(100):
        disk.put({bytes([number]): bytes(10_000)})
    kept = disk.get([bytes([number]) for number in range(100)])
    assert 5 < len(kept) < 25
    assert bytes([99]) in kept
    assert bytes([0]) not in kept
    assert (folder / "c.sqlite").stat().st_size < 2 * 200_000


@pytest.mark.slow
def test_processes_share_the_file(folder: Path) -> None:
    code = (
        "import sys; from texlens.metrics.cache import DrawingStore\n"
        "for start in range(0, 120, 10):\n"
        "    drawn = DrawingStore().draw([f'x_{{{n}}}' for n in range(start, start + 20)])\n"
        "    assert len(drawn) == 20\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", code], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for process in running:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()

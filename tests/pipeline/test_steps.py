"""Steps: done once, done again when an input changes, resumed after an interruption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from texlens.errors import InputError
from texlens.pipeline.steps import Steps, hash_files


class Work:
    """A step that leaves half of its work, then its result; and counts what it found."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.finished = folder, folder / "result"
        self.found: list[list[str]] = []
        self.dies_at = ""

    def __call__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.found.append([path.name for path in self.folder.iterdir()])
        for name in ("half", "result"):
            if self.dies_at == f"before {name}":
                raise KeyboardInterrupt
            (self.folder / name).write_text(name)
        if self.dies_at == "end":
            raise KeyboardInterrupt


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path / "step")


def go(tmp_path: Path, work: Work, inputs: dict[str, Any], dies_at: str = "") -> bool:
    work.dies_at = dies_at
    steps = Steps(tmp_path, quiet=True)
    if dies_at:
        with pytest.raises(KeyboardInterrupt):
            steps.run("one", inputs, work.finished, work)
        return True
    return steps.run("one", inputs, work.finished, work)


def test_a_step_is_done_once_for_the_same_inputs(tmp_path: Path, work: Work) -> None:
    assert go(tmp_path, work, {"a": (1, 2)})
    assert not go(tmp_path, work, {"a": [1, 2]})
    assert go(tmp_path, work, {"a": [1, 3]})
    assert work.found == [[], []]
    work.finished.unlink()  # someone took the result away
    assert go(tmp_path, work, {"a": [1, 3]})
    assert json.loads((tmp_path / "steps" / "one.json").read_text())["state"] == "done"


def test_a_step_that_was_killed_goes_on_with_what_it_left(tmp_path: Path, work: Work) -> None:
    go(tmp_path, work, {"a": 1}, dies_at="before result")
    assert go(tmp_path, work, {"a": 1})
    assert work.found == [[], ["half"]]


def test_other_inputs_do_not_go_on_with_what_was_begun(tmp_path: Path, work: Work) -> None:
    go(tmp_path, work, {"a": 1}, dies_at="before result")
    assert go(tmp_path, work, {"a": 2})
    assert work.found == [[], []]


def test_a_step_killed_after_its_last_file_is_not_done_again(tmp_path: Path, work: Work) -> None:
    go(tmp_path, work, {"a": 1}, dies_at="end")
    assert go(tmp_path, work, {"a": 1})
    assert len(work.found) == 1
    assert not go(tmp_path, work, {"a": 1})


def test_an_old_result_is_not_used_for_new_inputs(tmp_path: Path, work: Work) -> None:
    go(tmp_path, work, {"a": 1})
    go(tmp_path, work, {"a": 2}, dies_at="before half")
    assert not work.finished.exists()
    assert go(tmp_path, work, {"a": 2})
    assert len(work.found) == 3


def test_a_folder_with_other_files_is_not_touched(tmp_path: Path, work: Work) -> None:
    work.folder.mkdir()
    (work.folder / "mine").write_text("precious")
    with pytest.raises(InputError, match="not made by this pipeline"):
        go(tmp_path, work, {"a": 1})
    assert (work.folder / "mine").read_text() == "precious"


def test_files_count_by_their_content(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.txt").write_text("a")
    (folder / "b.bin").write_text("b")
    first = hash_files([folder])
    (folder / "b.bin").write_text("b")
    assert hash_files([folder]) == first
    (folder / "deep" / "a.txt").write_text("c")
    assert hash_files([folder]) != first
    only = hash_files([folder], suffixes=(".bin",))
    (folder / "deep" / "a.txt").write_text("d")
    assert hash_files([folder], suffixes=(".bin",)) == only
    (folder / "b.bin").rename(folder / "c.bin")
    assert hash_files([folder], suffixes=(".bin",)) != only

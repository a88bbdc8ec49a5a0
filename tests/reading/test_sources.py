"""From names to pictures."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

import pytest

from texlens.reading.sources import Item, find_pictures


def names(items: list[Item], folder: Path) -> list[str]:
    return [Path(item.name).relative_to(folder).as_posix() for item in items]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.JPG", "notes.txt", "sub/c.webp", "sub/d[1].gif"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def test_a_folder_gives_its_pictures_in_order(folder: Path) -> None:
    found = list(find_pictures([str(folder)]))
    assert names(found, folder) == ["a.JPG", "b.png", "sub/c.webp", "sub/d[1].gif"]


def test_a_pattern_gives_what_matches(folder: Path) -> None:
    assert names(list(find_pictures([f"{folder}/*.p?g"])), folder) == ["b.png"]


def test_a_file_with_a_pattern_in_its_name_is_a_file(folder: Path) -> None:
    found = list(find_pictures([f"{folder}/sub/d[1].gif"]))
    assert [item.picture for item in found] == [folder / "sub" / "d[1].gif"]


def test_a_pattern_without_match_is_one_error() -> None:
    (item,) = find_pictures(["nowhere/*.png"])
    assert item.picture is None
    assert item.error == "Nothing matches 'nowhere/*.png'."


def test_a_folder_without_pictures_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (item,) = find_pictures([str(tmp_path)])
    assert item.error is not None
    assert "contains no picture" in item.error


def test_a_folder_that_cannot_be_opened_is_one_error() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "a.png").write_bytes(b"x")
        (folder / "closed").mkdir(mode=0)
        user = os.geteuid()
        try:
            if user == 0:
                os.seteuid(65534)  # root can open every folder, nobody cannot
            found = list(find_pictures([name]))
        finally:
            os.seteuid(user)
            (folder / "closed").chmod(0o755)
    assert [item.error for item in found] == [
        None,
        f"Cannot open the folder '{folder / 'closed'}': Permission denied.",
    ]


def test_standard_input_is_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stream:
        buffer = io.BytesIO(b"bytes of a picture")

    monkeypatch.setattr("sys.stdin", Stream())
    assert list(find_pictures(["-"])) == [Item("standard input", b"bytes of a picture")]

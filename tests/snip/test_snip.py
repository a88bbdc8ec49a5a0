"""`texlens snip` on a screen of its own: real windows in Xvfb, the mouse and the keyboard by xdotool."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

import pytest
from PIL import Image

from texlens.snip.screen import Region

DEMO = resources.files("texlens") / "demo"
PLACE = (300, 200)  # of the formula on the screen
# A window that shows a formula, as a browser might.
SHOW = """
import sys, tkinter as tk
root = tk.Tk(); root.overrideredirect(True); root.geometry("1200x800+0+0"); root.configure(bg="white")
picture = tk.PhotoImage(file=sys.argv[1])
tk.Label(root, image=picture, borderwidth=0).place(x=sys.argv[2], y=sys.argv[3])
root.mainloop()
"""
TOOLS = ("Xvfb", "xdotool", "xclip")

slow = pytest.mark.slow


def test_a_region_has_its_corners_in_order() -> None:
    region = Region.between(50, 40, 10, 20)
    assert region == Region(10, 20, 50, 40)
    assert region.is_chosen
    assert not Region.between(10, 10, 12, 60).is_chosen


def test_a_region_of_a_screen_with_two_pixels_a_unit() -> None:
    picture = Image.new("RGB", (200, 100), "white")
    picture.paste("black", (20, 40, 60, 80))
    part = Region(10, 20, 30, 40).of(picture, 100, 50)
    assert part.size == (40, 40)
    assert part.getextrema() == ((0, 0),) * 3


class Desktop:
    """A screen, and what a person does there."""

    def __init__(self, display: str, folder: Path) -> None:
        self.environment = os.environ | {"DISPLAY": display}
        self.environment.pop("WAYLAND_DISPLAY", None)
        self.folder = folder
        self.output, self.errors = folder / "output", folder / "errors"
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, *command: str) -> subprocess.Popen[str]:
        # Into files: xclip, which keeps the clipboard, lives on and would keep a pipe open.
        with self.output.open("w") as output, self.errors.open("w") as errors:
            process = subprocess.Popen(
                command, env=self.environment, text=True, stdout=output, stderr=errors
            )
        self.processes.append(process)
        return process

    def end(self, process: subprocess.Popen[str]) -> tuple[int, str, str]:
        """Status and output of a process, the last that was started, when it has ended."""
        status = process.wait(timeout=20)
        return status, self.output.read_text(), self.errors.read_text()

    def do(self, *arguments: object) -> str:
        command = ["xdotool", *map(str, arguments)]
        return subprocess.run(
            command, env=self.environment, text=True, capture_output=True, check=False
        ).stdout

    def drag(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        self.do("mousemove", *start, "mousedown", 1)
        middle = [(a + b) // 2 for a, b in zip(start, end, strict=True)]
        self.do("mousemove", *middle, "sleep", 0.1, "mousemove", *end, "sleep", 0.1, "mouseup", 1)

    def clipboard(self) -> str:
        command = ["xclip", "-selection", "clipboard", "-o"]
        return subprocess.run(
            command, env=self.environment, text=True, capture_output=True, check=False
        ).stdout

    def screen(self) -> Image.Image:
        path = self.folder / "screen.png"
        code = "import sys; from PIL import ImageGrab; ImageGrab.grab().save(sys.argv[1])"
        subprocess.run([sys.executable, "-c", code, str(path)], env=self.environment, check=True)
        return Image.open(path).convert("RGB")


def wait_for(what: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


@pytest.fixture
def desktop(tmp_path: Path) -> Iterator[Desktop]:
    pytest.importorskip("tkinter", reason="Python's Tk is not installed")
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1200x800x24", "-nolisten", "tcp"],
        pass_fds=[write], stderr=subprocess.DEVNULL,
    )  # fmt: skip
    display = ":" + os.read(read, 16).decode().strip()
    desktop = Desktop(display, tmp_path)
    yield desktop
    for process in desktop.processes:
        process.kill()
        process.wait()
    server.terminate()
    server.wait()


def show_formula(desktop: Desktop, name: str = "01-quadratic.png") -> tuple[int, int]:
    """A formula on the screen. Returns the corner opposite to PLACE."""
    with Image.open(DEMO / name) as picture:  # type: ignore[arg-type]
        width, height = picture.size
        desktop.start(sys.executable, "-c", SHOW, str(DEMO / name), *map(str, PLACE))
    wait_for(lambda: desktop.screen().getpixel((5, 5)) == (255, 255, 255))
    return PLACE[0] + width, PLACE[1] + height


def snip(desktop: Desktop) -> subprocess.Popen[str]:
    """`texlens snip`, once its overlay has darkened the screen."""
    process = desktop.start(sys.executable, "-m", "texlens", "snip")
    wait_for(lambda: desktop.screen().getpixel((5, 5)) != (255, 255, 255))
    return process


@slow
def test_a_formula_of_the_screen_is_on_the_clipboard(desktop: Desktop) -> None:
    corner = show_formula(desktop)
    process = snip(desktop)
    desktop.drag(PLACE, corner)
    wait_for(lambda: desktop.do("search", "--onlyvisible", "--name", "^TexLens$"))
    wait_for(lambda: desktop.clipboard().startswith(r"x = \frac{-b \pm"))
    if folder := os.environ.get("TEXLENS_SCREENSHOTS"):
        desktop.screen().save(Path(folder) / "snip_window.png")
    (window, *_) = desktop.do("search", "--onlyvisible", "--name", "^TexLens$").split()
    desktop.do("windowfocus", "--sync", window, "key", "--window", window, "Escape")
    status, output, errors = desktop.end(process)
    assert (status, errors) == (0, "")
    assert output.startswith(r"x = \frac{-b \pm")


@slow
def test_the_next_reading_is_copied_by_the_down_key(desktop: Desktop) -> None:
    corner = show_formula(desktop, "22-tiny.png")
    process = snip(desktop)
    desktop.drag(PLACE, corner)
    wait_for(lambda: desktop.clipboard().startswith("F(x) ="))
    first = desktop.clipboard()
    (window, *_) = desktop.do("search", "--onlyvisible", "--name", "^TexLens$").split()
    desktop.do("windowfocus", "--sync", window, "key", "--window", window, "Down")
    wait_for(lambda: desktop.clipboard() != first)
    if folder := os.environ.get("TEXLENS_SCREENSHOTS"):
        time.sleep(0.3)
        desktop.screen().save(Path(folder) / "snip_alternatives.png")
    desktop.do("key", "--window", window, "Escape")
    assert desktop.end(process)[0] == 0


@slow
def test_escape_cancels_and_leaves_the_clipboard(desktop: Desktop) -> None:
    show_formula(desktop)
    process = snip(desktop)
    if folder := os.environ.get("TEXLENS_SCREENSHOTS"):
        desktop.do(
            "mousemove", *PLACE, "mousedown", 1, "mousemove", 400, 260, "mousemove", 460, 280
        )
        time.sleep(0.3)
        desktop.screen().save(Path(folder) / "snip_overlay.png")
    time.sleep(0.3)
    desktop.do("key", "Escape")
    assert desktop.end(process) == (0, "", "")
    assert desktop.clipboard() == ""


@slow
def test_without_a_screen_there_is_one_sentence() -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    done = subprocess.run(
        [sys.executable, "-m", "texlens", "snip"],
        env=environment, text=True, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "There is no screen to snip from" in done.stderr

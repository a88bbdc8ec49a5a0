"""Pictures per second of processor time, and memory over a long run, of each renderer.

    python benchmarks/renderers.py FORMULAS.txt [--renderers katex,mathml] [--minutes 30]

FORMULAS.txt holds one formula a line. Processor time is that of the process and of what it starts (TeX,
Chromium, Node), so that a busy machine gives the same numbers. With --minutes each renderer goes on for
so long, and the memory of the whole tree of processes is printed every minute: it should not grow.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from random import Random

from texlens.data.pictures.renderers import RENDERERS, Dropped, render_formulas
from texlens.data.pictures.renderers.browser import close_browser

BATCH = 96
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def tree() -> list[int]:
    """This process and all below it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [os.getpid()]
    for process in found:
        found += parents.get(process, [])
    return found


def usage() -> tuple[float, float]:
    """Processor time in seconds, that of ended children too, and memory in MB, of the tree.

    Pages that Chromium's processes share are counted once for each of them.
    """
    seconds, pages = 0.0, 0
    for process in tree():
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        seconds += sum(map(int, fields[11:15])) / TICKS
        pages += int(fields[21])
    return seconds, pages * PAGE / 1e6


def render_some(name: str, formulas: list[str], random: Random) -> int:
    """Render one batch in a random style; how many were dropped."""
    chosen = random.choices(formulas, k=BATCH)
    style = RENDERERS[name].choose_style(random)
    rendered = render_formulas(chosen, style, [Random(random.random()) for _ in chosen])
    return sum(isinstance(one, Dropped) for one in rendered)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("formulas", type=Path)
    parser.add_argument("--renderers", default=",".join(RENDERERS))
    parser.add_argument("--pictures", type=int, default=960)
    parser.add_argument("--minutes", type=float)
    arguments = parser.parse_args()
    formulas = arguments.formulas.read_text(encoding="utf-8").splitlines()
    for name in arguments.renderers.split(","):
        if reason := RENDERERS[name].missing():
            print(f"{name}: {reason}")
            continue
        random = Random(name)
        render_some(name, formulas, random)  # warm
        made = dropped = 0
        before, _ = usage()
        started = reported = time.monotonic()
        while made < arguments.pictures or (
            arguments.minutes and time.monotonic() - started < 60 * arguments.minutes
        ):
            made, dropped = made + BATCH, dropped + render_some(name, formulas, random)
            if arguments.minutes and time.monotonic() - reported > 60:
                reported = time.monotonic()
                print(
                    f"  {name}: {(reported - started) / 60:.0f} min, {made} pictures, {usage()[1]:.0f} MB",
                    flush=True,
                )
        after, memory = usage()
        print(
            f"{name}: {made / (after - before):.0f} pictures a second of processor time, "
            f"{dropped} of {made} dropped, {memory:.0f} MB",
            flush=True,
        )
        close_browser()


if __name__ == "__main__":
    main()

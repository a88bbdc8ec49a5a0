"""Pictures per second of processor time, and memory over a long run, of each renderer.

    python benchmarks/renderers.py FORMULAS.txt [--renderers katex,mathml] [--minutes 30]

FORMULAS.txt holds one formula a line. Processor time is that of the process and of what it starts (TeX,
Chromium, Node), so that a busy machine gives the same numbers; that of the first batches, in which fonts
are loaded, is printed apart. With --minutes each renderer goes on for so long, and the memory of the
whole tree of processes is printed every minute: it should not grow.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from random import Random
from statistics import mean

from texlens.data.pictures.renderers import RENDERERS, Dropped, render_formulas
from texlens.data.pictures.renderers.browser import close_browser

BATCH = 96
WARM = 32, 4  # batches, and formulas in each: enough to meet all fonts
TICKS = os.sysconf("SC_CLK_TCK")


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


def processor_seconds() -> float:
    """Processor time of the tree, that of ended children too."""
    seconds = 0.0
    for process in tree():
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        seconds += sum(map(int, fields[11:15])) / TICKS
    return seconds


def memory() -> float:
    """Memory of the tree in MB; a page that processes share is counted once (Linux: PSS)."""
    kilobytes = 0
    for process in tree():
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes * 1.024e-3


def render_some(name: str, formulas: list[str], random: Random, count: int = BATCH) -> int:
    """Render one batch in a random style; how many were dropped."""
    chosen = random.choices(formulas, k=count)
    style = RENDERERS[name].choose_style(random)
    rendered = render_formulas(chosen, style, [Random(random.random()) for _ in chosen])
    return sum(isinstance(one, Dropped) for one in rendered)


def run_for(name: str, formulas: list[str], random: Random, minutes: float) -> None:
    """Render for so long, and print memory every minute: the mean of all batches, and the peak."""
    started = reported = time.monotonic()
    made, sizes = 0, list[float]()
    while reported - started < 60 * minutes:
        render_some(name, formulas, random)
        made += BATCH
        sizes.append(memory())
        if time.monotonic() - reported >= 60:
            reported = time.monotonic()
            print(
                f"  {name}: {(reported - started) / 60:.0f} min, {made} pictures, "
                f"{mean(sizes):.0f} MB, peak {max(sizes):.0f} MB",
                flush=True,
            )
            sizes = []


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
        started = processor_seconds()
        batches, count = WARM
        for _ in range(batches):
            render_some(name, formulas, random, count)
        made = dropped = 0
        warm = processor_seconds()
        while made < arguments.pictures:
            made, dropped = made + BATCH, dropped + render_some(name, formulas, random)
        print(
            f"{name}: {made / (processor_seconds() - warm):.0f} pictures a second of processor time "
            f"after {warm - started:.1f} s, {dropped} of {made} dropped, {memory():.0f} MB",
            flush=True,
        )
        if arguments.minutes:
            run_for(name, formulas, random, arguments.minutes)
        close_browser()


if __name__ == "__main__":
    main()

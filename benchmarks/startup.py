"""How long from the shell to the first reading, by torch and by onnxruntime?

    python benchmarks/startup.py [--runs 5] [--picture FILE]

Starts `texlens read PICTURE` in a process of its own, `--runs` times with each backend in turn, after
one start of each that fills the disk cache. Prints the median and the fastest wall clock, the median
processor time (which other work on the machine hardly disturbs), and whether both read the same.
The claims: torch below 8 s, onnxruntime below 1.5 s.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

DEMO = Path(__file__).resolve().parents[1] / "src" / "texlens" / "demo" / "01-quadratic.png"
LIMITS = {"torch": 8.0, "onnx": 1.5}  # seconds


def processor_seconds() -> float:
    """Of all processes that were started here and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--picture", default=str(DEMO))
    arguments = parser.parse_args()

    def start(backend: str) -> tuple[float, float, str]:
        """Wall clock and processor seconds of one start, and what it read."""
        command = [sys.executable, "-m", "texlens", "read", "--backend", backend, arguments.picture]
        before, clock = processor_seconds(), time.perf_counter()
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        return time.perf_counter() - clock, processor_seconds() - before, result.stdout

    first = {backend: start(backend) for backend in LIMITS}
    runs: dict[str, list[tuple[float, float, str]]] = {backend: [] for backend in LIMITS}
    for _ in range(arguments.runs):
        for backend, timed in runs.items():
            timed.append(start(backend))
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, load average {os.getloadavg()[0]:.1f}, "
        f"{arguments.runs} runs of each"
    )
    medians = {}
    for backend, timed in runs.items():
        clock, processor = ([run[i] for run in timed] for i in (0, 1))
        medians[backend] = statistics.median(clock)
        print(
            f"{backend:6} {medians[backend]:6.2f} s median, {min(clock):6.2f} s fastest, "
            f"{statistics.median(processor):6.2f} s of processor time (limit {LIMITS[backend]} s)"
        )
    print(f"ratio  {medians['torch'] / medians['onnx']:6.2f}")
    print(f"same reading: {'yes' if first['torch'][2] == first['onnx'][2] else 'NO'}")


if __name__ == "__main__":
    main()

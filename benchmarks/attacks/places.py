"""Commands where they cannot write: how does each end, and what does it leave?

    python benchmarks/attacks/places.py [--out attacks.jsonl] [--only PLACE ...]

Linux, as root (for the small file systems). The places: a disk with 0, 8 or 64 KB left, a read-only one, a
standard output on a full disk, a pipe closed after one line, a working directory that is gone, a cache on a
full disk and on a read-only one, two processes with one new cache, and umask 077.

A failure is a traceback, an internal error, more than one sentence, the wrong exit status, or a file that
is half-written.
"""

from __future__ import annotations

import argparse
import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kills import HERE, left, write_inputs
from ledger import HANG_SECONDS

JSON_MARKERS = ("metrics.json", "dataset.json", "out.json")


def commands(inputs: Path, out: Path) -> dict[str, list[str]]:
    """Command lines that write into `out`."""
    lines: dict[str, list[Any]] = {
        "score": ["score", inputs / "predictions.jsonl", "--metrics", "bleu,layout", "--report",
                  "--out", out / "scores"],
        "evaluate": ["evaluate", "--data", inputs / "set.parquet", "--recogniser",
                     "slow_recogniser:make", "--metrics", "exact,layout", "--out", out / "run"],
        "prepare": ["data", "prepare", "synthetic", "--count", "40", "--sizes", "20/5/5",
                    "--out", out / "data"],
        "read": ["read", inputs / "pictures", "--backend", "onnx", "--json", "--out", out / "out.json"],
        "render": ["render", "x^2", "--out", out / "x.png"],
    }  # fmt: skip
    return {
        name: [sys.executable, "-m", "texlens", *map(str, line)] for name, line in lines.items()
    }


def printing(inputs: Path) -> dict[str, list[str]]:
    """Command lines that print."""
    lines: dict[str, list[Any]] = {
        "score": ["score", inputs / "predictions.jsonl", "--metrics", "bleu"],
        "score --json": ["score", inputs / "predictions.jsonl", "--metrics", "bleu", "--json"],
        "read": ["read", inputs / "pictures", "--backend", "onnx"],
        "read --json": ["read", inputs / "pictures", "--backend", "onnx", "--json"],
        "normalize": ["normalize", "--file", inputs / "formulas.txt"],
        "check": ["check", "--file", inputs / "formulas.txt"],
        "recipes": ["recipes"],
        "doctor": ["doctor"],
    }
    return {
        name: [sys.executable, "-m", "texlens", *map(str, line)] for name, line in lines.items()
    }


@contextmanager
def small_disk(free_kb: int | None) -> Iterator[Path]:
    """A file system of 1 MB with so much room, or (None) one that cannot be written."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
        try:
            if free_kb is None:
                subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
            else:
                (Path(folder) / "filling").write_bytes(bytes(2**20 - 1024 * free_kb - 4096))
                if free_kb == 0:
                    (Path(folder) / "filling2").write_bytes(bytes(4096))
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """The command, to its end."""
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True,
        **{"cwd": HERE, "stdout": subprocess.DEVNULL} | options,
    )  # fmt: skip
    _, errors = process.communicate(timeout=HANG_SECONDS)
    if remaining := left(process.pid):
        errors += f"\nProcesses left: {remaining}"
    return subprocess.CompletedProcess(command, process.returncode, "", errors)


def wrong(
    done: subprocess.CompletedProcess[str], statuses: tuple[int, ...], sentences: int
) -> list[str]:
    """What is wrong about the end of a command; progress and warnings are no sentences of its own."""
    said = [line for line in done.stderr.splitlines() if line.startswith("texlens: ")]
    problems = [
        word for word in ("Traceback", "internal error", "Processes left") if word in done.stderr
    ]
    if done.returncode not in statuses:
        problems.append(f"status {done.returncode}")
    if len(said) != sentences:
        problems.append(f"{len(said)} sentences")
    return [f"{', '.join(problems)}: {done.stderr[-600:]}"] if problems else []


def half_written(folder: Path) -> list[str]:
    """Temporary files, and results that are no whole JSON."""
    found = [f"left: {path.name}" for path in folder.rglob(".*.part")]
    for path in (path for name in JSON_MARKERS for path in folder.rglob(name)):
        try:
            json.loads(path.read_text("utf-8"))
        except ValueError:
            found.append(f"half: {path.name}")
    return found


Failures = Iterator[tuple[str, list[str]]]


def on_small_disks(inputs: Path) -> Failures:
    for free in (0, 8, 64, None):
        for name in commands(inputs, inputs):
            with small_disk(free) as disk:
                done = run(commands(inputs, disk)[name])
                complete = done.returncode == 0
                fits = free == 64 or (name == "render" and free)
                problems = wrong(done, (0, 1, 2) if fits else (1, 2), 0 if complete else 1)
                yield (
                    f"{name}, {'read-only' if free is None else f'{free} KB left'}",
                    (problems + half_written(disk)),
                )


def to_full_output(inputs: Path) -> Failures:
    for name, line in printing(inputs).items():
        with Path("/dev/full").open("w") as full:
            yield f"{name} > /dev/full", wrong(run(line, stdout=full), (1,), 1)


def to_closed_pipe(inputs: Path) -> Failures:
    for name, line in printing(inputs).items():
        reading, writing = os.pipe()
        with subprocess.Popen(["head", "-1"], stdin=reading, stdout=subprocess.DEVNULL):
            os.close(reading)
            done = run(line, stdout=writing)
            os.close(writing)
        yield f"{name} | head -1", wrong(done, (0, 1), 0)


def in_vanished_folder(inputs: Path) -> Failures:
    with tempfile.TemporaryDirectory() as folder:
        lines = {f"{name} prints": line for name, line in printing(inputs).items()}
        lines |= commands(inputs, Path(folder))
        for name, line in lines.items():
            command = ["sh", "-c", 'd=$(mktemp -d); cd "$d"; rmdir "$d"; exec "$@"', "sh", *line]
            refused = name == "doctor prints"  # it imports torch, whose MKL ends the process there
            yield (
                f"{name}, no working directory",
                wrong(run(command), (2 if refused else 0,), refused),
            )


def with_odd_cache(inputs: Path) -> Failures:
    line = [*printing(inputs)["score"][:-1], "layout"]
    for free in (0, 64, None):
        with small_disk(free) as disk:
            done = run(line, env={**os.environ, "TEXLENS_CACHE": str(disk / "cache")})
            warned = done.stderr.count("The cache '")
            problems = wrong(done, (0,), warned)
            if warned > 1 or (free != 64 and not warned):
                problems.append(f"{warned} warnings")
            yield f"cache {'read-only' if free is None else f'{free} KB left'}", problems
    with tempfile.TemporaryDirectory() as folder:
        options = {"env": {**os.environ, "TEXLENS_CACHE": folder}, "cwd": HERE, "text": True}
        both = [subprocess.Popen(line, stderr=-1, stdout=-1, **options) for _ in range(2)]
        ends = [(process.communicate(timeout=HANG_SECONDS), process.returncode) for process in both]
        same = ends[0][0][0] == ends[1][0][0]
        quiet = all(code == 0 and not errors for (_, errors), code in ends)
        yield "two processes, one cache", [] if same and quiet else [str(ends)]


def under_umask(inputs: Path) -> Failures:
    for name in commands(inputs, inputs):
        with tempfile.TemporaryDirectory() as folder:
            done = run(commands(inputs, Path(folder))[name], umask=0o077)
            files = list(Path(folder).rglob("*"))
            open_ = [path.name for path in files if stat.S_IMODE(path.stat().st_mode) & 0o077]
            yield f"{name}, umask 077", wrong(done, (0,), 0) + [f"open: {name}" for name in open_]


PLACES: dict[str, Callable[[Path], Failures]] = {
    "disks": on_small_disks,
    "output": to_full_output,
    "pipe": to_closed_pipe,
    "folder": in_vanished_folder,
    "cache": with_odd_cache,
    "umask": under_umask,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("attacks.jsonl"))
    parser.add_argument("--only", choices=PLACES, nargs="*", default=list(PLACES))
    arguments = parser.parse_args()
    # An empty entry would be the working directory, without which Python does not start.
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(HERE), os.environ.get("PYTHONPATH")])
    )
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder)
        write_inputs(inputs)
        for place in arguments.only:
            count, failed = 0, []
            for what, problems in PLACES[place](inputs):
                count += 1
                failed += [f"{what}: {problem}" for problem in problems]
                print("failed" if problems else "ok    ", what, *problems, flush=True)
            record = {"attack": "places", "first": place, "n": count, "failures": failed}
            failures += failed
            with arguments.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()

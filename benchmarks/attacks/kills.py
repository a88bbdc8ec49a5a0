"""SIGKILL at random moments of `score`, `evaluate`, `data prepare` and `read --json --out`, then the end.

    python benchmarks/attacks/kills.py [--kills 13] [--seed 0] [--out attacks.jsonl] [COMMAND ...]

Every command runs undisturbed once. Then it is killed up to three times, each time at a random moment of
its run, and given again until it ends; what it has written must be the same to the byte, with nothing beside
it, except for times, speeds, and what was read after the last kill. No process of it may be left.

A failure is another result, a file too many or too few, an exit status other than 0, or a process left.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

from ledger import HANG_SECONDS, attack

from texlens.data.parquet import write_examples
from texlens.records import Example

HERE = Path(__file__).resolve().parent
FORMULAS = (HERE.parent / "formulas.txt").read_text("utf-8").splitlines()
IN_A_ROW = 3
_TIMES = re.compile(rb'"(seconds|pictures|pictures_per_second)": [\d.null]+')


def write_inputs(folder: Path) -> None:
    """A predictions file, a data set, and a corpus of pictures."""
    demo = resources.files("texlens") / "demo"
    pictures = {
        file.name: file.read_bytes()
        for file in sorted(demo.iterdir(), key=lambda file: file.name)
        if file.name[:2] in ("01", "02", "03", "06", "09", "12", "18", "19")
    }
    (folder / "pictures").mkdir()
    for name, content in pictures.items():
        (folder / "pictures" / name).write_bytes(content)
    lines = [
        json.dumps({"id": str(n), "gt": a, "pred": b})
        for n, (a, b) in enumerate(pairwise(FORMULAS))
    ]
    (folder / "predictions.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "formulas.txt").write_text("\n".join(FORMULAS) + "\n", "utf-8")
    image = next(iter(pictures.values()))
    examples = [Example(str(n), image, formula) for n, formula in enumerate(FORMULAS[:60])]
    write_examples(folder / "set.parquet", examples)


def command(name: str, inputs: Path, out: Path) -> list[str]:
    """The command line; what it writes is in the folder `out`."""
    rest = {
        "score": ["score", inputs / "predictions.jsonl", "--no-cache", "--report",
            "--metrics", "cdm,layout,bleu,edit_tokens", "--out", out / "x"],
        "evaluate": [
            "evaluate", "--data", inputs / "set.parquet", "--recogniser", "slow_recogniser:make",
            "--metrics", "exact,edit_tokens,layout", "--out", out / "x",
        ],
        "prepare": [
            "data", "prepare", "synthetic", "--count", "40", "--sizes", "20/5/5", "--out", out / "x"
        ],
        "read": [
            "read", inputs / "pictures", "--backend", "onnx", "--json", "--out", out / "x.json",
        ],
    }[name]  # fmt: skip
    return [sys.executable, "-m", "texlens", *map(str, rest)]


def contents(folder: Path) -> dict[str, str]:
    """A hash of every file below a folder, times left out."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(
            _TIMES.sub(b"", path.read_bytes())
        ).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def start(name: str, inputs: Path, out: Path) -> subprocess.Popen[bytes]:
    """The command in a session of its own, by which its processes are found."""
    return subprocess.Popen(
        command(name, inputs, out),
        cwd=HERE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def left(session: int) -> list[int]:
    """The processes of a session that are alive (Linux)."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


def killed_runs(
    kills: int, name: str, inputs: Path, expected: Any, rng: random.Random
) -> list[str]:
    """What went wrong in one run that is killed so many times."""
    failures, (whole, seconds) = [], expected
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        for _ in range(kills):
            process = start(name, inputs, out)
            try:
                process.communicate(timeout=rng.uniform(0.02, 1.0) * seconds)
                if (out / "x.json").exists():  # ended before it was killed
                    (out / "x.json").unlink()
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
            until = time.monotonic() + 30
            while left(process.pid) and time.monotonic() < until:
                time.sleep(0.1)
            if remaining := left(process.pid):
                failures.append(f"{name}: processes {remaining} are left")
        if not any((out / "x" / marker).exists() for marker in ("metrics.json", "dataset.json")):
            process = start(name, inputs, out)
            _, errors = process.communicate(timeout=HANG_SECONDS)
            if process.returncode:
                failures.append(
                    f"{name}: ended with {process.returncode}: {errors.decode()[-300:]}"
                )
        found = contents(out)
        changed = [key for key in {**whole, **found} if whole.get(key) != found.get(key)]
        if changed:
            failures.append(f"{name}: other content after {kills} kills: {changed}")
    return failures


def attack_block(
    numbers: Sequence[int], name: str, seed: int, state: dict[str, Any]
) -> dict[str, Any]:
    """One run, killed once for each of the numbers."""
    if not state:
        state["folder"] = tempfile.TemporaryDirectory()
        inputs = state["inputs"] = Path(state["folder"].name) / "in"
        inputs.mkdir()
        write_inputs(inputs)
        out = inputs.parent / "out"
        out.mkdir()
        begun = time.monotonic()
        process = start(name, inputs, out)
        _, errors = process.communicate()
        if process.returncode:
            raise SystemExit(
                f"{name} undisturbed ended with {process.returncode}: {errors.decode()}"
            )
        state["expected"] = contents(out), time.monotonic() - begun
    rng = random.Random(f"{seed} {name} {numbers[0]}")
    failures = killed_runs(len(numbers), name, state["inputs"], state["expected"], rng)
    return {"failures": failures}


def main() -> None:
    names = ("score", "evaluate", "prepare", "read")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help=f"of {', '.join(names)}")
    parser.add_argument("--kills", type=int, default=13, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("attacks.jsonl"))
    arguments = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    failures = 0
    for name in arguments.commands or names:
        block = partial(attack_block, name=name, seed=arguments.seed, state={})
        label = f"kills of {name}, seed {arguments.seed}"
        sums = attack(label, arguments.kills, IN_A_ROW, block, arguments.out)
        failures += sums["failures"]
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()

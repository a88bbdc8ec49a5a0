"""Runs other people's software with TexLens, each in an environment of its own: `make interop`.

    python interop/suite.py [CASE ...] [--cache FOLDER] [--table FILE]

A case is a script of `cases/`. It passes if it ends with status 0; its last line of output is what
it found. The table of versions and results is printed, and written to `--table` when every case
ran. The exit status is 1 if any case failed. INTEROP_CACHE names another cache folder, TORCH_INDEX
an index with torch for CPUs.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from environments import HERE, ROOT, dependencies, open_environment, run, versions

CASES = sorted((HERE / "cases").glob("[a-z]*.py"))
MOST_SECONDS = 600  # for one case, installed


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a case; times in seconds."""

    case: str
    versions: str
    passed: bool
    found: str
    install_s: float
    run_s: float

    def __str__(self) -> str:
        result = "passed" if self.passed else "**failed**"
        times = f"{self.install_s:.0f} s | {self.run_s:.0f} s"
        return f"| {self.case} | {self.versions} | {result} | {self.found} | {times} |"


def run_case(script: Path, cache: Path, shared: Path, texlens: Path) -> Row:
    """Install a case's packages and run it; its output goes to a log beside its environment."""
    name, start, found, installed = script.stem, time.monotonic(), "", ""
    packages, log = dependencies(script), cache / f"{script.stem}.log"
    out = cache / "out" / name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    ready = start
    try:
        python = open_environment(cache, packages)
        ready, installed = time.monotonic(), versions(python, packages)
        environment = os.environ | {
            "INTEROP_SHARED": str(shared), "INTEROP_OUT": str(out), "INTEROP_TEXLENS": str(texlens),
            "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(HERE), "PATH": f"{python.parent}:{os.environ['PATH']}",
        }  # fmt: skip
        with log.open("w") as stream:
            passed = not subprocess.run(
                [python, script], stdout=stream, stderr=subprocess.STDOUT, cwd=out,
                env=environment, timeout=MOST_SECONDS,
            ).returncode  # fmt: skip
        found = log.read_text(errors="replace").strip().splitlines()[-1]
    except subprocess.TimeoutExpired:
        passed, found = False, f"not finished after {MOST_SECONDS} s"
    except RuntimeError as error:  # of the installation
        log.write_text(str(error))
        passed, found = False, "the packages cannot be installed"
    if not passed:
        found = f"{found[:200]} ({log})"
    end = time.monotonic()
    return Row(name, installed, passed, found.replace("|", "\\|"), ready - start, end - ready)


def table(rows: Sequence[Row], seconds: float) -> str:
    """The rows in Markdown, with what they ran on."""
    commit = run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"]).strip()
    lines = [
        "# Results of `make interop`",
        "",
        f"{date.today()}, commit {commit}, Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"CPU alone, the embedded model; {seconds / 60:.0f} minutes.",
        "",
        "| case | versions | result | found | installed in | ran in |",
        "|---|---|---|---|---|---|",
        *map(str, rows),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run the cases that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [script.stem for script in CASES]
    parser.add_argument("case", nargs="*", choices=[[], *names], help=", ".join(names))
    parser.add_argument(
        "--cache", type=Path, default=os.environ.get("INTEROP_CACHE", ROOT / ".interop")
    )
    parser.add_argument("--table", type=Path, default=ROOT / "docs" / "interop_results.md")
    arguments = parser.parse_args()
    cache, start = Path(arguments.cache).resolve(), time.monotonic()
    shared, inputs = cache / "shared", HERE / "inputs.py"
    own = open_environment(cache, dependencies(inputs))
    shutil.rmtree(shared, ignore_errors=True)
    run([own, inputs, shared])
    print(f"TexLens and what the cases share: {time.monotonic() - start:.0f} s", flush=True)
    rows = []
    for script in CASES:
        if not arguments.case or script.stem in arguments.case:
            rows.append(run_case(script, cache, shared, own.parent / "texlens"))
            print(rows[-1], flush=True)
    result = table(rows, time.monotonic() - start)
    print(f"\n{result}")
    if not arguments.case:
        arguments.table.write_text(result, encoding="utf-8")
    return int(not all(row.passed for row in rows))


if __name__ == "__main__":
    sys.exit(main())

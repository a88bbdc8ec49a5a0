"""The attacks of benchmarks/attacks in short: nothing is lost, breaks, hangs, or stays half-written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ATTACKS = Path(__file__).resolve().parents[1] / "benchmarks" / "attacks"


def attack(folder: Path, name: str, *options: str) -> list[dict[str, object]]:
    """The records of an attack that finds nothing."""
    ledger = folder / "attacks.jsonl"
    command = [sys.executable, ATTACKS / f"{name}.py", *options, "--out", ledger]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return [json.loads(line) for line in ledger.read_text("utf-8").splitlines()]


def test_mutated_formulas(tmp_path: Path) -> None:
    (record,) = attack(tmp_path, "formulas", "--count", "60", "--seed", "1")
    assert (record["n"], record["failures"]) == (60, [])


def test_mutated_pictures_take_bounded_memory(tmp_path: Path) -> None:
    (record,) = attack(tmp_path, "pictures", "--count", "30", "--seed", "1")
    assert (record["n"], record["lost"], record["failures"]) == (30, 0, [])


@pytest.mark.slow
@pytest.mark.parametrize("command", ["score", "evaluate", "prepare", "read"])
def test_killed_runs_end_as_undisturbed_ones(tmp_path: Path, command: str) -> None:
    (record,) = attack(tmp_path, "kills", command, "--kills", "2", "--seed", "1")
    assert (record["n"], record["failures"]) == (2, [])


@pytest.mark.slow
@pytest.mark.parametrize("place", ["output", "folder", "umask"])
def test_commands_where_they_cannot_write(tmp_path: Path, place: str) -> None:
    (record,) = attack(tmp_path, "places", "--only", place)
    assert record["failures"] == []

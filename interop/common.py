"""What the cases use. Standard library alone, since each runs in an environment of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SHARED = Path(os.environ["INTEROP_SHARED"])
OUT = Path(os.environ["INTEROP_OUT"])
MODEL, DATA = SHARED / "model", SHARED / "data"
PICTURES = sorted((SHARED / "pictures").iterdir())


def local_readings() -> dict[str, dict[str, str]]:
    """By picture: `text` and `normal` of TexLens's reading, without guards and second looks."""
    readings: dict[str, dict[str, str]] = json.loads((SHARED / "readings.json").read_text())
    return readings


def require(condition: object, message: str) -> None:
    """Fail with one line unless the condition holds."""
    if not condition:
        raise SystemExit(message)


def texlens(*arguments: str | Path) -> str:
    """What TexLens's command prints, run in its own environment."""
    command = [os.environ["INTEROP_TEXLENS"], *map(str, arguments)]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(command, text=True, capture_output=True, env=environment)
    print(result.stderr)
    require(result.returncode == 0, f"{' '.join(command)} ended with {result.returncode}")
    return result.stdout


def texlens_readings(*arguments: str | Path) -> list[dict[str, Any]]:
    """The readings of `texlens read` of all pictures."""
    document = json.loads(texlens("read", *arguments, "--json", *PICTURES))
    readings: list[dict[str, Any]] = (
        document["readings"] if isinstance(document, dict) else document
    )
    return readings


@contextmanager
def server(
    command: Sequence[str | Path], ready: str, seconds: float = 240, **variables: str
) -> Iterator[str]:
    """A server that is stopped at the end; its address. `{port}` in the command is a free port.

    `ready` is a path that answers once the server is up.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    parts = [str(part).replace("{port}", str(port)) for part in command]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    process = subprocess.Popen(parts, env=environment | variables, start_new_session=True)
    try:
        end = time.monotonic() + seconds
        while not _answers(f"{address}{ready}"):
            require(process.poll() is None, f"{parts[0]} ended with {process.poll()}")
            require(time.monotonic() < end, f"{parts[0]} did not answer within {seconds:.0f} s")
            time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=60)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except OSError:
        return False


def losses(history: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """The mean loss of the first and of the last fourth of a run's log."""
    values = [float(entry["loss"]) for entry in history if "loss" in entry]
    part = max(1, len(values) // 4)
    return sum(values[:part]) / part, sum(values[-part:]) / part

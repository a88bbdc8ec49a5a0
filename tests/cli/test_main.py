"""What holds for every command."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

posix = pytest.mark.skipif(os.name == "nt", reason="pipes and signals of POSIX")


@posix
@pytest.mark.parametrize("command", ["recipes", "--help"])
def test_output_that_nobody_reads_ends_a_command_in_silence(command: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "texlens", command],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 1


@posix
def test_a_command_outlives_the_processes_it_writes_to() -> None:
    # A reward process that dies, or a client that hangs up, must not end a training run or a server.
    script = (
        "import signal, sys\n"
        "from texlens.cli import main\n"
        "sys.argv = ['texlens', '--version']\n"
        "try: main()\n"
        "finally: print(signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert done.stdout.splitlines()[-1] == "True"

"""Addresses that are no cluster, and nodes that cannot do the work: one sentence each."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import texlens
from texlens.distribute.cluster import cluster
from texlens.errors import InputError


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nonsense", "'nonsense' is no cluster: give local, auto or HOST:PORT."),
        ("ray://head:10001", "an address of Ray Client"),
        ("127.0.0.1:1", "No Ray cluster answers at 127.0.0.1:1: "),
    ],
)
def test_an_address_that_is_no_cluster(address: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught, cluster(address):
        pass
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_server_that_is_no_cluster_does_not_hold_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("texlens.distribute.cluster.ANSWER_SECONDS", 4)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(InputError, match="No Ray cluster answers"), cluster(address):
            pass
    assert time.monotonic() - start < 10


@pytest.mark.slow
def test_nodes_that_cannot_do_the_work(nodes: Any, tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"has no Python package 'no_such_module': install"),
        cluster(nodes.address, modules=["no_such_module"], quiet=True),
    ):
        pass
    package = tmp_path / "texlens"  # another version, on one node
    package.mkdir()
    for entry in Path(texlens.__file__).parent.iterdir():
        if entry.name != "__init__.py":
            (package / entry.name).symlink_to(entry)
    own = Path(texlens.__file__).read_text(encoding="utf-8")
    changed = own.replace(f'"{texlens.__version__}"', '"9.9.9"')
    assert changed != own
    (package / "__init__.py").write_text(changed, encoding="utf-8")
    node = nodes.add_node(num_cpus=1, env_vars={"PYTHONPATH": str(tmp_path)})
    nodes.wait_for_nodes()
    try:
        with (
            pytest.raises(InputError, match=r"has texlens 9\.9\.9, this machine "),
            cluster(nodes.address, quiet=True),
        ):
            pass
    finally:
        nodes.remove_node(node)


@pytest.mark.slow
def test_ctrl_c_leaves_what_is_done_and_the_same_command_goes_on(
    nodes: Any, tmp_path: Path
) -> None:
    command = [
        sys.executable, "-m", "texlens", "data", "render", "--source", "grammar:1", "--pictures",
        "600", "--per-shard", "15", "--renderers", "mathjax", "--out", str(tmp_path / "out"),
    ]  # fmt: skip
    running = subprocess.Popen(
        [*command, "--ray", nodes.address], stderr=subprocess.PIPE, text=True, env=os.environ.copy()
    )
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("out/shard-*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    another = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert another.returncode == 2
    assert "Another run writes to" in another.stderr
    running.send_signal(signal.SIGINT)
    printed = running.communicate(timeout=60)[1]
    assert running.returncode != 0
    assert "Traceback" not in printed
    done = {file.name: file.stat().st_mtime_ns for file in tmp_path.glob("out/shard-*.npz")}
    assert 2 <= len(done) < 40
    assert not list(tmp_path.glob("out/.*.part"))
    subprocess.run([*command, "--ray", nodes.address], check=True, timeout=100, capture_output=True)
    assert len(list(tmp_path.glob("out/shard-*.npz"))) == 40
    for name, written in done.items():
        assert (tmp_path / "out" / name).stat().st_mtime_ns == written

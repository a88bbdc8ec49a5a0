"""What fails on a cluster: items, actors, nodes."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from texlens.data.pictures.renderers.base import FormulaPicture, Rendered
from texlens.data.pictures.shards import ShardMaker, write_shards
from texlens.distribute.batches import RayWorkers
from texlens.distribute.cluster import cluster
from texlens.errors import TexlensError
from texlens.workers import WorkerFault

pytestmark = pytest.mark.slow


def doubles(bad: dict[int, str]) -> Callable[[Sequence[int]], list[int]]:
    def double(items: Sequence[int]) -> list[int]:
        for item in items:
            if bad.get(item) == "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            if bad.get(item) == "raises":
                raise ValueError("no")
            if bad.get(item) == "hopeless":
                raise TexlensError("There is no model here.")
            if bad.get(item) == "bare":
                raise ModuleNotFoundError("No module named 'torch'")
            if bad.get(item) == "full":
                raise OSError(errno.ENOSPC, "No space left on device")
        return [2 * item for item in items]

    return double


@pytest.fixture(scope="module")
def connected(nodes: Any) -> Iterator[Any]:
    with cluster(nodes.address, quiet=True):
        yield nodes


@pytest.fixture(params=[True, False], ids=["isolated", "in the actor"])
def workers(connected: Any, request: pytest.FixtureRequest) -> Iterator[RayWorkers]:
    crew = RayWorkers(2, isolated=request.param, quiet=True)
    yield crew
    crew.end()


def batches(count: int) -> Iterator[range]:
    return (range(start, start + 8) for start in range(0, 8 * count, 8))


def test_results_are_in_order(workers: RayWorkers) -> None:
    found = list(workers.map_batches(partial(doubles, {}), batches(40)))
    assert [one for batch in found for one in batch] == [2 * n for n in range(320)]


def test_an_item_that_ends_its_process_is_alone_at_the_end(workers: RayWorkers) -> None:
    found = list(workers.map_batches(partial(doubles, {13: "dies"}), batches(6)))
    results = [one for batch in found for one in batch]
    assert isinstance(results[13], WorkerFault)
    assert "ended its process" in str(results[13])
    assert [one for n, one in enumerate(results) if n != 13] == [
        2 * n for n in range(48) if n != 13
    ]


def test_an_item_that_raises_an_error_is_alone_at_the_end(workers: RayWorkers) -> None:
    found = list(workers.map_batches(partial(doubles, {21: "raises"}), batches(4)))
    results = [one for batch in found for one in batch]
    assert str(results[21]) == "failed (ValueError: no)"
    assert sum(isinstance(one, WorkerFault) for one in results) == 1


def test_what_no_item_causes_ends_the_run(workers: RayWorkers) -> None:
    for what, sentence in (
        ("hopeless", r"On the node [\d.]+: There is no model here\."),
        ("bare", r"On the node [\d.]+ a package is missing or broken: No module named 'torch'\."),
        ("full", r"On the node [\d.]+: No space left on device\."),
    ):
        with pytest.raises(TexlensError, match=sentence):
            list(workers.map_batches(partial(doubles, {21: what}), batches(4)))


@dataclass(frozen=True)
class _Shards:
    """Shards of one picture; the second ends every process that renders it, as long as a file exists."""

    deadly: Path

    def settings(self) -> dict[str, Any]:
        return {}

    def open(self) -> ShardMaker:
        return self._make

    def _make(self, number: int) -> list[Rendered]:
        if number == 1 and self.deadly.exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return [FormulaPicture(np.full((4, 9), number, np.uint8), 10.0, f"x_{number}")]


def test_a_shard_that_fails_again_and_again_is_left_out(
    workers: RayWorkers, tmp_path: Path
) -> None:
    source, out = _Shards(tmp_path / "deadly"), tmp_path / "out"
    source.deadly.touch()
    with pytest.raises(
        TexlensError, match=r"^1 of 4 shards are missing: shard 1 ended its process"
    ):
        list(write_shards(source, out, 4, workers=workers))
    left = ["dropped.jsonl", *(f"shard-{n:05d}.npz" for n in (0, 2, 3)), "shards.json"]
    assert sorted(file.name for file in out.iterdir()) == left
    source.deadly.unlink()
    (again,) = write_shards(source, out, 4, workers=workers)
    assert again.number == 1


def test_a_node_that_dies_costs_only_time(connected: Any, tmp_path: Path) -> None:
    lost = connected.add_node(num_cpus=1)
    connected.wait_for_nodes()
    crew = RayWorkers(3, quiet=True)
    results: list[object] = []
    for number, batch in enumerate(crew.map_batches(partial(doubles, {}), batches(400))):
        if number == 50:
            connected.remove_node(lost, allow_graceful=False)
        results += batch
    crew.end()
    assert results == [2 * n for n in range(3200)]

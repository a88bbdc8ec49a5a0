"""A Ray cluster on this machine: a head and two worker nodes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def ray_cluster(**head: Any) -> Iterator[Any]:
    """A head without cores, and two nodes of one core each."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **head})
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        yield cluster
    finally:
        cluster.shutdown()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """The cluster that the tests of a module share."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with ray_cluster() as cluster:
        yield cluster

"""A Ray cluster on this machine: a head and two worker nodes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

# A killed node is found in 3 seconds; by default it takes 10 or more. A slow node may still take its time.
HEALTH = {"health_check_period_ms": 1000, "health_check_failure_threshold": 3}


@contextmanager
def ray_cluster() -> Iterator[Any]:
    """A head without cores, and two nodes of one core each."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "_system_config": HEALTH}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        yield cluster
    finally:
        cluster.shutdown()


@pytest.fixture(scope="session")
def nodes() -> Iterator[Any]:
    """The cluster that all tests of a process share: one that changes it puts it right again."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with ray_cluster() as cluster:
        yield cluster

"""Finding a Ray cluster, and making sure that its nodes can do the work."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from texlens.errors import InputError, TexlensError, require_extra
from texlens.imports import is_installed
from texlens.runs import provenance

ANSWER_SECONDS = 30
"""A cluster that has not answered after so long is given up."""
_SAME = ("texlens", "python", "mini-racer", "rapidfuzz", "pillow", "numpy", "onnxruntime")
"""What must have one version on all nodes, for the same result to the byte."""


@contextmanager
def cluster(address: str, *, modules: Sequence[str] = (), quiet: bool = False) -> Iterator[None]:
    """Use a Ray cluster within the block.

    Args:
        address: `local` starts one on this machine, `auto` is the one that this machine belongs to;
            else HOST:PORT of a head node.
        modules: what must be installed on every node.
        quiet: do not print where the cluster and its dashboard are.

    Raises:
        InputError: no cluster answers there, or its nodes have other versions or lack a module.
    """
    require_extra("--ray", "cluster", "ray")
    for name, value in {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        # Else Ray prints the last log lines of a node that died to standard output.
        "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    }.items():
        os.environ.setdefault(name, value)
    import ray

    if address not in ("local", "auto"):
        _check_address(address)
    dashboard = _connect(address)
    try:
        check_nodes(modules)
        if not quiet:
            _introduce(dashboard)
        yield
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    if address.startswith("ray://"):
        raise InputError(
            f"'{address}' is an address of Ray Client: run the command on a node of the cluster with "
            "--ray auto, or by `ray job submit`."
        )
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) < 65536):
        raise InputError(f"'{address}' is no cluster: give local, auto or HOST:PORT.")
    # `ray.init` ends the whole process after a minute where nothing answers, or nothing that is Ray.
    import grpc

    with grpc.insecure_channel(address) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            check(b"", timeout=ANSWER_SECONDS / 2, wait_for_ready=False)
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise InputError(
                    f"No Ray cluster answers at {address}: {_first_line(error.details())}."
                ) from error


def _first_line(text: str | None) -> str:
    return (text or "no answer").splitlines()[0][:200].rstrip(".")


def _connect(address: str) -> str:
    """Connect this process to the cluster. Returns the address of its dashboard, if it has one."""
    import ray

    try:
        context = ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray raises ConnectionError, ValueError and RuntimeError
        text = " ".join(str(error).split())[:300].rstrip(".")
        if "ersion mismatch" in text:
            raise InputError(
                f"The cluster at {address} has another version of Ray or Python than this machine: {text}."
            ) from error
        if address == "auto":
            raise InputError(
                "This machine belongs to no Ray cluster: run `ray start`, or give its address, or local."
            ) from error
        raise InputError(f"No Ray cluster can be used at {address}: {text}.") from error
    return str(context.dashboard_url or "")


def check_nodes(modules: Sequence[str]) -> None:
    """Raise InputError where a node has other versions than this process, or lacks a module."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    asked: dict[Any, str] = {}
    probe = ray.remote(_probe)
    for node in ray.nodes():
        if node["Alive"]:
            place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            options = probe.options(num_cpus=0, max_retries=0, scheduling_strategy=place)
            ref = options.remote(list(modules))
            asked[ref] = node["NodeManagerAddress"]
    ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_SECONDS)
    here, _ = _probe([])
    for ref, name in asked.items():
        try:
            there, missing = ray.get(ref, timeout=0)
        except ray.exceptions.GetTimeoutError as error:
            raise InputError(
                f"The node {name} starts no process within {ANSWER_SECONDS} s."
            ) from error
        except ray.exceptions.RayError as error:
            if "No module named" in str(error):
                raise InputError(
                    f"The node {name} has no TexLens: install the same version on every node."
                ) from error
            continue  # it died meanwhile
        if missing:
            raise InputError(
                f"The node {name} has no Python package '{missing[0]}': install TexLens with the "
                "same extras on every node."
            )
        other = [key for key in _SAME if here.get(key) != there.get(key)]
        if other:
            key = other[0]
            raise InputError(
                f"The node {name} has {key} {there.get(key, '(none)')}, this machine "
                f"{here.get(key, '(none)')}: install the same on every node."
            )


def _probe(modules: list[str]) -> tuple[dict[str, str], list[str]]:
    """The versions of a node, and which modules it lacks."""
    missing = [module for module in modules if not is_installed(module)]
    return provenance(*_SAME[2:]), missing


def _introduce(dashboard: str) -> None:
    import ray

    resources = ray.cluster_resources()
    nodes = sum(node["Alive"] for node in ray.nodes())
    gpus = f", {resources['GPU']:g} GPU" if resources.get("GPU") else ""
    board = f"; dashboard at http://{dashboard}" if dashboard else ""
    print(
        f"ray: {nodes} node{'s' * (nodes != 1)}, {resources.get('CPU', 0):g} CPU{gpus}{board}",
        file=sys.stderr,
        flush=True,
    )


def worker_count(cpus: float, gpus: float) -> int:
    """How many workers of this size the cluster has room for. Raises TexlensError for none."""
    import ray

    total = ray.cluster_resources()
    by_cpus = int(total.get("CPU", 0) // cpus) if cpus else sys.maxsize
    by_gpus = int(total.get("GPU", 0) / gpus + 1e-9) if gpus else by_cpus
    count = min(by_cpus, by_gpus)
    if count < 1:
        raise TexlensError(
            f"The Ray cluster has {total.get('CPU', 0):g} CPU and {total.get('GPU', 0):g} GPU: too "
            f"little for a worker of {cpus:g} CPU and {gpus:g} GPU."
        )
    return count

"""What a Ray cluster adds to each pair scored, against the local pool with as many workers.

    python benchmarks/cluster.py [--pairs 20000]

Both are warmed up, take turns part by part, use no cache on disk, and must give the same results. The cluster is a
head and two nodes of one core each, on this machine: it shows the overhead, and scaling as far as the
machine has cores.
"""

from __future__ import annotations

import argparse
import time
from random import Random
from statistics import median

from ray.cluster_utils import Cluster

from texlens.data.formulas.grammar import generate
from texlens.distribute.batches import RayWorkers
from texlens.distribute.cluster import cluster
from texlens.metrics.batches import ItemResult, ScoringConfig, score_batches
from texlens.records import Prediction
from texlens.workers import LocalWorkers, Workers

PART = 1000
KEYS = ("bleu", "edit_tokens", "exact", "cdm", "layout")


def pairs(count: int) -> list[Prediction]:
    random = Random(0)
    made = []
    for number in range(count):
        reference = generate(random, tokens=20, depth=3)
        made.append(Prediction(str(number), reference, reference.replace("x", "y", 1)))
    return made


def timed(predictions: list[Prediction], workers: Workers) -> tuple[float, list[ItemResult]]:
    start = time.perf_counter()
    results = list(score_batches(predictions, ScoringConfig(KEYS, cache=False), workers=workers))
    return time.perf_counter() - start, results


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=20_000)
    options = parser.parse_args()
    predictions = pairs(options.pairs)
    machine = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        machine.add_node(num_cpus=1)
    machine.wait_for_nodes()
    parts = [predictions[n : n + PART] for n in range(0, len(predictions), PART)]
    spent: dict[tuple[str, int], float] = {}
    with cluster(machine.address, quiet=True):
        for count in (1, 2):
            start = time.perf_counter()
            here, there = LocalWorkers(count), RayWorkers(count, quiet=True)
            timed(predictions[: 64 * count + 64], there)
            print(
                f"{count} actors, each with its worker process and engine: {time.perf_counter() - start:.1f} s"
            )
            timed(predictions[:1000], here)
            timed(predictions[:1000], there)
            ratios = []
            for part in parts:  # in turn, so that what else the machine does meets both
                local, expected = timed(part, here)
                ray, results = timed(part, there)
                assert results == expected
                spent["local", count] = spent.get(("local", count), 0.0) + local
                spent["ray", count] = spent.get(("ray", count), 0.0) + ray
                ratios.append(ray / local)
            there.end()
            for way in ("local", "ray"):
                total = spent[way, count]
                print(
                    f"{way}, {count} workers: {total:.1f} s, {1e3 * total / len(predictions):.3f} ms a pair"
                )
            print(
                f"overhead with {count} workers: {spent['ray', count] / spent['local', count] - 1:+.1%} in all, "
                f"{median(ratios) - 1:+.1%} median of {len(ratios)} parts"
            )
    machine.shutdown()
    for way in ("local", "ray"):
        print(f"{way}: 2 workers are {spent[way, 1] / spent[way, 2]:.2f} times as fast as 1")


if __name__ == "__main__":
    main()

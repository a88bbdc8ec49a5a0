"""What a Ray cluster adds to each pair scored, against the local pool with as many workers.

    python benchmarks/cluster.py [--pairs 20000] [--repeats 2]

Both are warmed up, take turns, use no cache on disk, and must give the same results. The cluster is a
head and two nodes of one core each, on this machine: it shows the overhead, and scaling as far as the
machine has cores.
"""

from __future__ import annotations

import argparse
import json
import time
from random import Random

from ray.cluster_utils import Cluster

from texlens.data.formulas.grammar import generate
from texlens.distribute.batches import RayWorkers
from texlens.distribute.cluster import cluster
from texlens.metrics.batches import ItemResult, ScoringConfig, score_batches
from texlens.records import Prediction
from texlens.workers import LocalWorkers, Workers

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
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    predictions = pairs(options.pairs)
    machine = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        machine.add_node(num_cpus=1)
    machine.wait_for_nodes()
    seconds: dict[str, list[float]] = {}
    with cluster(machine.address, quiet=True):
        start = time.perf_counter()
        first = RayWorkers(1, quiet=True)
        timed(predictions[:100], first)
        print(
            f"the first actor, with its worker process and engine: {time.perf_counter() - start:.1f} s"
        )
        first.end()
        ways: dict[str, Workers] = {
            "local, 1 worker": LocalWorkers(1),
            "local, 2 workers": LocalWorkers(2),
            "ray, 1 worker": RayWorkers(1, quiet=True),
            "ray, 2 workers": RayWorkers(2, quiet=True),
        }
        expected: list[ItemResult] | None = None
        for _ in range(options.repeats):
            for name, workers in ways.items():
                timed(predictions[:1000], workers)
                spent, results = timed(predictions, workers)
                seconds.setdefault(name, []).append(spent)
                expected = expected or results
                assert results == expected, name
                if isinstance(workers, RayWorkers):
                    workers.end()
    machine.shutdown()
    best = {name: min(spent) for name, spent in seconds.items()}
    for name, spent in seconds.items():
        print(
            f"{name:<18} {[round(one, 2) for one in spent]} s, best {1e3 * best[name] / len(predictions):.3f} ms a pair"
        )
    for count in ("1 worker", "2 workers"):
        more = best[f"ray, {count}"] / best[f"local, {count}"] - 1
        print(f"overhead with {count}: {more:+.1%}")
    print(
        f"2 ray workers against 1: {best['ray, 1 worker'] / best['ray, 2 workers']:.2f} times as fast"
    )
    print(json.dumps(best))


if __name__ == "__main__":
    main()

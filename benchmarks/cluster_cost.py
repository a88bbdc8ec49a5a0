"""How long a job takes on a cluster, what it costs, and what limits it first.

    python benchmarks/cluster_cost.py [--price 0.04] [--network 1.25]

The figures of `JOBS` were measured (docs/cluster.md has how). Everything else follows from them: cores
work in parallel, the process that runs the command does not, and its network is one machine's.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

ACTOR_START_S = 3.0  # with its worker process, on a node that is up


@dataclass(frozen=True)
class Job:
    """One item: seconds of a core on the nodes and of the driver, bytes in and out."""

    core_s: float
    driver_s: float
    bytes_in: int
    bytes_out: int


# core_s: CPU seconds of a local run with one worker, as the difference of two sizes. driver_s: of `read` the
# same difference for the process of the command; of the others all of its CPU seconds, an upper bound.
JOBS = {
    "read": Job(0.0641, 0.00047, 2363, 122),
    "data prepare": Job(0.00183, 0.000122, 2426, 2388),
    "data render": Job(0.00527, 0.000323, 0, 1230),
    "score": Job(0.00392, 0.000149, 347, 476),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--price", type=float, default=0.04, help="of a core for an hour")
    parser.add_argument("--network", type=float, default=1.25, help="GB/s of the driver")
    options = parser.parse_args()
    print(f"{'job':<13}{'items':>6}{'cores':>7}{'hours':>8}{'cost':>9}  limited by")
    for name, job in JOBS.items():
        for millions in (10, 100):
            for cores in (100, 1000):
                items = 1e6 * millions
                limits = {
                    "the cores: take more": ACTOR_START_S + items * job.core_s / cores,
                    "the driver: run the parts of the data as runs of their own": items
                    * job.driver_s,
                    "the driver's network: run the parts of the data as runs of their own": items
                    * (job.bytes_in + job.bytes_out)
                    / (1e9 * options.network),
                }
                first = max(limits, key=lambda limit: limits[limit])
                hours = limits[first] / 3600
                cost = hours * cores * options.price
                print(f"{name:<13}{millions:>4} M{cores:>7}{hours:>8.2f}{cost:>9.2f}  {first}")


if __name__ == "__main__":
    main()

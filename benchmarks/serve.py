"""Measure `texlens serve`: throughput with many clients, latency, memory and overload.

    python benchmarks/serve.py [--data FILE.parquet] [--clients 32] [--seconds 60] [--threads N]

Without --data the pictures are formulas of the package's own grammar, rendered by MathJax. All
steps use the same weights, threads and pictures:

1. `Reader.read_many` reads every picture `--passes` times in this process, after a warm-up.
2. `texlens serve` starts. `--clients` clients in another process each send one picture after the
   other for `--seconds`.
3. Step 1 again, to see whether the machine became faster or slower.
4. Overload: so many requests of 32 pictures that the queue is full; then one more request.

`--faults` and `--fairness` measure something else instead: see `serve_faults.py`.

Prints both throughputs and their ratio, latencies, errors, how many answers differ from those of
`read_many`, the server's memory, and the statuses under overload. The exit status is 1 if a claim
does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import httpx

REFUSED = (429, 503)  # a client has too many waiting, or all together have
MIN_RATIO = 0.80
MAX_GROWTH = 1.10  # memory at the end of the minute over that after its first quarter


def read_here(pictures: list[bytes], passes: int) -> tuple[list[str], float, float]:
    """The readings of `read_many`, its pictures per second, and CPU seconds per picture."""
    from texlens.reading import Reader

    reader = Reader()
    list(reader.read_many(pictures[:64]))  # warm-up
    start, cpu = time.perf_counter(), time.process_time()
    readings = list(reader.read_many(pictures * passes))
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    latex = [reading.latex for reading in readings[: len(pictures)]]
    return latex, len(readings) / seconds, cpu / len(readings)


class Server:
    """A running `texlens serve`."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "texlens",
                "serve",
                "--port",
                "0",
                "--log-level",
                "warning",
                *arguments,
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        match = re.search(r"http://\S+/", self.process.stdout.readline())
        assert match
        self.url = match[0]

    def children(self) -> list[int]:
        """The processes that it has started: that of the model, and one that checks formulas."""
        lists = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return sorted(int(pid) for path in lists for pid in path.read_text("utf-8").split())

    @property
    def memory_mb(self) -> float:
        """The resident memory of the gateway now."""
        return resident_mb(self.process.pid)

    @property
    def children_mb(self) -> float:
        """The resident memory of the processes that it has started."""
        return sum(map(resident_mb, self.children()))

    @property
    def cpu_seconds(self) -> float:
        """The CPU time so far, of all processes that run."""
        return sum(map(cpu_seconds, [self.process.pid, *self.children()]))

    def stop(self) -> None:
        """End it as a service manager does."""
        self.process.terminate()
        self.process.wait(60)


def resident_mb(pid: int) -> float:
    """The resident memory of a process; 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("utf-8")
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024
    except (OSError, IndexError):
        return 0.0


def cpu_seconds(pid: int) -> float:
    """The CPU time of all threads of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def percentile(values: list[float], share: float) -> float:
    """The value that so large a share of the values does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


async def send(client: httpx.AsyncClient, pictures: list[bytes]) -> httpx.Response:
    return await client.post("v1/read", files=[("file", picture) for picture in pictures])


async def load(
    url: str, pictures: list[bytes], clients: int, seconds: float
) -> list[dict[str, Any]]:
    """A record of every request of clients that send one picture after the other."""
    records: list[dict[str, Any]] = []
    turn = 0
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        begin = time.perf_counter()

        async def one_client() -> None:
            nonlocal turn
            while (start := time.perf_counter()) < begin + seconds:
                record: dict[str, Any] = {"place": turn % len(pictures)}
                turn += 1
                try:
                    answer = await send(client, [pictures[record["place"]]])
                    record["status"] = answer.status_code
                    if answer.status_code == 200:
                        record["latex"] = answer.json()["readings"][0]["latex"]
                except httpx.HTTPError as error:
                    record["status"] = type(error).__name__
                end = time.perf_counter()
                records.append(record | {"seconds": end - start, "done": end - begin})

        await asyncio.gather(*(one_client() for _ in range(clients)))
    return records


def load_from_process(*arguments: Any) -> list[dict[str, Any]]:
    """`load`, to be run in another process."""
    return asyncio.run(load(*arguments))


async def overload(url: str, pictures: list[bytes]) -> tuple[Counter[int], bool, int, float]:
    """Send 24 requests of 32 pictures at once, then one picture.

    Returns:
        The statuses, whether refusals have Retry-After, and status and seconds of the last request.
    """
    many = (pictures * 32)[:32]
    async with httpx.AsyncClient(base_url=url, timeout=180) as client:
        answers = await asyncio.gather(*(send(client, many) for _ in range(24)))
        refused = [answer for answer in answers if answer.status_code in REFUSED]
        has_retry_after = all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        start = time.perf_counter()
        after = await send(client, pictures[:1])
        return (
            Counter(answer.status_code for answer in answers),
            has_retry_after and bool(refused),
            after.status_code,
            time.perf_counter() - start,
        )


def measure_others(arguments: argparse.Namespace, pictures: list[bytes]) -> int:
    """Run `--faults` or `--fairness`. Returns the exit status."""
    from serve_faults import fairness, faults

    with tempfile.TemporaryDirectory() as folder:
        expected = read_here(pictures, 1)[0] if arguments.faults else []
        server = Server("--jobs", folder)
        try:
            if arguments.faults:
                run = faults(
                    server, pictures, expected, arguments.clients, arguments.seconds,
                    arguments.kill_every, arguments.job_pictures,
                )  # fmt: skip
            else:
                run = fairness(server, pictures, arguments.seconds)
            rows = asyncio.run(run)
        finally:
            server.stop()
    for name, value in rows.items():
        print(f"{name:<18}{value}")
    print(f"load average {os.getloadavg()[0]:.1f} at the end")
    return 0 if rows["holds"] else 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--kill-every", type=float, default=30.0)
    parser.add_argument("--job-pictures", type=int, default=200, help="of each of the six jobs")
    parser.add_argument("--fairness", action="store_true")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()

    import torch

    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)  # the server's, too
    torch.set_num_threads(arguments.threads)
    if arguments.data:
        from texlens.data.parquet import read_examples

        pictures = [e.image for e in read_examples(arguments.data, arguments.pictures)]
    else:
        from reading import rendered_formulas

        pictures = rendered_formulas(arguments.pictures)
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"{arguments.threads} threads, torch {torch.__version__}, load average "
        f"{os.getloadavg()[0]:.1f}; {len(pictures)} pictures",
        flush=True,
    )
    if arguments.faults or arguments.fairness:
        sys.exit(measure_others(arguments, pictures))
    expected, before, cpu_here = read_here(pictures, arguments.passes)
    server = Server()
    try:
        asyncio.run(load(server.url, pictures[:64], arguments.clients, 2))  # warm-up
        cpu_served = -server.cpu_seconds
        memory = []
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
            clients = executor.submit(
                load_from_process, server.url, pictures, arguments.clients, arguments.seconds
            )
            while not clients.done():
                memory.append(server.memory_mb + server.children_mb)
                time.sleep(1)
        records = clients.result()
        cpu_served += server.cpu_seconds
        statuses, has_retry_after, after, after_seconds = asyncio.run(
            overload(server.url, pictures)
        )
        memory_after = server.memory_mb + server.children_mb
    finally:
        server.stop()
    _, afterwards, _ = read_here(pictures, arguments.passes)

    good = [record for record in records if record["status"] == 200]
    errors = Counter(str(r["status"]) for r in records if r["status"] != 200)
    different = sum(record["latex"] != expected[record["place"]] for record in good)
    served = len(good) / max(record["done"] for record in records)
    ratio = served / statistics.mean([before, afterwards])
    seconds = sorted(record["seconds"] for record in good)
    quarter = memory[len(memory) // 4]
    retry_after = "given" if has_retry_after else "MISSING"
    rows = {
        "read_many here": f"{before:.2f} pictures/s before, {afterwards:.2f} after",
        "served": f"{served:.2f} pictures/s to {arguments.clients} clients",
        "ratio": f"{ratio:.2f} (at least {MIN_RATIO})",
        "CPU time": f"{cpu_here * 1000:.0f} ms per picture here, "
        f"{cpu_served / len(good) * 1000:.0f} ms in the server",
        "latency": f"{statistics.median(seconds):.2f} s median, "
        f"{seconds[int(0.95 * len(seconds))]:.2f} s 95th percentile, {seconds[-1]:.2f} s longest",
        "errors": f"{sum(errors.values())} of {len(records)} requests {dict(errors)}",
        "different answers": f"{different} of {len(good)}",
        "memory": f"{memory[0]:.0f} MB at the start, {quarter:.0f} after a quarter, "
        f"{memory[-1]:.0f} at the end, {memory_after:.0f} after overload",
        "overload": f"{dict(statuses)}, Retry-After {retry_after}; "
        f"then {after} in {after_seconds:.2f} s",
    }
    for name, value in rows.items():
        print(f"{name:<18}{value}")
    holds = (
        ratio >= MIN_RATIO
        and not errors
        and memory[-1] / quarter <= MAX_GROWTH
        and set(statuses) <= {200, *REFUSED}
        and has_retry_after
        and after == 200
    )
    print("holds" if holds else "DOES NOT HOLD")
    sys.exit(not holds)


if __name__ == "__main__":
    main()

"""Does serving many clients cost throughput, do latency and memory stay bounded, does overload end?

    python benchmarks/serve.py [--data FILE.parquet] [--clients 32] [--seconds 60] [--threads N]

Without --data the pictures are formulas of the package's own grammar, drawn by MathJax. In this
order, with the same weights, threads and pictures:

1. `Reader.read_many` reads every picture `--passes` times here (its throughput, after a warm-up).
2. `texlens serve` is started, and `--clients` clients in another process each send one picture
   after the other for `--seconds`, the pictures in turn.
3. The same again here, so that a machine that slows down or speeds up is seen.
4. Overload: so many clients with 32 pictures a request that the queue is full; then one client.

Prints both throughputs and their ratio, latencies (median, 95th percentile, longest), errors, how
many answers differ from `read_many`'s, the server's memory through the minute, and what overload
was answered with. Exit status 1 when a claim does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import httpx

LEAST_RATIO = 0.80
MOST_GROWTH = 1.10  # memory at the end of the minute over that after its first quarter


def drawn_formulas(count: int) -> list[bytes]:
    from texlens.data.formulas.grammar import generate
    from texlens.render import Size, png_many

    random = Random(0)
    formulas = [
        generate(random, tokens=random.randint(10, 70), depth=random.randint(1, 3))
        for _ in range(2 * count)
    ]
    drawn = png_many(formulas, Size(em_px=14.0))
    return [picture for picture in drawn if isinstance(picture, bytes)][:count]


def read_here(pictures: list[bytes], passes: int) -> tuple[list[str], float, float]:
    """The readings of `read_many`, its pictures a second, and processor seconds a picture."""
    from texlens.reading import Reader

    reader = Reader()
    list(reader.read_many(pictures[:64]))  # warm-up
    start, worked = time.perf_counter(), time.process_time()
    readings = list(reader.read_many(pictures * passes))
    seconds, worked = time.perf_counter() - start, time.process_time() - worked
    latex = [reading.latex for reading in readings[: len(pictures)]]
    return latex, len(readings) / seconds, worked / len(readings)


class Server:
    """A `texlens serve` of its own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "texlens", "serve", "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        match = re.search(r"http://\S+/", line)
        assert match, line
        self.url = match[0]

    @property
    def memory_mb(self) -> float:
        """What it holds now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("utf-8")
        match = re.search(r"VmRSS:\s+(\d+)", status)
        assert match is not None
        return int(match[1]) / 1024

    @property
    def processor_seconds(self) -> float:
        """What all its threads have worked so far."""
        status = Path(f"/proc/{self.process.pid}/stat").read_text("utf-8")
        fields = status.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """End it as a service manager does."""
        self.process.terminate()
        self.process.wait(60)


async def send(client: httpx.AsyncClient, pictures: list[bytes]) -> httpx.Response:
    return await client.post("v1/read", files=[("file", picture) for picture in pictures])


async def load(
    url: str, pictures: list[bytes], clients: int, seconds: float
) -> list[dict[str, Any]]:
    """What every request of a closed loop of clients came to, one picture a request."""
    records: list[dict[str, Any]] = []
    turn = 0
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        end = time.perf_counter() + seconds

        async def one_client() -> None:
            nonlocal turn
            while time.perf_counter() < end:
                place, turn = turn % len(pictures), turn + 1
                start = time.perf_counter()
                record: dict[str, Any] = {"place": place, "latex": None}
                try:
                    answer = await send(client, [pictures[place]])
                    record["status"] = answer.status_code
                    if answer.status_code == 200:
                        record["latex"] = answer.json()["readings"][0]["latex"]
                except httpx.HTTPError as error:
                    record["status"] = type(error).__name__
                record["seconds"] = time.perf_counter() - start
                record["done"] = time.perf_counter() - end + seconds
                records.append(record)

        await asyncio.gather(*(one_client() for _ in range(clients)))
    return records


async def overload(url: str, pictures: list[bytes]) -> tuple[Counter[int], bool, int, float]:
    """Statuses of 24 requests of 32 pictures at once; Retry-After there; then one more request."""
    many = (pictures * 32)[:32]
    async with httpx.AsyncClient(base_url=url, timeout=180) as client:
        answers = await asyncio.gather(*(send(client, many) for _ in range(24)))
        refused = [answer for answer in answers if answer.status_code == 503]
        says_when = all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        start = time.perf_counter()
        after = await send(client, pictures[:1])
        return (
            Counter(answer.status_code for answer in answers),
            says_when and bool(refused),
            after.status_code,
            time.perf_counter() - start,
        )


def clients_process(arguments: argparse.Namespace) -> None:
    """Run as the process of the clients: pictures from a folder, records to standard output."""
    pictures = [path.read_bytes() for path in sorted(arguments.pictures_folder.iterdir())]
    records = asyncio.run(load(arguments.url, pictures, arguments.clients, arguments.seconds))
    json.dump(records, sys.stdout)


def run_clients(server: Server, folder: Path, arguments: argparse.Namespace) -> tuple[Any, Any]:
    """The clients' records, and the server's memory in MB once a second meanwhile."""
    process = subprocess.Popen(
        [
            sys.executable, __file__, "--url", server.url, "--pictures-folder", str(folder),
            "--clients", str(arguments.clients), "--seconds", str(arguments.seconds),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    memory = []
    while True:
        memory.append(server.memory_mb)
        try:
            output, _ = process.communicate(timeout=1)
        except subprocess.TimeoutExpired:
            continue
        return json.loads(output), memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--pictures-folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.url:
        clients_process(arguments)
        return

    import tempfile

    import torch

    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)  # the server's, too
    torch.set_num_threads(arguments.threads)
    if arguments.data:
        from texlens.data.parquet import read_examples

        pictures = [e.image for e in read_examples(arguments.data, arguments.pictures)]
    else:
        pictures = drawn_formulas(arguments.pictures)
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"{arguments.threads} threads, torch {torch.__version__}, load average "
        f"{os.getloadavg()[0]:.1f}; {len(pictures)} pictures",
        flush=True,
    )
    expected, before, work_here = read_here(pictures, arguments.passes)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for place, picture in enumerate(pictures):
            (folder / f"{place:05}.png").write_bytes(picture)
        server = Server()
        try:
            asyncio.run(load(server.url, pictures[:64], arguments.clients, 2))  # warm-up
            worked = server.processor_seconds
            records, memory = run_clients(server, folder, arguments)
            worked = server.processor_seconds - worked
            statuses, says_when, after, after_seconds = asyncio.run(overload(server.url, pictures))
            memory_after = server.memory_mb
        finally:
            server.stop()
    _, afterwards, _ = read_here(pictures, arguments.passes)

    good = [record for record in records if record["status"] == 200]
    errors = Counter(str(r["status"]) for r in records if r["status"] != 200)
    different = sum(record["latex"] != expected[record["place"]] for record in good)
    served = len(good) / max(record["done"] for record in records)
    ratio = served / statistics.mean([before, afterwards])
    seconds = sorted(record["seconds"] for record in good)
    growth = memory[-1] / memory[len(memory) // 4]
    print(f"read_many here    {before:8.2f} pictures/s before, {afterwards:.2f} after")
    print(f"served            {served:8.2f} pictures/s to {arguments.clients} clients")
    print(f"ratio             {ratio:8.2f}  (at least {LEAST_RATIO})")
    print(
        f"processor time    {work_here * 1000:8.0f} ms a picture here, "
        f"{worked / len(good) * 1000:.0f} ms by the server"
    )
    print(
        f"latency           {statistics.median(seconds):8.2f} s median, "
        f"{seconds[int(0.95 * len(seconds))]:.2f} s 95th percentile, {seconds[-1]:.2f} s longest"
    )
    print(f"errors            {sum(errors.values()):8} of {len(records)} requests {dict(errors)}")
    print(f"other answers     {different:8} of {len(good)}")
    print(
        f"memory            {memory[0]:8.0f} MB at the start, {memory[len(memory) // 4]:.0f} after "
        f"a quarter, {memory[-1]:.0f} at the end, {memory_after:.0f} after overload"
    )
    print(
        f"overload          {dict(statuses)}, Retry-After {'given' if says_when else 'MISSING'}; "
        f"then {after} in {after_seconds:.2f} s"
    )
    holds = (
        ratio >= LEAST_RATIO
        and not errors
        and growth <= MOST_GROWTH
        and set(statuses) == {200, 503}
        and says_when
        and after == 200
    )
    print("holds" if holds else "DOES NOT HOLD")
    sys.exit(not holds)


if __name__ == "__main__":
    main()

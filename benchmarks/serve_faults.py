"""Two more measurements of `texlens serve`, run by `serve.py`.

`--faults`: clients send one picture after the other, and jobs are running, while the process of the model is
killed every 30 seconds. A client that gets 503 or 429 waits as `Retry-After` says, as part of its latency. No
answer may be wrong, no client may wait without end, and every job that was accepted must finish with the
readings of its pictures, in order. In a minute or two:

    python benchmarks/serve.py --faults --pictures 32 --seconds 30 --clients 16 --kill-every 10 --job-pictures 20

`--fairness`: a client sends small requests alone, then beside four clients that send requests of 64
pictures without a pause. Its 95th percentile may at most double.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import signal
import statistics
import time
import zipfile
from collections import Counter
from typing import Any

import httpx

from serve import Server, percentile, send

HANG_SECONDS = 90.0
JOBS = 6


async def faults(
    server: Server, pictures: list[bytes], expected: list[str], clients: int, seconds: float,
    kill_every: float, job_pictures: int,
) -> dict[str, Any]:  # fmt: skip
    """The counts of a run with faults."""
    statuses: Counter[Any] = Counter()
    latencies: list[float] = []
    memory: list[tuple[float, float]] = []
    jobs: list[str] = []
    found = Counter[str]()
    turn = 0
    end = time.perf_counter() + seconds
    limits = httpx.Limits(max_connections=clients + 4)
    async with httpx.AsyncClient(
        base_url=server.url, timeout=HANG_SECONDS, limits=limits
    ) as client:

        async def one_client() -> None:
            nonlocal turn
            while time.perf_counter() < end:
                place = turn % len(pictures)
                turn += 1
                start = time.perf_counter()
                while True:
                    try:
                        answer = await send(client, [pictures[place]])
                    except httpx.TimeoutException:
                        found["hangs"] += 1
                        break
                    except httpx.HTTPError as error:
                        statuses[type(error).__name__] += 1
                        continue
                    statuses[answer.status_code] += 1
                    if answer.status_code in (429, 503):
                        await asyncio.sleep(float(answer.headers["retry-after"]))
                        continue
                    if answer.status_code == 200:
                        latex = answer.json()["readings"][0]["latex"]
                        found["wrong"] += latex != expected[place]
                        latencies.append(time.perf_counter() - start)
                    break

        async def killer() -> None:
            while time.perf_counter() < end - kill_every / 2:
                await asyncio.sleep(kill_every)
                for child in server.children():
                    os.kill(child, signal.SIGKILL)
                    found["kills"] += 1

        async def watcher() -> None:
            while time.perf_counter() < end:
                memory.append((server.memory_mb, server.children_mb))
                await asyncio.sleep(1)

        async def job_sender() -> None:
            stream = io.BytesIO()
            with zipfile.ZipFile(stream, "w") as archive:
                for number in range(job_pictures):
                    archive.writestr(f"{number}.png", pictures[number % len(pictures)])
            for _ in range(JOBS):
                answer = await client.post(
                    "v1/jobs",
                    content=stream.getvalue(),
                    headers={"Content-Type": "application/zip"},
                )
                assert answer.status_code == 202, answer.text
                jobs.append(answer.json()["id"])
                await asyncio.sleep(seconds / JOBS)

        await asyncio.gather(
            *(one_client() for _ in range(clients)), killer(), watcher(), job_sender()
        )
        deadline = time.perf_counter() + 600
        for job in jobs:
            while (await client.get(f"v1/jobs/{job}")).json()["status"] != "finished":
                assert time.perf_counter() < deadline, "a job has not finished"
                await asyncio.sleep(1)
            lines = (await client.get(f"v1/jobs/{job}/readings")).text.splitlines()
            readings = [json.loads(line)["latex"] for line in lines]
            found["job readings"] += len(readings)
            found["wrong in jobs"] += sum(
                latex != expected[number % len(expected)] for number, latex in enumerate(readings)
            )
            found["jobs finished"] += len(readings) == job_pictures
        metrics = (await client.get("metrics")).text
    quarter = memory[len(memory) // 4]
    return {
        "requests answered": len(latencies),
        "statuses": dict(statuses),
        "wrong": found["wrong"] + found["wrong in jobs"],
        "hangs": found["hangs"],
        "kills": found["kills"],
        "restarts": dict(
            re.findall(r'^texlens_model_restarts_total{reason="(\w+)"} (\d+)', metrics, re.M)
        ),
        "jobs": f"{found['jobs finished']} of {len(jobs)} finished, {found['job readings']} readings",
        "latency": f"{statistics.median(latencies):.2f} s median, {percentile(latencies, 0.95):.2f} s "
        f"95th percentile, {max(latencies):.2f} s longest",
        "memory": "gateway "
        f"{quarter[0]:.0f} MB after a quarter, {memory[-1][0]:.0f} at the end; model "
        f"{max(model for _, model in memory):.0f} at most",
        "holds": not (found["wrong"] or found["wrong in jobs"] or found["hangs"])
        and set(statuses) <= {200, 429, 503}
        and found["jobs finished"] == len(jobs)
        and memory[-1][0] / quarter[0] <= 1.1,
    }


async def fairness(server: Server, pictures: list[bytes], seconds: float) -> dict[str, Any]:
    """The latencies of small requests, alone and beside a flood."""
    flood = (pictures * 64)[:64]
    async with httpx.AsyncClient(base_url=server.url, timeout=300) as client:

        async def small(until: float) -> list[float]:
            latencies = []
            turn = 0
            while time.perf_counter() < until:
                start = time.perf_counter()
                answer = await send(client, [pictures[turn % len(pictures)]])
                assert answer.status_code == 200, answer.text
                latencies.append(time.perf_counter() - start)
                turn += 1
            return latencies

        async def large() -> None:
            while True:
                answer = await send(client, flood)
                if answer.status_code != 200:
                    await asyncio.sleep(float(answer.headers["retry-after"]))

        async def count_readings() -> float:
            text = (await client.get("metrics")).text
            lines = [
                line for line in text.splitlines() if line.startswith("texlens_readings_total")
            ]
            return sum(float(line.split()[1]) for line in lines)

        await small(time.perf_counter() + 2)  # warm-up
        alone = await small(time.perf_counter() + seconds)
        floods = [asyncio.create_task(large()) for _ in range(4)]
        await asyncio.sleep(5)
        before = await count_readings()
        beside = await small(time.perf_counter() + seconds)
        flooded = await count_readings() - before - len(beside)
        for task in floods:
            task.cancel()
        await asyncio.gather(*floods, return_exceptions=True)
    ratio = percentile(beside, 0.95) / percentile(alone, 0.95)
    return {
        "alone": f"{statistics.median(alone):.3f} s median, {percentile(alone, 0.95):.3f} s 95th "
        f"percentile, n = {len(alone)}",
        "beside a flood": f"{statistics.median(beside):.3f} s median, "
        f"{percentile(beside, 0.95):.3f} s 95th percentile, n = {len(beside)}",
        "flood": f"{flooded / seconds:.1f} pictures/s",
        "ratio": f"{ratio:.2f} (at most 2)",
        "holds": ratio <= 2,
    }

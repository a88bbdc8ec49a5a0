"""Jobs: what was accepted is read, whatever happens to the model, the server and the disk."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import json
import os
import shutil
import signal
import subprocess
import threading
import time
import zipfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from scripted import ScriptedReader
from serving import OTHER, Server, client_of, png, problem

from texlens.errors import InputError
from texlens.serve import AccessPolicy, Limits
from texlens.serve.jobs import runner, store
from texlens.serve.jobs.store import JobStore
from texlens.serve.middleware.tokens import add_token
from texlens.serve.models.process import ModelProcess

PICTURE = png(4, 4)
ZIP = {"Content-Type": "application/zip"}


def archive(pictures: Iterable[tuple[str, bytes]], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", kind) as made:
        for name, content in pictures:
            made.writestr(name, content)
    return stream.getvalue()


@asynccontextmanager
async def serving(folder: Path, reader: Any = None, **options: Any) -> AsyncIterator[Any]:
    jobs = JobStore(folder)
    try:
        async with client_of(reader or ScriptedReader(), jobs=jobs, **options) as client:
            yield client
    finally:
        jobs.close()


async def finished(client: httpx.AsyncClient, job: str, **more: Any) -> list[dict[str, Any]]:
    async with asyncio.timeout(30):
        while (await client.get(f"/v1/jobs/{job}", **more)).json()["status"] != "finished":
            await asyncio.sleep(0.02)
    answer = await client.get(f"/v1/jobs/{job}/readings", **more)
    assert answer.headers["content-type"] == "application/jsonl"
    return [json.loads(line) for line in answer.text.splitlines()]


def test_an_archive_and_a_form(tmp_path: Path) -> None:
    names = [f"p{number}.png" for number in range(100)]
    pictures = [("__MACOSX/x", b""), ("folder/", b""), *((f"a/../{n}", PICTURE) for n in names)]

    async def script() -> None:
        async with serving(tmp_path) as client:
            answer = await client.post("/v1/jobs", content=archive(pictures), headers=ZIP)
            assert answer.status_code == 202
            job = answer.json()
            assert job["total"] == 100
            assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
            readings = await finished(client, job["id"])
            assert [reading["latex"] for reading in readings] == names
            assert not list(tmp_path.rglob("pictures.zip"))
            files = [("file", (name, PICTURE)) for name in ("b", "../../c", "d")] + [
                ("file", ("no picture", b"text"))
            ]
            job = (await client.post("/v1/jobs", files=files)).json()
            readings = await finished(client, job["id"])
            assert [reading["path"] for reading in readings] == ["b", "c", "d", "no picture"]
            assert "error" in readings[3]
            state = (await client.get(f"/v1/jobs/{job['id']}")).json()
            assert (state["done"], state["failed"]) == (4, 1)
            assert len((await client.get("/v1/jobs")).json()["jobs"]) == 2
            assert (await client.delete(f"/v1/jobs/{job['id']}")).status_code == 204
            assert (await client.get(f"/v1/jobs/{job['id']}")).status_code == 404
            assert len(list(tmp_path.iterdir())) == 2  # the other job, and the lock

    asyncio.run(script())


def test_without_a_folder_there_are_no_jobs() -> None:
    async def script() -> int:
        async with client_of(ScriptedReader()) as client:
            return (await client.post("/v1/jobs", content=b"", headers=ZIP)).status_code

    assert asyncio.run(script()) == 404


@pytest.mark.parametrize("job", ["../x", "..%2f..%2fetc", "0" * 32, "a" * 5000, "%00", "lock"])
def test_ids_that_are_none(tmp_path: Path, job: str) -> None:
    async def script() -> list[int]:
        async with serving(tmp_path) as client:
            return [
                (await client.request(method, f"/v1/jobs/{job}{rest}")).status_code
                for method, rest in (("GET", ""), ("GET", "/readings"), ("DELETE", ""))
            ]

    assert set(asyncio.run(script())) <= {404, 405}


BOMB = archive([("a.png", b"\0" * 50_000_000)])
CUT = archive([("a.png", PICTURE)])[:-30]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "ZIP"),
        (b"PK\5\6" + b"\0" * 10, 400, "ZIP"),
        (CUT, 400, "ZIP"),
        (archive([]), 422, "no picture"),
        (archive([("folder/", b"")]), 422, "no picture"),
        (archive([(f"{n}", b"x") for n in range(7)]), 413, "at most 6"),
        (archive([("n" * 5000, b"x")]), 413, "at most 6"),
        (b"x" * 70_000, 413, "larger"),
    ],
)
def test_archives_that_are_refused(tmp_path: Path, body: bytes, status: int, says: str) -> None:
    async def script() -> httpx.Response:
        async with serving(tmp_path, limits=Limits(job_pictures=6, job_bytes=60_000)) as client:
            return await client.post("/v1/jobs", content=body, headers=ZIP)

    answer = asyncio.run(script())
    assert answer.status_code == status
    assert says in problem(answer)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_pictures_that_are_damaged_cost_only_themselves(tmp_path: Path) -> None:
    damaged = bytearray(archive([("a", PICTURE), ("b", PICTURE)], zipfile.ZIP_STORED))
    place = damaged.find(PICTURE)
    damaged[place + 20] ^= 255

    async def script() -> list[list[dict[str, Any]]]:
        async with serving(tmp_path) as client:
            answers = [
                await client.post("/v1/jobs", content=body, headers=ZIP)
                for body in (bytes(damaged), BOMB)
            ]
            return [await finished(client, answer.json()["id"]) for answer in answers]

    (broken, whole), (bomb,) = asyncio.run(script())
    assert "damaged" in broken["error"]
    assert whole["latex"] == "b"
    assert "MiB allowed" in bomb["error"]


def test_only_its_owner_sees_a_job(tmp_path: Path) -> None:
    tokens = [add_token(tmp_path / "tokens", name) for name in "ab"]
    mine, other = ({"headers": {"Authorization": f"Bearer {token}"}} for token in tokens)

    async def script() -> None:
        policy = AccessPolicy(tokens=tmp_path / "tokens")
        async with serving(tmp_path / "jobs", policy=policy) as client:
            job = (await client.post("/v1/jobs", files=[("file", PICTURE)], **mine)).json()["id"]
            await finished(client, job, **mine)
            assert (await client.get(f"/v1/jobs/{job}", **other)).status_code == 404
            assert (await client.delete(f"/v1/jobs/{job}", **other)).status_code == 404
            assert (await client.get("/v1/jobs", **other)).json() == {"jobs": []}

    asyncio.run(script())


def test_a_client_has_a_number_of_jobs(tmp_path: Path) -> None:
    async def script() -> httpx.Response:
        async with serving(tmp_path, limits=Limits(jobs=0)) as client:
            return await client.post("/v1/jobs", files=[("file", PICTURE)])

    answer = asyncio.run(script())
    assert answer.status_code == 429
    assert "wait" in problem(answer)


def test_jobs_that_are_arriving_count_too(tmp_path: Path) -> None:
    begun, end = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield archive([("a", PICTURE)])
        begun.set()
        await end.wait()

    async def script() -> tuple[httpx.Response, ...]:
        async with serving(tmp_path, limits=Limits(jobs=1)) as client:
            sent = asyncio.ensure_future(client.post("/v1/jobs", content=slow(), headers=ZIP))
            await begun.wait()
            second = await client.post("/v1/jobs", files=[("file", PICTURE)])
            end.set()
            return await sent, second

    first, second = asyncio.run(script())
    assert (first.status_code, second.status_code) == (202, 429)


def test_a_restart_goes_on_after_the_last_whole_line(tmp_path: Path) -> None:
    async def begin() -> str:
        class Slow(ScriptedReader):
            batch_size = 2

            def read_many(self, pictures: Any) -> Any:
                time.sleep(0.05)
                return super().read_many(pictures)

        pictures = [(f"p{number}", PICTURE) for number in range(80)]
        async with serving(tmp_path, Slow()) as client:
            job: str = (
                await client.post("/v1/jobs", content=archive(pictures), headers=ZIP)
            ).json()["id"]
            while (await client.get(f"/v1/jobs/{job}")).json()["done"] < 32:
                await asyncio.sleep(0.01)
            return job

    async def go_on(job: str) -> list[dict[str, Any]]:
        async with serving(tmp_path) as client:
            return await finished(client, job)

    job = asyncio.run(begin())
    path = tmp_path / job / "readings.jsonl"
    assert len(path.read_text().splitlines()) < 80
    with path.open("a") as file:
        file.write('{"half": ')
    (tmp_path / "1.zip.new").write_bytes(b"x")
    (tmp_path / ("f" * 32)).mkdir()  # damaged: left alone
    readings = asyncio.run(go_on(job))
    assert [reading["latex"] for reading in readings] == [f"p{number}" for number in range(80)]
    assert not (tmp_path / "1.zip.new").exists()


def test_a_model_that_ends_costs_a_job_nothing_but_the_guilty_picture(tmp_path: Path) -> None:
    names = ["a", "b", "dies", "c", "fails", *map(str, range(40))]
    pictures = [(name, png(4, 4 + place)) for place, name in enumerate(names)]
    model = ModelProcess(ScriptedReader, hang_seconds=5)

    async def script() -> list[dict[str, Any]]:
        async with serving(tmp_path, model) as client:
            answer = await client.post("/v1/jobs", content=archive(pictures), headers=ZIP)
            return await finished(client, answer.json()["id"])

    readings = asyncio.run(script())
    assert [reading["latex"] for reading in readings] == [
        "" if name in ("dies", "fails") else name for name in names
    ]
    assert "ended the model" in readings[2]["error"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MiB, which is really full when it is full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this process may not mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path, but_bytes: int) -> None:
    """Take all the room of a disk but so many bytes."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    os.truncate(path, path.stat().st_size - but_bytes)


def test_a_disk_that_is_full_loses_nothing(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(runner, "_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(store, "_RESERVE_BYTES", 0)
    names = [f"p{number}" for number in range(50)]
    is_full, filling = threading.Event(), small_disk / "filling"

    class Waiting(ScriptedReader):
        def read_many(self, pictures: Any) -> Any:
            is_full.wait(20)
            return super().read_many(pictures)

    async def large() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield bytes(100_000)

    async def while_it_is_full(client: httpx.AsyncClient, job: str) -> None:
        state = (await client.get(f"/v1/jobs/{job}")).json()
        lines = (await client.get(f"/v1/jobs/{job}/readings")).text.splitlines()
        assert state["status"] != "finished"
        assert len([json.loads(line) for line in lines]) == state["done"]
        for body in (
            {"content": bytes(100_000), "headers": ZIP},
            {"content": large(), "headers": ZIP},  # without Content-Length
            {"files": [("file", PICTURE)]},
        ):
            answer = await client.post("/v1/jobs", **body)
            assert answer.status_code == 507
            assert "nothing was kept" in problem(answer)
        answer = await client.post("/v1/read", files={"file": ("x", PICTURE)})
        assert answer.status_code == 200
        assert {path.name for path in small_disk.iterdir()} == {job, "lock", "filling"}

    async def script() -> list[dict[str, Any]]:
        async with serving(small_disk, Waiting()) as client:
            body = archive((name, PICTURE) for name in names)
            job = (await client.post("/v1/jobs", content=body, headers=ZIP)).json()["id"]
            fill(filling, 4096)  # so that a part of the first readings can be written
            is_full.set()
            async with asyncio.timeout(20):
                while caplog.text.count(f"Job {job} waits: No space left on device") < 3:
                    await asyncio.sleep(0.02)
            await while_it_is_full(client, job)
        async with serving(small_disk) as client:  # started again on the full disk
            await while_it_is_full(client, job)
            filling.unlink()
            return await finished(client, job)

    assert [reading["latex"] for reading in asyncio.run(script())] == names


def test_archives_leave_room_on_the_disk(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that arrives without a length: the readings of other jobs need the room."""
    monkeypatch.setattr(store, "_RESERVE_BYTES", 2**20)
    lowest = 2**21

    async def large() -> AsyncIterator[bytes]:
        nonlocal lowest
        for _ in range(30):
            yield bytes(100_000)
            lowest = min(lowest, shutil.disk_usage(small_disk).free)

    async def script() -> httpx.Response:
        async with serving(small_disk) as client:
            return await client.post("/v1/jobs", content=large(), headers=ZIP)

    assert asyncio.run(script()).status_code == 507
    assert lowest > 900_000
    assert [path.name for path in small_disk.iterdir()] == ["lock"]


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that cannot be kept is refused; one that was accepted waits for room."""
    monkeypatch.setattr(runner, "_PAUSE_SECONDS", 0.05)
    append, failures = JobStore.append, [0]

    def full(self: JobStore, job: store.Job, records: Any) -> None:
        failures[0] += 1
        if failures[0] < 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        append(self, job, records)

    async def script() -> None:
        async with serving(tmp_path) as client:
            monkeypatch.setattr(store, "_RESERVE_BYTES", 2**60)
            for body in ({"files": [("file", PICTURE)]}, {"content": b"x", "headers": ZIP}):
                answer = await client.post("/v1/jobs", **body)
                assert answer.status_code == 507
                assert "nothing was kept" in problem(answer)
            assert [path.name for path in tmp_path.iterdir()] == ["lock"]
            monkeypatch.setattr(store, "_RESERVE_BYTES", 0)
            monkeypatch.setattr(JobStore, "append", full)
            job = (await client.post("/v1/jobs", files=[("file", ("a", PICTURE))])).json()["id"]
            assert [reading["latex"] for reading in await finished(client, job)] == ["a"]

    asyncio.run(script())


def test_old_jobs_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def script() -> None:
        async with serving(tmp_path) as client:
            job = (await client.post("/v1/jobs", files=[("file", PICTURE)])).json()["id"]
            await finished(client, job)
        async with serving(tmp_path) as client:
            assert (await client.get(f"/v1/jobs/{job}")).status_code == 200
        monkeypatch.setattr(store, "KEPT_SECONDS", -1.0)
        async with serving(tmp_path) as client:
            await asyncio.sleep(0.2)
            assert (await client.get(f"/v1/jobs/{job}")).status_code == 404

    asyncio.run(script())
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_one_folder_has_one_server(tmp_path: Path) -> None:
    first = JobStore(tmp_path)
    with pytest.raises(InputError, match="Another server"):
        JobStore(tmp_path)
    first.close()
    JobStore(tmp_path).close()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be used"):
        JobStore(tmp_path / "file")


def test_a_server_that_is_killed_loses_no_job(tmp_path: Path) -> None:
    server = Server("--jobs", str(tmp_path))
    pictures = [(f"p{number}", OTHER) for number in range(60)]
    answer = httpx.post(f"{server.url}/v1/jobs", content=archive(pictures), headers=ZIP)
    job = answer.json()["id"]
    time.sleep(0.7)
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    server = Server("--jobs", str(tmp_path))
    try:
        deadline = time.monotonic() + 60
        while httpx.get(f"{server.url}/v1/jobs/{job}").json()["status"] != "finished":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        lines = httpx.get(f"{server.url}/v1/jobs/{job}/readings").text.splitlines()
        assert [json.loads(line)["path"] for line in lines] == [name for name, _ in pictures]
        assert len({json.loads(line)["latex"] for line in lines}) == 1
    finally:
        server.stop()

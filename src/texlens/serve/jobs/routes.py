"""The addresses of jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response, StreamingResponse

from texlens.serve.api.pictures import receive_uploads
from texlens.serve.api.schema import ARCHIVE_OR_PICTURES_BODY, problems
from texlens.serve.jobs.archive import count_pictures, write_archive
from texlens.serve.jobs.runner import JobRunner
from texlens.serve.jobs.store import Job, JobStore
from texlens.serve.limits import Limits
from texlens.serve.middleware.auth import CLIENT
from texlens.serve.middleware.problems import busy, media_type

_BLOCK = 2**20


class JobState(BaseModel):
    """How far a job is."""

    id: str
    status: str = Field(description="'waiting', 'running' or 'finished'.")
    total: int = Field(description="Pictures of the job.")
    done: int = Field(description="Pictures read, each a line of the readings.")
    failed: int = Field(description="Of these, pictures with an error.")
    created: float = Field(description="Seconds since 1970.")
    finished: float | None = Field(description="Seconds since 1970, or null.")


def state_of(job: Job) -> dict[str, Any]:
    """A job as JSON."""
    return JobState(
        id=job.id,
        status=job.status,
        total=job.total,
        done=job.done,
        failed=job.failed,
        created=job.created,
        finished=job.finished,
    ).model_dump()


def job_routes(
    store: JobStore, runner: JobRunner, limits: Limits, *, owners_alone: bool
) -> APIRouter:
    """The addresses under `/v1/jobs`. `owners_alone`: only the client that sent a job can see it."""
    router = APIRouter()
    sending: list[str] = []  # the clients whose jobs are arriving, once for each job

    def job_of(request: Request, job_id: str) -> Job:
        job = store.jobs.get(job_id)
        if job is None or (owners_alone and job.client != request.scope[CLIENT]):
            raise HTTPException(404, "There is no job with that id: it may have been deleted.")
        return job

    async def accept(client: str, make: Callable[[Path], int]) -> Job:
        try:
            return await asyncio.to_thread(store.add, client, make)
        except OSError as error:
            raise _no_room() from error

    async def receive(request: Request, client: str) -> Job:
        if media_type(request) == "application/zip":
            archive = await _receive_archive(request, store)

            def make(path: Path) -> int:
                count = count_pictures(archive, limits.job_pictures)
                archive.replace(path)
                return count

            try:
                return await accept(client, make)
            finally:
                archive.unlink(missing_ok=True)
        uploads = await receive_uploads(request, limits.job_pictures)

        def write(path: Path) -> int:
            store.check_room(sum(len(content) for _, content in uploads))
            write_archive(path, uploads)
            return len(uploads)

        return await accept(client, write)

    @router.post(
        "/v1/jobs",
        summary="Read many pictures later",
        status_code=202,
        response_model=JobState,
        responses=problems(400, 401, 403, 408, 413, 415, 422, 429, 503, 507),
        openapi_extra=ARCHIVE_OR_PICTURES_BODY,
    )
    async def create(request: Request) -> Response:
        """Accept a job: a ZIP archive (`application/zip`), or a body as of `/v1/read`.

        The job is on the disk when this answers. It is deleted a day after it has finished.
        """
        client = request.scope[CLIENT]
        own = [job for job in store.jobs.values() if job.client == client and not job.finished]
        if len(own) + sending.count(client) >= limits.jobs:
            raise busy(f"You have {limits.jobs} unfinished jobs: wait for one.", 30, 429)
        sending.append(client)
        try:
            job = await receive(request, client)
        finally:
            sending.remove(client)
        runner.start()
        location = f"{request.scope.get('root_path', '')}/v1/jobs/{job.id}"
        return JSONResponse(state_of(job), 202, {"Location": location})

    @router.get("/v1/jobs", summary="Your jobs")
    async def jobs(request: Request) -> dict[str, Any]:
        """The jobs of this client, oldest first."""
        own = [job for job in store.jobs.values() if job.client == request.scope[CLIENT]]
        return {"jobs": [state_of(job) for job in sorted(own, key=lambda job: job.created)]}

    @router.get(
        "/v1/jobs/{job_id}", summary="A job", response_model=JobState, responses=problems(404)
    )
    async def job(request: Request, job_id: str) -> Response:
        """How far a job is."""
        return JSONResponse(state_of(job_of(request, job_id)))

    @router.get(
        "/v1/jobs/{job_id}/readings",
        summary="The readings of a job so far",
        response_class=StreamingResponse,
        responses={200: {"content": {"application/jsonl": {}}}, **problems(404)},
    )
    async def readings(request: Request, job_id: str) -> StreamingResponse:
        """One reading a line, in the order of the pictures; also before the job has finished."""
        path = store.readings(job_of(request, job_id))
        return StreamingResponse(_blocks(path, path.stat().st_size), media_type="application/jsonl")

    @router.delete(
        "/v1/jobs/{job_id}", summary="Delete a job", status_code=204, responses=problems(404)
    )
    async def delete(request: Request, job_id: str) -> Response:
        """Stop a job and delete its pictures and readings."""
        await runner.delete(job_of(request, job_id))
        return Response(status_code=204)

    return router


async def _receive_archive(request: Request, store: JobStore) -> Path:
    """The path of an archive that was written while it arrived."""
    path = store.incoming()
    try:
        store.check_room(int(request.headers.get("content-length", "0")))
        with path.open("wb") as file:

            def write(block: bytes) -> None:
                store.check_room(
                    len(block)
                )  # what is accepted must not lose the room for its readings
                file.write(block)

            async for block in request.stream():
                if block:
                    await asyncio.to_thread(write, block)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _no_room() from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


async def _blocks(path: Path, size: int) -> AsyncIterator[bytes]:
    """The first `size` bytes of a file that grows."""
    with path.open("rb") as file:
        while size > 0 and (block := await asyncio.to_thread(file.read, min(size, _BLOCK))):
            size -= len(block)
            yield block


def _no_room() -> HTTPException:
    return HTTPException(
        507, "There is no room for this job on the server's disk: nothing was kept."
    )

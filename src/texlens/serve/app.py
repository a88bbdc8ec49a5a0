"""The application: its addresses, and what each does with the parts of this package."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response, StreamingResponse

from texlens import __version__
from texlens.errors import TexlensError
from texlens.latex.compact import compact
from texlens.records import Reading
from texlens.serve.auth import AccessPolicy, AuthMiddleware
from texlens.serve.batches import BatchReader, ReadingQueue
from texlens.serve.body import Drain, MemoryBudget, read_json
from texlens.serve.completions import ChatRequest, completion, completion_stream, picture_of
from texlens.serve.drawing import ANSWER_TYPES, RenderQueue, RenderRequest
from texlens.serve.limits import Limits
from texlens.serve.page_files import add_page
from texlens.serve.pictures import Received, inspect, receive_pictures
from texlens.serve.problems import Problem, answer_problems, busy
from texlens.serve.schema import (
    Health,
    Readings,
    describe_bodies,
    json_body,
    pictures_body,
    problems,
)

T = TypeVar("T")


def create_app(
    reader: BatchReader, *, limits: Limits | None = None, policy: AccessPolicy | None = None
) -> FastAPI:
    """The ASGI application that reads with `reader`. It starts one thread, and ends it.

    `policy`: who may come in; the default is this machine, without a token.
    """
    limits = limits or Limits()
    policy = policy or AccessPolicy()
    queue = ReadingQueue(reader, limits.waiting)
    budget = MemoryBudget(limits.held_bytes)
    render_queue = RenderQueue(limits.renderings, limits.formula_characters)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        queue.start()
        yield
        await asyncio.to_thread(queue.close)

    app = FastAPI(
        title="TexLens",
        version=__version__,
        description="Pictures of formulas to LaTeX.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(AuthMiddleware, policy=policy)
    app.add_middleware(Drain)
    answer_problems(app)

    async def read(request: Request, pictures: list[Received]) -> list[Reading]:
        """The readings of a request's pictures, unless its client leaves or time runs out."""
        try:
            async with asyncio.timeout(limits.answer_seconds):
                return await _unless_gone(
                    request, queue.read([picture.item for picture in pictures])
                )
        except TimeoutError as error:
            seconds = f"{limits.answer_seconds:g} seconds"
            raise busy(f"There was no reading within {seconds}: try again later.", 10) from error
        except TexlensError as error:
            raise Problem(502, str(error)) from error

    @app.post(
        "/v1/read",
        summary="Read pictures of formulas",
        response_model=Readings,
        responses=problems(400, 401, 403, 408, 413, 415, 422, 502, 503),
        openapi_extra=pictures_body(),
    )
    async def read_pictures(request: Request) -> Response:
        """One reading for each picture, in their order.

        A picture that cannot be read has an `error`; when that is so for all of them, the answer is
        the first one's problem.
        """
        with budget.held() as held:
            pictures = await receive_pictures(request, limits, held)
            readings = await read(request, pictures)
        if all(reading.error for reading in readings):
            status = pictures[0].status if pictures[0].item.error else 422
            raise Problem(status, str(readings[0].error))
        return JSONResponse({"readings": [_record(reading) for reading in readings]})

    @app.post(
        "/v1/render",
        summary="Draw a formula, or write it in another notation",
        response_class=Response,
        responses={
            200: {"content": {media_type: {} for media_type in ANSWER_TYPES}},
            **problems(400, 401, 403, 408, 413, 415, 422, 503),
        },
        openapi_extra=json_body(RenderRequest),
    )
    async def render(request: Request) -> Response:
        """The formula as a picture, or in the notation asked for."""
        with budget.held() as held:
            asked = await read_json(request, RenderRequest, limits, held)
            return await render_queue.draw(asked)

    @app.post(
        "/v1/chat/completions",
        summary="Read a picture, for OpenAI clients",
        responses=problems(400, 401, 403, 408, 413, 415, 422, 502, 503),
        openapi_extra=json_body(ChatRequest),
    )
    async def chat(request: Request) -> Response:
        """A chat completion whose text is the LaTeX of the picture in the last user message.

        The picture comes as a `data:` address. Texts and sampling options change nothing.
        """
        with budget.held() as held:
            asked = await read_json(request, ChatRequest, limits, held)
            upload = await asyncio.to_thread(picture_of, asked)
            picture = await asyncio.to_thread(inspect, upload, 0, limits)
            (reading,) = await read(request, [picture])
        if reading.error is not None:
            raise Problem(picture.status if picture.item.error else 422, reading.error)
        model = asked.model or "texlens"
        if asked.stream:
            events = completion_stream(reading, model)
            return StreamingResponse(events, media_type="text/event-stream")
        return JSONResponse(completion(reading, model, bool(asked.logprobs)))

    @app.get("/v1/models", summary="The model, for OpenAI clients")
    async def models() -> dict[str, Any]:
        """The one model that reads here."""
        model = {"id": "texlens", "object": "model", "created": 0, "owned_by": "texlens"}
        return {"object": "list", "data": [model]}

    @app.get("/v1/health", summary="Whether the server works", response_model=Health)
    async def health() -> Health:
        """Open to all who reach the server, and so without anything secret."""
        return Health(
            version=__version__,
            waiting=queue.waiting,
            needs_token=policy.token is not None,
            max_body_bytes=limits.body_bytes,
            max_pictures=limits.pictures,
            max_pixels=limits.pixels,
        )

    add_page(app)
    describe_bodies(app)
    return app


def _record(reading: Reading) -> dict[str, Any]:
    return {**reading.as_json(), "compact": compact(reading.latex)}


async def _unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What comes of `work`. When the client leaves, it is cancelled: ClientDisconnect."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass

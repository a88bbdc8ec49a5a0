"""The application: its addresses, and what each of them does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from fastapi import FastAPI, Query, Request
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response, StreamingResponse

from texlens import __version__
from texlens.errors import TexlensError
from texlens.reading.alternatives import MOST
from texlens.records import Reading, is_fault
from texlens.serve.api.completions import (
    MODEL,
    ChatRequest,
    completion,
    completion_stream,
    model_card,
    picture_of,
)
from texlens.serve.api.pages import page_response
from texlens.serve.api.pictures import (
    CheckedPicture,
    check_picture,
    receive_pictures,
    receive_uploads,
)
from texlens.serve.api.rendering import RESPONSE_TYPES, RenderQueue, RenderRequest, formats_of
from texlens.serve.api.schema import (
    PICTURES_BODY,
    Health,
    Readings,
    complete_description,
    problems,
    record_of,
)
from texlens.serve.jobs.routes import job_routes
from texlens.serve.jobs.runner import JobRunner
from texlens.serve.jobs.store import JobStore
from texlens.serve.limits import Limits
from texlens.serve.metrics import Metrics
from texlens.serve.middleware.access_log import AccessLogMiddleware
from texlens.serve.middleware.auth import CLIENT, AccessPolicy, AuthMiddleware
from texlens.serve.middleware.body import BodyMiddleware
from texlens.serve.middleware.prefix import PrefixMiddleware
from texlens.serve.middleware.problems import add_error_handlers, busy
from texlens.serve.models.base import BatchReader, LocalModel, Model
from texlens.serve.models.queue import ReadingQueue
from texlens.serve.page_files import add_page


def create_app(
    reader: BatchReader | Model,
    *,
    limits: Limits | None = None,
    policy: AccessPolicy | None = None,
    prefix: str = "",
    jobs: JobStore | None = None,
) -> FastAPI:
    """The ASGI application that reads with `reader`, in one thread of its own, or with a `Model`.

    The default policy accepts requests from this machine alone, without a token. It can be mounted
    in another application. `prefix` is the path under which a proxy serves it, such as `/formulas`;
    `jobs` keeps the jobs of `/v1/jobs`, which there are only with it.
    """
    limits = limits or Limits()
    policy = policy or AccessPolicy()
    model_used = reader if isinstance(reader, Model) else LocalModel(reader)
    metrics = Metrics()
    queue = ReadingQueue(
        model_used,
        limits.waiting,
        max_of_client=limits.waiting_of_client,
        observe=metrics.count_batch,
    )
    metrics.watch(queue, model_used)
    render_queue = RenderQueue(limits.renderings, limits.formula_characters)

    runner = JobRunner(jobs, queue, limits) if jobs is not None else None

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        queue.start()
        if runner is not None:
            runner.start()
        yield
        if runner is not None:
            await runner.close()
        await queue.close()

    app = FastAPI(
        title="TexLens",
        version=__version__,
        description="Pictures of formulas to LaTeX.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own pages load scripts from other sites
        redoc_url=None,
        redirect_slashes=False,
    )
    open_addresses = add_page(app) | {"/openapi.json", "/v1/health", "/v1/ready"}
    app.state.queue = queue
    # The last one added is the first to see a request.
    app.add_middleware(AuthMiddleware, policy=policy, open_addresses=open_addresses)
    app.add_middleware(BodyMiddleware, limits=limits)
    if policy.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=sorted(policy.origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
            expose_headers=["Retry-After", "X-Request-ID"],
        )
    app.add_middleware(AccessLogMiddleware, metrics=metrics)
    app.add_middleware(PrefixMiddleware, prefix=prefix)
    add_error_handlers(app)

    async def read(
        request: Request, pictures: list[CheckedPicture], alternatives: int = 0
    ) -> list[Reading]:
        """The readings of a request's pictures; cancelled when the client disconnects.

        Raises:
            HTTPException: none of them can be read, or not now.
        """
        items = [replace(picture.item, alternatives=alternatives) for picture in pictures]
        work = asyncio.ensure_future(queue.read(items, request.scope[CLIENT]))
        gone = asyncio.ensure_future(_disconnected(request))
        try:
            await asyncio.wait(
                {work, gone}, timeout=limits.answer_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if gone.done():
                raise HTTPException(400, "The client disconnected.")
            if not work.done():
                seconds = f"{limits.answer_seconds:g} seconds"
                raise busy(f"There was no reading within {seconds}: try again later.", 10)
            readings = work.result()
        except TexlensError as error:
            raise HTTPException(502, str(error)) from error
        finally:
            work.cancel()
            gone.cancel()
        if all(reading.error for reading in readings):
            status = pictures[0].status if pictures[0].item.error else 422
            status = 500 if is_fault(readings[0]) else status
            raise HTTPException(status, str(readings[0].error))
        return readings

    @app.post(
        "/v1/read",
        summary="Read pictures of formulas",
        response_model=Readings,
        responses=problems(400, 401, 403, 408, 413, 415, 422, 429, 502, 503),
        openapi_extra=PICTURES_BODY,
    )
    async def read_pictures(
        request: Request,
        alternatives: int = Query(
            0, ge=0, le=MOST, description="Other readings wanted for each picture."
        ),
        formats: str = Query(
            "", description="Formats wanted for each reading, with commas between them, or 'all'."
        ),
    ) -> Response:
        """One reading for each picture, in the same order.

        A picture that cannot be read has an `error`. If no picture can be read, the response is
        the problem of the first one. `png` and `docx` among the formats are in base64.
        """
        wanted = formats_of(formats)
        pictures = await receive_pictures(request, limits)
        records = [record_of(one) for one in await read(request, pictures, alternatives)]
        for record in records if wanted else ():
            if record["latex"]:
                record["formats"] = await render_queue.render_all(record["latex"], wanted)
        return JSONResponse({"readings": records})

    @app.post(
        "/v1/render",
        summary="Render a formula, or convert it to another notation",
        response_class=Response,
        responses={
            200: {"content": {media_type: {} for media_type in RESPONSE_TYPES}},
            **problems(400, 401, 403, 408, 413, 415, 422, 503),
        },
    )
    async def render(formula: RenderRequest) -> Response:
        """The formula as a picture, or in the requested notation."""
        return await render_queue.render(formula)

    @app.post(
        "/v1/page",
        summary="Render a page of a PDF",
        response_class=Response,
        responses={200: {"content": {"image/png": {}}}, **problems(400, 401, 404, 413, 415, 422)},
        openapi_extra=PICTURES_BODY,
    )
    async def page(
        request: Request, number: int = Query(1, ge=1, description="The page, from 1.")
    ) -> Response:
        """A page as PNG; the header `X-Pages` has the number of pages."""
        ((_, content), *_) = await receive_uploads(request, 1)
        return await page_response(content, number)

    @app.post(
        "/v1/chat/completions",
        summary="Read a picture, for OpenAI clients",
        responses=problems(400, 401, 403, 408, 413, 415, 429, 502, 503),
    )
    async def chat(request: Request, body: ChatRequest) -> Response:
        """A chat completion whose text is the LaTeX of the picture in the last user message.

        The picture must be a `data:` URL. Texts and sampling options have no effect. Up to `n` choices
        are different readings, each with the `probability` that it is the right one.
        """
        picture = await asyncio.to_thread(
            lambda: check_picture("picture", picture_of(body), limits)
        )
        (reading,) = await read(request, [picture], (body.n or 1) - 1)
        model = body.model or MODEL
        if body.stream:
            events = completion_stream(reading, body, model)
            return StreamingResponse(events, media_type="text/event-stream")
        return JSONResponse(completion(reading, model, bool(body.logprobs)))

    @app.get("/v1/models", summary="The model, for OpenAI clients")
    async def models() -> dict[str, Any]:
        """The one model of this server."""
        return {"object": "list", "data": [model_card(MODEL)]}

    @app.get("/v1/models/{name}", summary="One model, for OpenAI clients", responses=problems(404))
    async def model(name: str) -> dict[str, Any]:
        """The model of this server, by its name."""
        if name != MODEL:
            raise HTTPException(404, f"This server has no model of that name: it has '{MODEL}'.")
        return model_card(MODEL)

    @app.get("/v1/health", summary="The state of the server", response_model=Health)
    async def health() -> Health:
        """Whether the server is alive, its model's state and its limits. Needs no token.

        The status is 200 as long as the server answers; `/v1/ready` says whether it can read.
        """
        return Health(
            model=await asyncio.to_thread(lambda: queue.state),
            version=__version__,
            waiting=queue.waiting,
            needs_token=bool(policy.tokens),
            max_body_bytes=limits.body_bytes,
            max_pictures=limits.pictures,
            max_pixels=limits.pixels,
        )

    @app.get("/v1/ready", summary="Whether pictures can be read now", responses=problems(503))
    async def ready() -> dict[str, str]:
        """Status 200 if a picture that is sent now will be read, else 503. Needs no token."""
        if await asyncio.to_thread(lambda: queue.state) != "ready":  # it may ask another server
            raise busy("No picture can be read at the moment.", 2)
        return {"status": "ready"}

    if jobs is not None and runner is not None:
        owners_alone = bool(policy.tokens)
        app.include_router(job_routes(jobs, runner, limits, owners_alone=owners_alone))

    @app.get("/metrics", summary="What the server does, for Prometheus", response_class=Response)
    async def metrics_now() -> Response:
        """Requests, latencies, queue, batches, confidence, restarts and memory."""
        return metrics.response()

    complete_description(app)
    return app


async def _disconnected(request: Request) -> None:
    """Wait until the client disconnects. The body must have been received before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass

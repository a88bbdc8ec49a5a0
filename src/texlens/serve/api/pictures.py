"""The pictures of a request: from forms, base64 and `data:` URLs. No URL is ever fetched."""

from __future__ import annotations

import asyncio
import base64
import io
from contextlib import aclosing
from dataclasses import dataclass

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from texlens.reading.pictures.opening import FORMATS
from texlens.reading.sources import Item
from texlens.serve.limits import Limits
from texlens.serve.middleware.problems import media_type

_MAX_NAME_CHARACTERS = 120


class NamedPicture(BaseModel):
    """One picture of a JSON request."""

    model_config = ConfigDict(extra="forbid")

    data: str = Field(description="The picture file in base64, or a `data:` URL.")
    name: str = Field("", description="The `path` of its reading.")


class ReadRequest(BaseModel):
    """The JSON body of `POST /v1/read`."""

    model_config = ConfigDict(extra="forbid")

    pictures: list[NamedPicture] = Field(min_length=1)


Upload = tuple[str, bytes]
"""A picture file of a request: the client's name for it, and its content."""


@dataclass(frozen=True, slots=True)
class CheckedPicture:
    """A picture whose header was checked. `status` is the HTTP status of its error, if any."""

    item: Item
    pixels: int = 0
    status: int = 200


async def receive_pictures(request: Request, limits: Limits) -> list[CheckedPicture]:
    """The pictures of a `POST /v1/read`, at least one.

    A picture that cannot be read becomes an item with an error.

    Raises:
        HTTPException: the request itself is wrong.
    """
    uploads = await receive_uploads(request, limits.pictures)
    pictures = await asyncio.to_thread(
        lambda: [
            check_picture(name or f"picture {number}", content, limits)
            for number, (name, content) in enumerate(uploads, 1)
        ]
    )
    if sum(picture.pixels for picture in pictures) > limits.request_pixels:
        raise HTTPException(
            413,
            f"Together the pictures have more than the {limits.request_pixels:,} pixels allowed in "
            "a request: send several requests.",
        )
    return pictures


async def receive_uploads(request: Request, most: int) -> list[Upload]:
    """The picture files of a form or of JSON, at least one and at most `most`.

    Raises:
        HTTPException: the request is wrong.
    """
    match media_type(request):
        case "multipart/form-data":
            uploads = await _read_form(request, most)
        case "application/json":
            uploads = await asyncio.to_thread(_parse_json, await request.body(), most)
        case _:
            raise HTTPException(415, "Send a multipart form with the field 'file', or JSON.")
    if not uploads:
        raise HTTPException(422, "The request contains no picture.")
    return uploads


class _FormParser(MultiPartParser):
    """Starlette's parser, in memory alone; it notices too many parts and a form cut short."""

    spool_max_size = 0  # no limit: `BodyMiddleware` bounds the body, and nothing goes to the disk
    max_parts = 0
    part_count = 0
    is_complete = False

    def on_part_begin(self) -> None:
        super().on_part_begin()
        self.part_count += 1
        if self.part_count > self.max_parts:
            raise _too_many_pictures(self.max_parts)

    def on_end(self) -> None:
        self.is_complete = True


async def _read_form(request: Request, most: int) -> list[Upload]:
    async with aclosing(request.stream()) as stream:
        parser = _FormParser(request.headers, stream)
        parser.max_parts = most
        try:
            form = await parser.parse()
        except MultiPartException as error:
            raise HTTPException(400, f"The multipart form is not valid: {error.message}") from error
    if not parser.is_complete:
        raise HTTPException(400, "The form is cut short: its closing boundary is missing.")
    uploads = []
    for field, file in form.multi_items():
        if field != "file" or not isinstance(file, UploadFile):
            raise HTTPException(
                422, f"The form's field '{plain_name(field)}' is unknown: send files as 'file'."
            )
        uploads.append((plain_name(file.filename or ""), await file.read()))
    return uploads


def _parse_json(body: bytes, most: int) -> list[Upload]:
    try:
        pictures = ReadRequest.model_validate_json(body).pictures
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error
    if len(pictures) > most:
        raise _too_many_pictures(most)
    return [(plain_name(one.name), decode_picture(one.data)) for one in pictures]


def _too_many_pictures(limit: int) -> HTTPException:
    return HTTPException(
        413, f"A request may have at most {limit} pictures: send several requests."
    )


def plain_name(name: str) -> str:
    """A client's file name without folders and control characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(char for char in last if char.isprintable())[:_MAX_NAME_CHARACTERS]


def decode_picture(data: str) -> bytes:
    """The content of a picture in base64 or in a `data:` URL.

    Raises:
        HTTPException: it is neither. Other URLs are never fetched.
    """
    scheme, colon, rest = data[:200].partition(":")
    if colon:
        if scheme.strip().lower() != "data":
            raise HTTPException(
                422, "A picture must be sent as a data: URL: other URLs are never fetched."
            )
        head, comma, _ = rest.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise HTTPException(422, "The data: URL must be in base64.")
        data = data[len(scheme) + len(head) + 2 :]
    try:
        return base64.b64decode("".join(data.split()), validate=True)
    except ValueError as error:
        raise HTTPException(422, "The picture is not valid base64.") from error


def check_picture(name: str, content: bytes, limits: Limits) -> CheckedPicture:
    """Check the header of a picture file, without decoding the picture.

    A small file that would decode to a huge picture is found here at no cost.
    """
    try:
        pixels = _count_pixels(content, limits.pixels)
    except HTTPException as error:
        return CheckedPicture(Item(name, None, error.detail), status=error.status_code)
    return CheckedPicture(Item(name, content), pixels)


def _count_pixels(content: bytes, limit: int) -> int:
    if not content:
        raise HTTPException(422, "The picture is empty (0 bytes).")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
    except Image.DecompressionBombError as error:
        raise HTTPException(
            413, f"The picture has more than the {limit:,} pixels allowed."
        ) from error
    except Exception as error:  # a header parser may raise anything for a hostile file
        raise HTTPException(
            415, f"The picture is not {', '.join(FORMATS)}, or its header is damaged."
        ) from error
    if width * height > limit:
        raise HTTPException(
            413,
            f"The picture is {width:,} x {height:,} pixels, more than the {limit:,} allowed: "
            "crop it to the formula.",
        )
    return width * height

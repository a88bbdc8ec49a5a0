"""From a request to pictures: forms, base64 and `data:` addresses; never a fetched one."""

from __future__ import annotations

import asyncio
import base64
import binascii
import io
from dataclasses import dataclass

from fastapi import Request
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from texlens.reading.pictures.opening import FORMATS
from texlens.reading.sources import Item
from texlens.serve.body import Held, media_type, read_json
from texlens.serve.forms import Upload, plain_name, read_form, too_many_pictures
from texlens.serve.limits import Limits
from texlens.serve.problems import Problem


class NamedPicture(BaseModel):
    """One picture of a JSON request."""

    model_config = ConfigDict(extra="forbid")

    data: str = Field(description="The picture file in base64, or a `data:` address.")
    name: str = Field("", description="What its reading is to be called.")


class ReadRequest(BaseModel):
    """The JSON form of `POST /v1/read`."""

    model_config = ConfigDict(extra="forbid")

    pictures: list[NamedPicture] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Received:
    """A picture as it came; `status` is the HTTP status of its error, where it has one."""

    item: Item
    pixels: int = 0
    status: int = 200


async def receive_pictures(request: Request, limits: Limits, held: Held) -> list[Received]:
    """The pictures of a `POST /v1/read`, at least one.

    A picture that cannot be read is an item with an error. Raises Problem for a bad request.
    """
    kind = media_type(request)
    if kind == "multipart/form-data":
        uploads = await read_form(request, limits, held)
        strange = next((upload.field for upload in uploads if upload.field != "file"), None)
        if strange is not None:
            raise Problem(422, f"The form's field '{plain_name(strange)}' is unknown: use 'file'.")
    elif kind == "application/json":
        asked = await read_json(request, ReadRequest, limits, held)
        if len(asked.pictures) > limits.pictures:
            raise too_many_pictures(limits.pictures)
        uploads = await asyncio.to_thread(_decoded, asked)
    else:
        raise Problem(415, "Send a multipart form with the field 'file', or JSON.")
    if not uploads:
        raise Problem(422, "The request holds no picture.")
    pictures = await asyncio.to_thread(
        lambda: [inspect(upload, place, limits) for place, upload in enumerate(uploads)]
    )
    if sum(picture.pixels for picture in pictures) > limits.request_pixels:
        raise Problem(
            413,
            f"The pictures have together more pixels than the {limits.request_pixels:,} allowed in "
            "a request: send several requests.",
        )
    return pictures


def _decoded(asked: ReadRequest) -> list[Upload]:
    return [
        Upload("file", plain_name(picture.name), decode_picture(picture.data))
        for picture in asked.pictures
    ]


def decode_picture(data: str) -> bytes:
    """The bytes of a picture in base64 or of a `data:` address.

    Raises Problem for anything else; an address elsewhere is never fetched.
    """
    scheme, colon, rest = data[:200].partition(":")
    if colon:
        if scheme.strip().lower() != "data":
            raise Problem(
                422, "A picture must come as a data: address: other addresses are never fetched."
            )
        head, comma, _ = rest.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise Problem(422, "The data: address must be in base64.")
        data = data[len(scheme) + len(head) + 2 :]
    try:
        return base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(422, "The picture is not valid base64.") from error


def inspect(upload: Upload, place: int, limits: Limits) -> Received:
    """Whether the head of an uploaded file is that of a picture within the limits.

    Nothing is decoded here: a small file that would unpack to a huge picture costs nothing.
    """
    name = upload.name or f"picture {place + 1}"
    try:
        pixels = _pixels(upload.content, limits.pixels)
    except Problem as problem:
        return Received(Item(name, None, problem.detail), status=problem.status)
    return Received(Item(name, upload.content), pixels)


def _pixels(content: bytes, most: int) -> int:
    if not content:
        raise Problem(422, "The picture is empty (0 bytes).")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
    except Image.DecompressionBombError as error:
        raise Problem(413, f"The picture has more pixels than the {most:,} allowed.") from error
    except Exception as error:  # a parser of headers may raise anything over a hostile file
        raise Problem(
            415, "The picture is not PNG, JPEG, WebP, TIFF, BMP or GIF, or its head is damaged."
        ) from error
    if width * height > most:
        raise Problem(
            413,
            f"The picture is {width:,} x {height:,} pixels, more than the {most:,} allowed: "
            "crop it to the formula.",
        )
    return width * height

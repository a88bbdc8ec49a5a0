"""Several readings of each picture: the likeliest answer of a model, and sampled ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from PIL import Image

from texlens.errors import InputError
from texlens.reading.answers import parse_response
from texlens.reading.decoding.generation import DecodingConfig
from texlens.reading.pictures.framing import NoInk, open_framed
from texlens.reading.reader import Reader
from texlens.records import Example

_WINDOW: Final = 8  # batches that are sorted by size together
_TEMPERATURE: Final = 0.7


def readings(reader: Reader, examples: Iterable[Example], samples: int) -> Iterator[list[str]]:
    """The different readings of each picture, likeliest first; none of one that cannot be read."""
    remaining = iter(examples)
    while window := list(islice(remaining, _WINDOW * reader.batch_size)):
        yield from _read(reader, window, samples)


def _read(reader: Reader, examples: Sequence[Example], samples: int) -> list[list[str]]:
    framed: list[tuple[int, Image.Image]] = []
    for number, example in enumerate(examples):
        try:
            framed.append((number, open_framed(example.image, reader.frame)))
        except (InputError, NoInk):
            continue
    framed.sort(key=lambda item: item[1].width * item[1].height)
    found: list[list[str]] = [[] for _ in examples]
    for first in range(0, len(framed), reader.batch_size):
        batch = framed[first : first + reader.batch_size]
        for seed in range(samples + 1):
            temperature = _TEMPERATURE if seed else 0.0
            config = DecodingConfig(reader.constraint, temperature, seed)
            answers = reader.backend.decode([image for _, image in batch], config)
            for (number, _), answer in zip(batch, answers, strict=True):
                latex, _warnings = parse_response(
                    reader.backend.text(answer.tokens),
                    reader.prompt_config.answer_format,
                    is_finished=answer.finished,
                    is_loop=answer.cut == "loop",
                )
                if latex and latex not in found[number]:
                    found[number].append(latex)
    return found

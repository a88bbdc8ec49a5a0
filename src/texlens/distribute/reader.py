"""Reading on a cluster: one reader an actor, opened once, with the methods of `Reader`."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

from texlens.distribute.batches import RayWorkers
from texlens.errors import TexlensError
from texlens.model.prompt_config import PromptConfig
from texlens.reading.backends.remote import RemoteReader
from texlens.reading.reader import Reader
from texlens.reading.sources import Item, Picture, as_item
from texlens.records import Reading, faulty
from texlens.workers import WorkerFault

Open = Callable[[], Reader | RemoteReader]


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a command has to know of a reader that it does not have."""

    name: str
    prompt_config: PromptConfig
    max_new_tokens: int
    batch_size: int
    fingerprint: str
    decoding_settings: dict[str, Any]


class ClusterReader:
    """Reads pictures by the readers of a cluster.

    Pictures of local files are sent with the work: the nodes need the model, not the pictures.

    Args:
        open_reader: opens a reader on a node; it is pickled.
        workers: not isolated, as a reader stays in the process of its actor.

    Raises TexlensError when a node cannot open the reader.
    """

    def __init__(self, open_reader: Open, workers: RayWorkers) -> None:
        self._open = pickle.dumps(open_reader)
        self._workers = workers
        ((facts,),) = workers.map_batches(partial(_describer, self._open), [[None]])
        if isinstance(facts, WorkerFault):
            raise TexlensError(f"A worker of the cluster {facts} when it opened the model.")
        self.name, self.prompt_config = facts.name, facts.prompt_config
        self.max_new_tokens, self.batch_size = facts.max_new_tokens, facts.batch_size
        self.fingerprint: str = facts.fingerprint
        self.decoding_settings: dict[str, Any] = facts.decoding_settings

    def read_many(self, pictures: Iterable[Picture]) -> Iterator[Reading]:
        """As `Reader.read_many`; a picture that ends the processes of actors has the warning `fault`."""
        items = (as_item(picture, number) for number, picture in enumerate(pictures, start=1))
        sent: list[list[Item]] = []  # without pictures, until their readings are there

        def batches() -> Iterator[list[Item]]:
            for batch in _batches(items, self.batch_size):
                sent.append([replace(item, picture=_named(item.picture)) for item in batch])
                yield [_portable(item) for item in batch]

        try:
            for results in self._workers.map_batches(
                partial(_batch_reader, self._open), batches(), seconds=None
            ):
                for item, result in zip(sent.pop(0), results, strict=True):
                    yield _reading(item, result)
        finally:
            self._workers.end()  # what follows may need their place on the nodes


def _batches(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while batch := list(islice(items, size)):
        yield batch


def _portable(item: Item) -> Item:
    """The item with the content of its file, where that can be read: the node may not have it."""
    if not isinstance(item.picture, Path):
        return item
    try:
        return replace(item, picture=item.picture.read_bytes())
    except OSError:
        return item  # the reader will find the same


def _named(picture: object) -> Path | None:
    return picture if isinstance(picture, Path) else None


def _reading(item: Item, result: Reading | WorkerFault) -> Reading:
    if isinstance(result, WorkerFault):
        return faulty(item.name, RuntimeError(f"the picture {result}"))
    if result.error is not None and isinstance(item.picture, Path):
        error = result.error.replace("The picture", f"'{item.picture}'", 1)
        return replace(result, error=error)
    return result


@lru_cache(maxsize=1)
def _reader(pickled: bytes) -> Reader:
    reader: Reader = pickle.loads(pickled)()
    return reader


def _describer(pickled: bytes) -> Callable[[Sequence[None]], list[_Facts]]:
    reader = _reader(pickled)
    facts = _Facts(
        reader.name,
        reader.prompt_config,
        reader.max_new_tokens,
        reader.batch_size,
        reader.fingerprint,
        reader.decoding_settings,
    )
    return lambda _: [facts]


def _batch_reader(pickled: bytes) -> Callable[[Sequence[Item]], list[Reading]]:
    reader = _reader(pickled)
    return lambda items: list(reader.read_many(items))

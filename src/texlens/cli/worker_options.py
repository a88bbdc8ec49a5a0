"""The options for where work is done: processes of this machine, or a Ray cluster."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from texlens.cli.model_options import ModelOptions
from texlens.cli.options import POSITIVE, Command, options
from texlens.errors import InputError

if TYPE_CHECKING:
    from texlens.distribute.batches import RayWorkers
    from texlens.distribute.reader import ClusterReader
    from texlens.reading.backends.remote import RemoteReader
    from texlens.reading.reader import Reader
    from texlens.workers import Workers

_EXTRA_OF_MODELS = ("torch", "transformers")
_EXTRA_OF_THE_EMBEDDED = ("onnxruntime", "tokenizers")

_options = options(
    click.option(
        "--workers", type=POSITIVE,
        help="Processes; the result is the same for any number.  [default: 1; with --ray all that the "
        "cluster has room for]",
    ),
    click.option(
        "--ray", "address", metavar="ADDRESS",
        help="Do the work on a Ray cluster: auto (that of this machine), HOST:PORT, or local (a new "
        "one on this machine).",
    ),
    click.option(
        "--cpus-per-worker", "cpus", type=click.FloatRange(min=0, min_open=True), default=1.0,
        help="With --ray: cores of a worker.",
    ),
    click.option(
        "--gpus-per-worker", "gpus", type=click.FloatRange(min=0), default=0.0,
        help="With --ray: GPUs of a worker that reads; a fraction lets several share one.",
    ),
    click.option(
        "--memory-per-worker", "memory_gib", type=click.FloatRange(min=0, min_open=True), default=1.0,
        metavar="GIB", help="With --ray: memory that a worker is given room for.",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """The values of these options."""

    workers: int | None
    address: str | None
    cpus: float
    gpus: float
    memory_gib: float

    @contextmanager
    def connected(self, *modules: str, quiet: bool = False) -> Iterator[None]:
        """Be connected to the cluster, if there is one, whose nodes must have these modules."""
        if self.address is None:
            if (self.cpus, self.gpus, self.memory_gib) != (1.0, 0.0, 1.0):
                raise InputError(
                    "--cpus-per-worker, --gpus-per-worker and --memory-per-worker need --ray."
                )
            yield
            return
        from texlens.distribute.cluster import cluster

        with cluster(self.address, modules=modules, quiet=quiet):
            yield

    def open(self, *, quiet: bool = False) -> Workers:
        """The workers for batches of items that need no model."""
        if self.address is None:
            from texlens.workers import LocalWorkers

            return LocalWorkers(self.workers or 1)
        return self._of_cluster(gpus=0.0, isolated=True, quiet=quiet)

    def reader(
        self, model: ModelOptions, *, quiet: bool = False
    ) -> Reader | RemoteReader | ClusterReader:
        """The reader: in this process, or one a worker of the cluster."""
        if self.address is None or model.values["endpoint"]:
            return model.open()
        from texlens.distribute.reader import ClusterReader

        return ClusterReader(
            model.open, self._of_cluster(gpus=self.gpus, isolated=False, quiet=quiet)
        )

    def _of_cluster(self, *, gpus: float, isolated: bool, quiet: bool) -> RayWorkers:
        from texlens.distribute.batches import RayWorkers
        from texlens.distribute.cluster import worker_count
        from texlens.distribute.crew import Share

        share = Share(self.cpus, gpus, int(self.memory_gib * 2**30))
        size = self.workers or worker_count(self.cpus, gpus)
        return RayWorkers(size, share, isolated, quiet)


def modules_of(model: ModelOptions) -> tuple[str, ...]:
    """What a node needs to read with the model."""
    return _EXTRA_OF_MODELS if model.names_a_model else _EXTRA_OF_THE_EMBEDDED


def worker_options(command: Command) -> Command:
    """Give a command these options, as one argument `work`."""

    @functools.wraps(command)
    def wrapped(**arguments: Any) -> Any:
        names = ("workers", "address", "cpus", "gpus", "memory_gib")
        return command(work=WorkerOptions(*(arguments.pop(name) for name in names)), **arguments)

    return _options(wrapped)

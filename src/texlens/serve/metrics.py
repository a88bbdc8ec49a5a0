"""What an operator sees at `/metrics`, in Prometheus' format."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client import generate_latest as latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.process_collector import ProcessCollector
from starlette.responses import Response

from texlens.records import Reading
from texlens.serve.models.process import ModelProcess
from texlens.serve.models.queue import ReadingQueue

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_PICTURES = (1, 2, 4, 8, 16, 32, 64)
_PARTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)


class Metrics:
    """The metrics of one application, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # memory, CPU and open files of this process
        self._requests = Counter(
            "texlens_requests",
            "Requests by address, method and status.",
            ["address", "method", "status"],
            registry=self.registry,
        )
        self._latency = Histogram(
            "texlens_request_seconds",
            "Time from a request's head to the end of its response.",
            ["address"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._batches = Histogram(
            "texlens_batch_pictures",
            "Pictures in a batch.",
            buckets=_PICTURES,
            registry=self.registry,
        )
        self._batch_seconds = Histogram(
            "texlens_batch_seconds",
            "Time to read a batch.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._readings = Counter(
            "texlens_readings",
            "Pictures read, by result: ok, warning or error.",
            ["result"],
            registry=self.registry,
        )
        self._confidence = Histogram(
            "texlens_confidence", "Confidence of readings.", buckets=_PARTS, registry=self.registry
        )

    def watch(self, queue: ReadingQueue, model: object) -> None:
        """Show the state of the queue and of the model whenever the metrics are asked for."""
        waiting = Gauge("texlens_queue_pictures", "Pictures that wait.", registry=self.registry)
        waiting.set_function(lambda: queue.waiting)
        if isinstance(model, ModelProcess):
            ready = Gauge("texlens_model_ready", "1: the model can read.", registry=self.registry)
            ready.set_function(lambda: float(model.state() == "ready"))
            memory = Gauge(
                "texlens_model_memory_bytes",
                "Resident memory of the model's process.",
                registry=self.registry,
            )
            memory.set_function(lambda: model.memory_bytes)
            self.registry.register(_Restarts(model))

    def count_request(self, address: str, method: str, status: int, seconds: float) -> None:
        """Count a request. `address` is one of the server's own, so that there are few."""
        self._requests.labels(address, method, str(status)).inc()
        self._latency.labels(address).observe(seconds)

    def count_batch(self, results: Sequence[Reading | Exception], seconds: float) -> None:
        """Count a batch and its readings."""
        self._batches.observe(len(results))
        self._batch_seconds.observe(seconds)
        for result in results:
            if isinstance(result, Exception) or result.error is not None:
                self._readings.labels("error").inc()
            else:
                self._readings.labels("warning" if result.warnings else "ok").inc()
                self._confidence.observe(result.confidence)

    def response(self) -> Response:
        """All metrics as they are now."""
        return Response(latest(self.registry), media_type=CONTENT_TYPE_LATEST)


class _Restarts:
    """A collector: how often the model's process was replaced."""

    def __init__(self, model: ModelProcess) -> None:
        self._model = model

    def collect(self) -> list[CounterMetricFamily]:
        """The counts by reason."""
        family = CounterMetricFamily(
            "texlens_model_restarts", "Replacements of the model's process.", labels=["reason"]
        )
        for reason in ("crash", "hang", "memory"):
            family.add_metric([reason], self._model.restarts[reason])
        return [family]

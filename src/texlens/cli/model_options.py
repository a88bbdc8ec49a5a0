"""The options for the model, local or on a server, of all commands that read pictures."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from texlens.errors import InputError

if TYPE_CHECKING:
    from texlens.reading.backends.base import BackendName
    from texlens.reading.backends.remote import RemoteReader
    from texlens.reading.reader import Reader

_OPTIONS = (
    click.option(
        "--model",
        help="Folder or hub name of a Qwen2.5-VL; with --endpoint, the server's name of it. "
        "Default: the embedded model.",
    ),
    click.option("--adapter", help="Folder or hub name of a LoRA adapter for the model."),
    click.option("--batch-size", type=click.IntRange(min=1), help="Pictures at a time."),
    click.option("--device", default="auto", show_default=True, help="cpu, cuda, mps or auto."),
    click.option(
        "--backend",
        type=click.Choice(["auto", "torch", "onnx"]),
        default="auto",
        show_default=True,
        help="What runs the model. auto: torch if it is installed, else onnxruntime.",
    ),
    click.option(
        "--dtype",
        type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
        default="auto",
        show_default=True,
        help="Type of the weights. auto: float32 on a CPU, bfloat16 elsewhere.",
    ),
    click.option("--int8", is_flag=True, help="8-bit weights, on a CPU."),
    click.option("--4bit", "four_bit", is_flag=True, help="4-bit weights (needs bitsandbytes)."),
    click.option(
        "--best-of",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Read every picture this many times and keep the best answer.",
    ),
    click.option(
        "--constrained/--unconstrained",
        default=True,
        show_default=True,
        help="Constrained decoding: the model can only write LaTeX that parses.",
    ),
    click.option(
        "--reread/--no-reread",
        default=True,
        show_default=True,
        help="Read pictures of low confidence again, in other sizes (test-time augmentation).",
    ),
    click.option(
        "--endpoint",
        metavar="URL",
        help="Read by an OpenAI-compatible server, such as http://localhost:8000/v1. A token for it "
        "is taken from the environment variable TEXLENS_API_KEY.",
    ),
    click.option(
        "--prompt",
        "prompt_config",
        type=click.Path(path_type=Path),
        help="The texlens.json of the server's model, or its folder. Default: the prompt of the "
        "qwen-ocr report.",
    ),
    click.option(
        "--concurrency",
        type=click.IntRange(1, 1024),
        help="Requests to the server at a time.  [default: 8]",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        help="Seconds that the server may take for one picture.  [default: 120]",
    ),
)


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """The values of these options."""

    model: str | None
    adapter: str | None
    batch_size: int | None
    device: str
    backend: BackendName
    dtype: str
    int8: bool
    four_bit: bool
    best_of: int
    constrained: bool
    reread: bool
    endpoint: str | None
    prompt_config: Path | None
    concurrency: int | None
    timeout: float | None

    @property
    def names_a_model(self) -> bool:
        """Whether the user chose a model other than the embedded one."""
        return (self.model, self.adapter, self.endpoint) != (None, None, None)

    def open(self) -> Reader | RemoteReader:
        """The reader. Raises InputError when the options or the model are wrong."""
        if self.endpoint is not None:
            return self._open_remote(self.endpoint)
        if (self.prompt_config, self.concurrency, self.timeout) != (None, None, None):
            raise InputError("--prompt, --concurrency and --timeout need --endpoint.")
        if self.int8 and self.four_bit:
            raise InputError("Weights have 8 bits or 4: give --int8 or --4bit, not both.")
        from texlens.reading import Reader

        return Reader(
            self.model,
            self.adapter,
            backend=self.backend,
            device=self.device,
            dtype=self.dtype,
            quantisation="int8" if self.int8 else "nf4" if self.four_bit else None,
            batch_size=self.batch_size,
            constrained=self.constrained,
            reread=self.reread,
            best_of=self.best_of,
        )

    def _open_remote(self, endpoint: str) -> RemoteReader:
        local = (self.adapter, self.batch_size, self.device, self.backend, self.dtype)
        if local != (None, None, "auto", "auto", "auto") or self.int8 or self.four_bit:
            raise InputError(
                "With --endpoint the server decides how its model runs: leave out --adapter, "
                "--batch-size, --device, --backend, --dtype, --int8 and --4bit."
            )
        if (self.best_of, self.constrained, self.reread) != (1, True, True):
            raise InputError(
                "With --endpoint every picture is read once: leave out --best-of, --unconstrained and "
                "--no-reread."
            )
        if self.model is None:
            raise InputError(
                "With --endpoint, --model NAME says which of the server's models reads."
            )
        from texlens.reading.backends.remote import RemoteReader

        limits = {"concurrency": self.concurrency, "timeout_s": self.timeout}
        given: dict[str, Any] = {name: value for name, value in limits.items() if value is not None}
        return RemoteReader(endpoint, self.model, prompt_config=self.prompt_config, **given)


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of the model, as one argument `model_options`."""

    @functools.wraps(command)
    def wrapped(**arguments: Any) -> Any:
        names = ModelOptions.__dataclass_fields__
        chosen = ModelOptions(**{name: arguments.pop(name) for name in names})
        return command(model_options=chosen, **arguments)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped

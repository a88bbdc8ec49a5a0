"""The options for the model, local or on a server, of all commands that read pictures."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from texlens.cli.options import POSITIVE, Command, options
from texlens.errors import InputError

if TYPE_CHECKING:
    from texlens.reading.backends.remote import RemoteReader
    from texlens.reading.reader import Reader

_options = options(
    click.option(
        "--model",
        help="Folder or hub name of a Qwen2.5-VL; with --endpoint, the server's name of it. "
        "Default: the embedded model.",
    ),
    click.option("--adapter", help="Folder or hub name of a LoRA adapter for the model."),
    click.option(
        "--handwriting", metavar="FOLDER", envvar="TEXLENS_HANDWRITING",
        help="A second model, which reads what looks like handwriting: models/handwriting of the "
        "source code (not for commercial use). Also the environment variable TEXLENS_HANDWRITING.",
    ),
    click.option("--batch-size", type=POSITIVE, help="Pictures at a time."),
    click.option("--device", default="auto", help="cpu, cuda, mps or auto."),
    click.option(
        "--backend", type=click.Choice(["auto", "torch", "onnx"]), default="auto",
        help="What runs the model. auto: onnxruntime for a model with graphs for it (the embedded one), else torch.",
    ),
    click.option(
        "--dtype", type=click.Choice(["auto", "float32", "bfloat16", "float16"]), default="auto",
        help="Type of the weights. auto: float32 on a CPU, bfloat16 elsewhere.",
    ),
    click.option("--int8", is_flag=True, help="8-bit weights, on a CPU."),
    click.option("--4bit", "four_bit", is_flag=True, help="4-bit weights (needs bitsandbytes)."),
    click.option(
        "--best-of", type=POSITIVE, default=1,
        help="Read every picture this many times and keep the best answer.",
    ),
    click.option(
        "--constrained/--unconstrained", default=None,
        help="Constrained decoding: the model can only write LaTeX that parses.  [default: as far as "
        "its tokeniser was made for LaTeX]",
    ),
    click.option(
        "--reread/--no-reread", default=True,
        help="Read pictures of low confidence again, in other sizes (test-time augmentation).",
    ),
    click.option(
        "--prompt", metavar="FILE|plain|think_answer",
        help="Another prompt than the model's own: a texlens.json or its folder, with its limits, or the "
        "words of the qwen-ocr report (plain), or some with tags as in the GRPO report.",
    ),
    click.option(
        "--decoding", type=click.Choice(["greedy", "model"]), default="greedy",
        help="greedy: the likeliest token, without penalties. model: by the model's own generation "
        "configuration.",
    ),
    click.option(
        "--endpoint", metavar="URL", multiple=True,
        help="Read by an OpenAI-compatible server, such as http://localhost:8000/v1. A token for it "
        "is taken from the environment variable TEXLENS_API_KEY. Given several times: servers with the "
        "same model, of which the least busy one reads.",
    ),
    click.option(
        "--concurrency", type=click.IntRange(1, 1024),
        help="Requests to the server at a time.  [default: 8]",
    ),
    click.option(
        "--timeout", "timeout_s", type=click.FloatRange(min=0, min_open=True),
        help="Seconds that the server may take for one picture, in all attempts.  [default: 120]",
    ),
)  # fmt: skip

# The options of a model in this process, of its decoding, of any model's answers, and of a server,
# with their defaults.
_RUNTIME: dict[str, Any] = {
    "adapter": None, "batch_size": None, "device": "auto", "backend": "auto", "dtype": "auto",
    "int8": False, "four_bit": False, "handwriting": None,
}  # fmt: skip
_DECODING = {"best_of": 1, "reread": True, "decoding": "greedy"}
_ANSWER = {"prompt": None, "constrained": None}
_REMOTE = {"concurrency": None, "timeout_s": None}


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """The values of these options by name: those of `Reader` or of `RemoteReader`."""

    values: dict[str, Any]

    @property
    def names_a_model(self) -> bool:
        """Whether the user chose a model other than the embedded one."""
        return any(self.values[name] is not None for name in ("model", "adapter", "endpoint"))

    def open(self) -> Reader | RemoteReader:
        """The reader. Raises InputError when the options or the model are wrong."""
        model, endpoint = self.values["model"], self.values["endpoint"]
        runtime, decoding = self._changed(_RUNTIME), self._changed(_DECODING)
        answer, remote = self._changed(_ANSWER), self._changed(_REMOTE)
        if endpoint is None:
            if remote:
                raise InputError("--concurrency and --timeout need --endpoint.")
            int8, four_bit = runtime.pop("int8", False), runtime.pop("four_bit", False)
            if int8 and four_bit:
                raise InputError("Weights have 8 bits or 4: give --int8 or --4bit, not both.")
            from texlens.reading import Reader

            if int8 or four_bit:
                runtime["quantisation"] = "int8" if int8 else "nf4"
            return Reader(model, **runtime, **decoding, **answer)
        if runtime:
            raise InputError(
                "With --endpoint the server decides how its model runs: leave out --adapter, "
                "--handwriting, --batch-size, --device, --backend, --dtype, --int8 and --4bit."
            )
        if decoding:
            raise InputError(
                "With --endpoint every picture is read once, as the server decodes: leave out "
                "--best-of, --no-reread and --decoding."
            )
        if model is None:
            raise InputError(
                "With --endpoint, --model NAME says which of the server's models reads."
            )
        from texlens.reading.backends.remote import RemoteReader

        return RemoteReader(endpoint, model, **answer, **remote)

    def _changed(self, defaults: dict[str, Any]) -> dict[str, Any]:
        """The options among `defaults` that have another value."""
        return {
            name: self.values[name]
            for name, default in defaults.items()
            if self.values[name] != default
        }


def model_options(command: Command) -> Command:
    """Give a command the options of the model, as one argument `model_options`."""

    @functools.wraps(command)
    def wrapped(**arguments: Any) -> Any:
        names = ("model", "endpoint", *_RUNTIME, *_DECODING, *_ANSWER, *_REMOTE)
        values = {name: arguments.pop(name) for name in names}
        chosen = ModelOptions(values | {"endpoint": values["endpoint"] or None})
        return command(model_options=chosen, **arguments)

    return _options(wrapped)

"""Reading by a model on a server with OpenAI's chat API: vLLM, SGLang, llama.cpp, others.

Pictures are opened, turned upright and framed here, as for a local model, and sent as PNG. When the
server is busy (429), fails (5xx) or drops the connection, the openai client tries again with
exponential backoff and jitter, until the picture's time is over.

Where a small model's answer does not parse, the server is asked once more with the grammar of
`latex.grammar`, in the field of vLLM (`structured_outputs`); where that gives nothing, the answer is
repaired (`remote_repair`). The first request has no grammar, because under one vLLM returns the
probabilities among the allowed tokens alone. Nothing is read in other sizes. The confidence is
calibrated where the model's folder is at hand.
"""

from __future__ import annotations

import math
import os
import re
import time
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from texlens.errors import InputError, TexlensError, require_extra
from texlens.images import data_address
from texlens.latex import katex_valid
from texlens.latex.grammar import lark_grammar
from texlens.model.prompt_config import (
    PROMPT_CONFIG_FILE,
    PROMPTS,
    PromptConfig,
    load_prompt_config,
    prompt_for,
)
from texlens.model.small import is_small, missing_prompt_config
from texlens.reading.answers import in_both_forms, parse_response
from texlens.reading.backends.endpoints import PROBE_SECONDS, Endpoints
from texlens.reading.backends.remote_calls import Calls, CallsEnded
from texlens.reading.backends.remote_repair import ALTERNATIVES, Step, repairer_for
from texlens.reading.confidence import calibrated, load_calibration, with_formula_warning
from texlens.reading.pictures.framing import NoInk, frame_of_folder, open_framed
from texlens.reading.pictures.opening import as_png
from texlens.reading.sources import Item, Picture, as_item
from texlens.records import Reading, Token, faulty

TOKEN_VARIABLE = "TEXLENS_API_KEY"
_WAITING = 4  # pictures in work or read ahead of the next in order, for each concurrent request
_SPECIAL = re.compile(r"<[^<>\s]+>")  # <|im_end|>, </s>


class RemoteReader:
    """Reads pictures by one model of a server, with the methods and records of `Reader`.

    Args:
        endpoint: the server's address up to `/v1`; or those of several servers with the same model, of
            which the one with the fewest requests is asked, and another where it fails.
        model: the server's name of the model.
        prompt: the prompt and limits: "plain", "think_answer", a PromptConfig, a `texlens.json` or a
            folder that holds one (the settings of the image processor beside it define the width
            of a visual token). None: the one in the folder `model`, if that is one, else "plain", the
            prompt of the qwen-ocr report. The folder's `confidence.json` calibrates the confidence.
        concurrency: requests at a time.
        timeout_s: seconds for one picture in all: the time in the server's queue, further attempts, and
            asking again.
        token: the server's API key. None: the environment variable TEXLENS_API_KEY.
        constrained: where an answer does not parse, let the server constrain it to LaTeX that does, or
            repair it. None: where the folder of a small model is at hand. Repairs need that folder.

    Raises InputError when the address or the prompt configuration is wrong, or openai is not installed.
    """

    def __init__(
        self,
        endpoint: str | Sequence[str],
        model: str,
        *,
        prompt: PromptConfig | str | Path | None = None,
        concurrency: int = 8,
        timeout_s: float = 120.0,
        token: str | None = None,
        constrained: bool | None = None,
    ) -> None:
        require_extra("Reading by a server", "remote", "openai")
        self._endpoints = Endpoints(
            endpoint, token=token or os.environ.get(TOKEN_VARIABLE) or "none", timeout_s=timeout_s
        )
        self.endpoint = ", ".join(self._endpoints.addresses)
        self.model = model
        self.name = f"{model} at {self.endpoint}"
        folder = _folder(prompt, model)
        self.prompt_config = prompt_for(prompt, load_prompt_config(Path(model)) or PromptConfig())
        self.frame = frame_of_folder(self.prompt_config, folder)
        self.calibration = load_calibration(folder)
        self.max_new_tokens = self.prompt_config.max_new_tokens
        self.concurrency = self.batch_size = concurrency
        self._timeout_s = timeout_s
        self._with_logprobs = True  # until the server refuses
        self._constrains = self._may_constrain(constrained, folder)
        self._must_constrain = constrained is True
        self._with_grammar = True  # until the server refuses
        self._repairer = repairer_for(folder) if self._constrains else None
        if self.frame is None and folder is not None and (advice := missing_prompt_config(folder)):
            warnings.warn(advice, stacklevel=2)

    @property
    def decoding_settings(self) -> dict[str, Any]:
        """What is asked of the server's decoding: nothing, or that it constrains its answers."""
        return {"constrained": True} if self._constrains else {}

    @property
    def fingerprint(self) -> str:
        """The server's name of the model: its weights cannot be seen from here."""
        return f"served as {self.model}"

    def read(self, picture: Picture) -> Reading:
        """Read one picture: a path, the bytes of a picture file, or an open image.

        Raises InputError when it cannot be opened or the server fails on it, ServerError when the
        server cannot be used.
        """
        reading = next(self.read_many([picture]))
        if reading.error is not None:
            raise InputError(reading.error)
        return reading

    def read_many(self, pictures: Iterable[Picture]) -> Iterator[Reading]:
        """Read pictures, `concurrency` at a time; one reading each, in order.

        A picture that cannot be opened, or on which the server fails, gives a reading with an
        `error`; the others are still read. Raises ServerError when the server can no longer be
        reached, or refuses the token or the model.
        """
        yield from self.read_with(Calls(), pictures)

    def read_with(self, calls: Calls, pictures: Iterable[Picture]) -> Iterator[Reading]:
        """The same, with requests that another thread may end."""
        waiting: deque[Future[Reading]] = deque()
        pool = ThreadPoolExecutor(self.concurrency)
        try:
            for number, picture in enumerate(pictures, start=1):
                waiting.append(pool.submit(self._read_one, as_item(picture, number), calls))
                while waiting[0].done() or len(waiting) > _WAITING * self.concurrency:
                    yield waiting.popleft().result()
                    if not waiting:
                        break
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            calls.end()

    def can_read(self) -> bool:
        """Whether the server, or one of several, answers and accepts the token."""
        return Calls().wait_for(self._endpoints.can_read, PROBE_SECONDS + 1)

    def _read_one(self, item: Item, calls: Calls) -> Reading:
        start = time.perf_counter()
        reading = Reading(item.name, "", 0.0, error=item.error)
        try:
            if item.error is None and item.picture is not None:
                question = _Question(
                    self._prepared(item.picture), calls, time.monotonic() + self._timeout_s
                )
                reading = self._reading(item.name, self._ask(question))
                if self._constrains and "does_not_parse" in reading.warnings:
                    reading = self._constrained(reading, question)
        except NoInk:
            reading = replace(reading, warnings=("no_formula",))
        except InputError as problem:
            reading = replace(reading, error=str(problem))
        except (TexlensError, CallsEnded):
            raise
        except Exception as error:  # a picture may find any mistake of ours
            reading = faulty(item.name, error)
        return replace(reading, seconds=time.perf_counter() - start)

    def _prepared(self, picture: Path | bytes | Image.Image) -> bytes:
        """The picture as PNG, in the model's layout and within the limit of pixels."""
        image = open_framed(picture, self.frame)
        shrink = math.sqrt(self.prompt_config.max_pixels / (image.width * image.height))
        longest = max(image.size)
        return as_png(image, max_side=longest if shrink >= 1 else max(1, int(longest * shrink)))

    def _ask(self, question: _Question, **more: Any) -> Any:
        """The server's answer to a picture; `more` are options that it may refuse.

        Raises InputError when there is none, _Refused where an option is.
        """
        import openai

        picture = {"type": "image_url", "image_url": {"url": data_address(question.content)}}
        instruction = {"type": "text", "text": self.prompt_config.instruction}
        messages: Any = [
            {"role": "system", "content": self.prompt_config.system},
            {"role": "user", "content": [picture, instruction]},
        ]
        options: dict[str, Any] = {"logprobs": True} if self._with_logprobs else {}
        try:
            return question.calls.wait_for(
                lambda: self._endpoints.complete(
                    model=self.model,
                    messages=messages,
                    max_tokens=self.max_new_tokens,
                    temperature=0.0,
                    **options,
                    **more,
                ),
                question.deadline - time.monotonic(),
            )
        except (
            openai.OpenAIError,
            TimeoutError,
            ValueError,
        ) as error:  # ValueError: the answer is not JSON
            if more and _is_refusal(error, "structured", "grammar", "logprob"):
                raise _Refused(_message(error)) from error
            if not ("logprobs" in options and _is_refusal(error, "logprob")):
                raise self._failure(error) from error
        self._with_logprobs = False
        return self._ask(question)

    def _constrained(self, reading: Reading, question: _Question) -> Reading:
        """The reading that the server's decoding gives under the grammar, else a repair, else `reading`."""
        other = self._under_grammar(reading, question) if self._with_grammar else None
        return other or self._repaired(reading, question) or reading

    def _under_grammar(self, reading: Reading, question: _Question) -> Reading | None:
        grammar = {"structured_outputs": {"grammar": lark_grammar()}}
        try:
            other = self._reading(reading.path, self._ask(question, extra_body=grammar))
        except _Refused as refusal:
            what = f"The server at {self.endpoint} takes no grammar ({refusal})"
            if self._must_constrain:
                raise ServerError(f"{what}.") from refusal
            self._with_grammar = False
            warnings.warn(f"{what}: its answers are not constrained.", stacklevel=2)
            return None
        except InputError:  # the first answer is there
            return None
        if {"does_not_parse", "unfinished"}.intersection(other.warnings):
            return None  # it ran on, and has nothing to do with the picture any more
        # Among allowed tokens alone a forced one may look certain.
        return replace(other, confidence=min(reading.confidence, other.confidence))

    def _repaired(self, reading: Reading, question: _Question) -> Reading | None:
        if self._repairer is None or not self._with_logprobs or "unfinished" in reading.warnings:
            return None
        try:  # once more, with the tokens that the model nearly wrote
            answer = self._ask(question, top_logprobs=ALTERNATIVES)
        except (_Refused, InputError):
            return None
        steps = _steps(next(iter(answer.choices or ()), None))
        found = self._repairer.repaired(steps) if _ends(steps, reading.normal) else None
        if found is None:
            return None
        latex, codes = parse_response(found.text, "plain", is_finished=True)
        if codes or not katex_valid([latex])[0]:
            return None
        total = sum(step.token.logprob for step in steps) - found.cost
        confidence = math.exp(total / len(steps))
        repaired = Reading(reading.path, latex, confidence, found.tokens)
        return self._finished(replace(repaired, prompt_tokens=reading.prompt_tokens))

    def _finished(self, reading: Reading) -> Reading:
        """The reading with its calibrated confidence and in both forms."""
        reading = with_formula_warning(reading, self.calibration)
        return in_both_forms(calibrated(reading, self.calibration))

    def _may_constrain(self, wanted: bool | None, folder: Path | None) -> bool:
        """Whether to ask for constrained answers: `wanted`, or None for a small model's alone."""
        is_plain = self.prompt_config.answer_format == "plain"
        if wanted and not is_plain:
            raise InputError(
                "Answers with tags cannot be constrained to LaTeX: leave out --constrained."
            )
        if wanted is None:
            return is_plain and folder is not None and is_small(folder)
        return wanted

    def _failure(self, error: Any) -> TexlensError:
        """The error of one picture, or a ServerError where every other picture would fail too."""
        import openai

        kind: type[TexlensError] = ServerError
        if isinstance(error, openai.APITimeoutError | TimeoutError):
            kind, what = InputError, f"did not answer within {self._timeout_s:g} s"
        elif isinstance(error, openai.APIConnectionError):
            what = "cannot be reached"
        elif isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            what = f"refuses the token: set {TOKEN_VARIABLE}"
        elif isinstance(error, openai.NotFoundError):
            what = f"has no model '{self.model}', or the address is not that of its API"
        elif isinstance(error, openai.APIStatusError):
            kind, what = InputError, f"answered with status {error.status_code}: {_message(error)}"
        else:
            kind, what = InputError, "answered in a form that is not that of a chat"
        return kind(f"The server at {self.endpoint} {what}.")

    def _reading(self, name: str, answer: Any) -> Reading:
        choice = next(iter(getattr(answer, "choices", None) or ()), None)
        response = getattr(getattr(choice, "message", None), "content", None)
        if choice is None or not isinstance(response, str):
            raise self._failure(None)
        is_finished = choice.finish_reason != "length"
        steps = _steps(choice)
        entries = tuple(step.token for step in steps)
        # The end token counts for the confidence, and is no part of the text.
        tokens = entries[: len(entries) - _ends(steps, response)] if is_finished else entries
        latex, codes = parse_response(
            response, self.prompt_config.answer_format, is_finished=is_finished
        )
        further = {
            "does_not_parse": bool(latex) and not katex_valid([latex])[0],
            "no_formula": not latex and "no_answer" not in codes,
            "no_logprobs": not entries,
        }
        mean = sum(token.logprob for token in entries) / len(entries) if entries else -math.inf
        return self._finished(
            Reading(
                path=name,
                latex=latex,
                confidence=min(1.0, math.exp(mean)),
                tokens=tokens,
                warnings=(*codes, *(code for code, is_given in further.items() if is_given)),
                prompt_tokens=_prompt_tokens(answer),
            )
        )


@dataclass(frozen=True, slots=True)
class _Question:
    """A picture as PNG, how to ask about it, and the time by which its reading must be there."""

    content: bytes
    calls: Calls
    deadline: float


class ServerError(TexlensError):
    """The server cannot be used: this ends the reading of all pictures."""


class _Refused(Exception):
    """The server does not take an option of a request."""


def _is_refusal(error: Exception, *words: str) -> bool:
    """Whether the server refuses a field of the request, which its message names."""
    import openai

    if not isinstance(error, openai.BadRequestError | openai.UnprocessableEntityError):
        return False
    text = f"{error} {_message(error)}".lower()
    return any(word in text for word in words)


def _folder(prompt: PromptConfig | str | Path | None, model: str) -> Path | None:
    """The folder of the model's files on this machine, if it was named."""
    if prompt is None or isinstance(prompt, PromptConfig) or prompt in PROMPTS:
        folder = Path(model)
    else:
        path = Path(prompt).expanduser()
        folder = path.parent if path.name == PROMPT_CONFIG_FILE else path
    return folder if folder.is_dir() else None


def _steps(choice: Any) -> tuple[Step, ...]:
    """The tokens of an answer with their log-probabilities, if the server returns them."""
    entries = getattr(getattr(choice, "logprobs", None), "content", None) or ()
    return tuple(
        Step(
            Token(entry.token, min(0.0, entry.logprob)),
            {other.token: other.logprob for other in entry.top_logprobs or ()},
        )
        for entry in entries
        if isinstance(entry.token, str) and isinstance(entry.logprob, float | int)
    )


def _prompt_tokens(answer: Any) -> int:
    """The number of tokens before the answer, 0 where the server does not say it."""
    count = getattr(getattr(answer, "usage", None), "prompt_tokens", None)
    return count if isinstance(count, int) else 0


def _ends(steps: Sequence[Step], response: str) -> bool:
    """Whether the last token is the one that ends an answer, as vLLM returns it, and SGLang."""
    if not steps:
        return False
    last = steps[-1].token.text
    return not last or bool(_SPECIAL.fullmatch(last) and not response.endswith(last))


def _message(error: Any) -> str:
    """The server's message about an error, on one line."""
    body = error.body
    message = body.get("message") or body.get("detail") if isinstance(body, dict) else body
    return " ".join(str(message or error.message).split())[:200].rstrip(".")

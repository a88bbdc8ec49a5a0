"""The reader: pictures to LaTeX in batches, each with a confidence and warnings."""

from __future__ import annotations

import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from PIL import Image

from texlens.engine import EngineFault
from texlens.errors import InputError, TexlensError
from texlens.latex import katex_valid
from texlens.model.load import Loaded, Quantisation
from texlens.model.prompt_config import PromptConfig
from texlens.reading.alternatives import alternative_views, alternatives
from texlens.reading.answers import in_both_forms, parse_response
from texlens.reading.backends.base import Backend, BackendName, Decoding, open_backend
from texlens.reading.by_hand import likelier, may_be_by_hand
from texlens.reading.confidence import calibrated, load_calibration, with_formula_warning
from texlens.reading.decoding.generation import Completion, DecodingConfig
from texlens.reading.decoding.positions import parts
from texlens.reading.pictures.framing import NoInk, open_framed
from texlens.reading.pictures.opening import near_size
from texlens.reading.sources import Item, Picture, as_item
from texlens.reading.views import View, best, further_views, is_scored
from texlens.records import Reading, Token, faulty, is_fault

if TYPE_CHECKING:
    from texlens.reading.decoding.constraints import Constraint
    from texlens.reading.decoding.guard import Guard

_log = logging.getLogger(__name__)

_In = TypeVar("_In")
_Out = TypeVar("_Out")

_GIVES_UP_AFTER = 8  # pictures: where all have a fault, it is not theirs
_WINDOW_BATCHES = 4  # pictures are sorted by size among so many batches at a time


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One reading of a picture, its tokens, and the picture as the model was shown it."""

    reading: Reading
    tokens: tuple[int, ...]
    image: Image.Image | None
    zoom: float


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A picture in the form that the model takes, if it has any ink, and its reading so far."""

    reading: Reading
    image: Image.Image | None


class Reader:
    """Reads pictures of formulas with one model, which is loaded once.

    Args:
        model: a folder or hub name of a Qwen2.5-VL, or a loaded one. None: the embedded small model.
        adapter: a LoRA adapter for it.
        backend: "onnx", "torch", or "auto", which takes onnxruntime where it can do what is asked.
        device: "cpu", "cuda", "mps" or "auto".
        dtype: "float32", "bfloat16", "float16" or "auto".
        quantisation: "int8" or "nf4".
        batch_size: pictures at a time. None: 64 with a small model, 8 with a large one.
        max_new_tokens: None for the limit of the prompt configuration.
        constrained: let the model write nothing but LaTeX that parses, where its tokenizer was made
            for LaTeX.
        reread: read doubtful pictures again, in other sizes and with a little temperature
            (test-time augmentation).
        best_of: how often every picture is read; the best answer counts.
        prompt: replaces the model's own prompt: "plain", "think_answer", a PromptConfig, or a
            `texlens.json` or its folder (`model.prompt_config.prompt_for`).
        decoding: "greedy" takes the likeliest token, whatever the model's own generation
            configuration has (Qwen2.5-VL: a repetition penalty of 1.05). "model" decodes by that
            configuration, each picture once and without constraint.
        handwriting: a second model, for handwriting. It reads what the first is unsure of, and the
            likelier reading counts.

    Attributes:
        name: which model it is.
        prompt_config: the prompt and the limits that the model is used with.
        frame: how pictures are laid out; None: as they are.
        calibration: turns confidence into a probability of being right; None: the geometric mean of
            the tokens' probabilities is reported.

    Raises InputError when the model cannot be loaded or used in this way.
    """

    def __init__(
        self,
        model: str | Path | Loaded | None = None,
        adapter: str | Path | None = None,
        *,
        backend: BackendName = "auto",
        device: str = "auto",
        dtype: str = "auto",
        quantisation: Quantisation | None = None,
        batch_size: int | None = None,
        max_new_tokens: int | None = None,
        constrained: bool = True,
        reread: bool = True,
        best_of: int = 1,
        prompt: PromptConfig | str | Path | None = None,
        decoding: Decoding = "greedy",
        handwriting: str | Path | None = None,
    ) -> None:
        if decoding == "model" and best_of > 1:
            raise InputError(
                "By its own decoding a model reads every picture once: leave out best_of."
            )
        self.name = _name(model, adapter)
        self.backend = open_backend(
            model,
            adapter,
            backend=backend,
            device=device,
            dtype=dtype,
            quantisation=quantisation,
            max_new_tokens=max_new_tokens,
            prompt=prompt,
            decoding=decoding,
        )
        self.decoding = decoding
        is_greedy = decoding == "greedy"
        self.prompt_config = self.backend.prompt_config
        self.frame = self.backend.frame
        self.calibration = load_calibration(self.backend.folder)
        self.constraint = _constraint_for(self.backend) if constrained and is_greedy else None
        self.reread = reread and is_greedy
        self.best_of = best_of
        self.max_new_tokens = max_new_tokens or self.prompt_config.max_new_tokens
        self._guard = self._guarded()
        self.batch_size = batch_size or self.backend.batch_size
        self.by_hand: Reader | None = None
        if handwriting is not None:
            if self.calibration is None:
                raise InputError(
                    "A second model for handwriting needs a first whose confidence is calibrated, as "
                    "the embedded model's is: without it nothing shows what is handwriting."
                )
            self.by_hand = Reader(
                handwriting, backend=backend, device=device, dtype=dtype, batch_size=batch_size
            )

    @property
    def decoding_settings(self) -> dict[str, Any]:
        """What decides a reading beside the model and its prompt."""
        own = self.backend.generation_config
        return {
            "decoding": self.decoding,
            **({"repetition_penalty": 1.0} if self.decoding == "greedy" else own),
            "constrained": self.constraint is not None,
            "reread": self.reread,
            "best_of": self.best_of,
            **({"handwriting": self.by_hand.name} if self.by_hand else {}),
        }

    @property
    def fingerprint(self) -> str:
        """A hash over a sample of every tensor of the model."""
        return self.backend.fingerprint

    def read(self, picture: Picture) -> Reading:
        """Read one picture: a path, the bytes of a picture file, or an open image.

        Raises InputError when it cannot be opened.
        """
        reading = next(self.read_many([picture]))
        if reading.error is not None:
            raise InputError(reading.error)
        return replace(reading, picture=picture)

    def read_many(self, pictures: Iterable[Picture]) -> Iterator[Reading]:
        """Read pictures in batches of similar size; one reading each, in their order.

        A picture that cannot be opened gives a reading with an `error`; the others are still read. So
        does one on which TexLens fails: its reading has the warning `fault`.

        Raises TexlensError when TexLens fails on every picture, eight or more.
        """
        with ThreadPoolExecutor(1, "texlens-prepare") as ahead:
            following: Future[list[_Prepared]] | None = None
            window: list[Item] = []
            for next_window in chain(self._windows(pictures), [[]]):
                prepared = following  # while this window is decoded, the next one is prepared
                following = ahead.submit(self._prepare_all, next_window)
                if prepared is not None:
                    yield from self._readings(window, prepared)
                window = next_window

    def _windows(self, pictures: Iterable[Picture]) -> Iterator[list[Item]]:
        """The pictures in windows: the first readings come soon, later windows are better sorted."""
        remaining = (as_item(picture, number) for number, picture in enumerate(pictures, start=1))
        batches = 1
        while window := list(islice(remaining, self.batch_size * batches)):
            batches = min(2 * batches, _WINDOW_BATCHES)
            yield window

    def _readings(self, window: Sequence[Item], prepared: Future[list[_Prepared]]) -> list[Reading]:
        readings = self._isolated(window, prepared)
        if len(window) >= _GIVES_UP_AFTER and all(map(is_fault, readings)):
            raise TexlensError(f"No picture can be read. The first: {readings[0].error}")
        return readings

    def _isolated(
        self, window: Sequence[Item], prepared: Future[list[_Prepared]] | None = None
    ) -> list[Reading]:
        """The readings of a window. A fault of TexLens costs the picture that causes it, no other."""
        try:
            ready = self._prepare_all(window) if prepared is None else prepared.result()
            readings = [self._finished(one) for one in self._read_window(window, ready)]
            readings = self._with_alternatives(window, ready, readings)
            return self._by_hand_too(window, ready, readings)
        except Exception as error:  # a picture may find any mistake of ours
            if isinstance(error, TexlensError) and not isinstance(error, EngineFault):
                raise  # not caused by a picture
            if len(window) == 1:
                _log.debug("A fault of TexLens.", exc_info=True)
                return [faulty(window[0].name, error)]
        half = len(window) // 2
        return self._isolated(window[:half]) + self._isolated(window[half:])

    def _read_window(self, window: Sequence[Item], prepared: Sequence[_Prepared]) -> list[Reading]:
        first = self._candidates(prepared, View())
        readings = [with_formula_warning(one.reading, self.calibration) for one in first]
        again: dict[View, list[int]] = defaultdict(list)
        for place, reading in enumerate(readings):
            if reading.tokens and not _no_formula(reading) and (self.reread or self.best_of > 1):
                for view in further_views(reading, self.best_of, can_zoom=self.frame is not None):
                    again[view].append(place)
        candidates: dict[int, list[_Candidate]] = {}
        for view, places in again.items():
            ready = self._prepare_all([window[p] for p in places], view.zoom)
            for place, other in zip(places, self._candidates(ready, view), strict=True):
                candidates.setdefault(place, [first[place]]).append(other)
        start = time.perf_counter()
        means = self._likelihoods(candidates)
        share = (time.perf_counter() - start) / max(1, len(candidates))
        for place, found in candidates.items():
            chosen = _best(found, [means[place][one.tokens] for one in found])
            readings[place] = replace(chosen, seconds=chosen.seconds + share)
        return readings

    def _likelihoods(
        self, candidates: Mapping[int, Sequence[_Candidate]]
    ) -> dict[int, dict[tuple[int, ...], float]]:
        """For each place the log-probability of each answer, the mean over the sizes shown."""
        means = {
            place: dict.fromkeys((o.tokens for o in c), 0.0) for place, c in candidates.items()
        }
        tasks = []
        for place, found in candidates.items():
            images = {one.zoom: one.image for one in found if one.image and is_scored(one.zoom)}
            if len(means[place]) > 1:
                tasks += [
                    (place, tokens, image, len(images))
                    for image in images.values()
                    for tokens in means[place]
                ]
        tasks.sort(key=lambda task: (_area(task[2]), task[0]), reverse=True)
        batches = [tasks[n : n + self.batch_size] for n in range(0, len(tasks), self.batch_size)]

        def decode(batch: Sequence[tuple[int, tuple[int, ...], Image.Image, int]]) -> list[float]:
            config = DecodingConfig(scripts=tuple(tokens for _, tokens, _, _ in batch))
            answers = self.backend.decode([image for _, _, image, _ in batch], config)
            return [sum(answer.logprobs) for answer in answers]

        scored = chain.from_iterable(_in_threads(decode, batches, self.backend.concurrency))
        for (place, tokens, _, sizes), total in zip(tasks, scored, strict=True):
            means[place][tokens] += total / sizes
        return means

    def _finished(self, reading: Reading) -> Reading:
        return in_both_forms(calibrated(reading, self.calibration))

    def _with_alternatives(
        self, window: Sequence[Item], prepared: Sequence[_Prepared], readings: list[Reading]
    ) -> list[Reading]:
        """The readings, with the alternatives that are wanted."""
        wanted = [p for p, item in enumerate(window) if item.alternatives and readings[p].latex]
        candidates: dict[int, list[tuple[Reading, Reading]]] = defaultdict(list)
        most = max((window[place].alternatives for place in wanted), default=0)
        for view in alternative_views(most, can_zoom=self.frame is not None) if most else ():
            ready = [prepared[place] for place in wanted]
            if view.zoom != 1.0:
                ready = self._prepare_all([window[place] for place in wanted], view.zoom)
            for place, one in zip(wanted, self._candidates(ready, view), strict=True):
                candidates[place].append((one.reading, self._finished(one.reading)))
        for place, found in candidates.items():
            first, count = readings[place], window[place].alternatives
            readings[place] = replace(first, alternatives=alternatives(first, found, count))
        return readings

    def _by_hand_too(
        self, window: Sequence[Item], prepared: Sequence[_Prepared], readings: list[Reading]
    ) -> list[Reading]:
        """The readings, those in doubt read by the model for handwriting as well, if there is one."""
        doubtful = [place for place, one in enumerate(readings) if may_be_by_hand(one)]
        if self.by_hand is None or not doubtful:
            return readings
        others = self.by_hand._isolated([window[place] for place in doubtful])
        for place, other in zip(doubtful, others, strict=True):
            chosen = likelier(prepared[place].image, readings[place], other)
            seconds = readings[place].seconds + other.seconds
            readings[place] = replace(chosen, seconds=seconds)
        return readings

    def _guarded(self) -> Guard | None:
        if self.constraint is None:
            return None
        from texlens.reading.decoding.guard import Guard  # needs an extra

        return Guard(self.backend, self.constraint, self.max_new_tokens)

    def _candidates(self, prepared: Sequence[_Prepared], view: View) -> list[_Candidate]:
        """One reading for each picture, in order, decoded in batches of similar size.

        As many batches are decoded at a time as the backend has threads for.
        """
        decoding = DecodingConfig(
            self.constraint, view.temperature, view.seed, by_model=self.decoding == "model"
        )
        is_first = view == View()  # what is read again has a reading that parses
        answers_to = self._guard.decode if self._guard and is_first else self.backend.decode
        readings = [picture.reading for picture in prepared]
        order = [(n, one.image) for n, one in enumerate(prepared) if one.image is not None]
        order.sort(key=lambda item: _area(item[1]), reverse=True)  # the longest work comes first
        threads = min(self.backend.concurrency, len(order))
        batches = [order[part] for part in self._shares([_area(i) for _, i in order], threads)]

        def decode(batch: Sequence[tuple[int, Image.Image]]) -> list[tuple[int, Completion, float]]:
            start = time.perf_counter()
            answers = answers_to([image for _, image in batch], decoding)
            share = (time.perf_counter() - start) / len(batch)
            return [(n, answer, share) for (n, _), answer in zip(batch, answers, strict=True)]

        tokens: dict[int, tuple[int, ...]] = {}
        for answered in _in_threads(decode, batches, threads):
            for place, answer, share in answered:
                readings[place] = self._reading(readings[place], answer, share)
                tokens[place] = answer.tokens
        return [
            _Candidate(reading, tokens.get(place, ()), prepared[place].image, view.zoom)
            for place, reading in enumerate(_checked(readings))
        ]

    def _shares(self, areas: Sequence[int], threads: int) -> Iterator[slice]:
        """Batches of pictures of these areas: of about the same area each, at least one a thread."""
        most = self.batch_size
        limit = sum(areas) // max(threads, math.ceil(len(areas) / most), 1)
        return parts(areas, limit, lambda batch: limit if len(batch) == most else sum(batch))

    def _prepare_all(self, items: Iterable[Item], zoom: float = 1.0) -> list[_Prepared]:
        return [self._prepare(item, zoom) for item in items]

    def _prepare(self, item: Item, zoom: float = 1.0) -> _Prepared:
        """Open and frame a picture, `zoom` times as large as its type asks for."""
        start = time.perf_counter()
        error, image = item.error, None
        try:
            if item.picture is not None:
                image = open_framed(item.picture, self.frame, zoom)
                if self.frame is None:  # many pictures wait at the same time
                    image = near_size(image, self.prompt_config.max_pixels)
        except InputError as problem:
            error = str(problem)
        except NoInk:
            pass
        warnings = () if error else ("no_formula",)
        seconds = time.perf_counter() - start
        reading = Reading(item.name, "", 0.0, warnings=warnings, seconds=seconds, error=error)
        return _Prepared(reading, image)

    def _reading(self, empty: Reading, completion: Completion, seconds: float) -> Reading:
        """The reading of a picture out of its `empty` one, the model's answer and its time."""
        latex, warnings = parse_response(
            self.backend.text(completion.tokens),
            self.prompt_config.answer_format,
            is_finished=completion.finished,
            is_loop=completion.cut == "loop",
        )
        tokens = tuple(
            Token(self.backend.text([token]), logprob)
            for token, logprob in zip(completion.tokens, completion.logprobs, strict=False)
        )
        return Reading(
            path=empty.path,
            latex=latex,
            confidence=completion.confidence,
            tokens=tokens,
            warnings=warnings,
            seconds=empty.seconds + seconds,
            prompt_tokens=completion.prompt_tokens,
        )


def _name(model: str | Path | Loaded | None, adapter: str | Path | None) -> str:
    name = "a loaded model" if isinstance(model, Loaded) else str(model or "the embedded model")
    return f"{name} with {adapter}" if adapter is not None else name


def _constraint_for(backend: Backend) -> Constraint | None:
    """The constraint for a model that answers with nothing but LaTeX."""
    if backend.prompt_config.answer_format != "plain":
        return None
    from texlens.reading.decoding.constraints import constraint_for  # needs an extra

    return constraint_for(backend.text, backend.vocabulary, backend.end_tokens)


@lru_cache(maxsize=1)
def _default_reader() -> Reader:
    return Reader()


def read(picture: Picture) -> Reading:
    """Read one picture with the embedded model, which is loaded on the first call.

    Raises InputError when the picture cannot be opened.
    """
    return _default_reader().read(picture)


def _best(candidates: Sequence[_Candidate], likelihoods: Sequence[float]) -> Reading:
    """The best of the candidates, the first in the picture's own size, with the seconds of all."""
    start = time.perf_counter()
    readings = [one.reading for one in candidates]
    image = candidates[0].image
    chosen = readings[0 if image is None else best(image, readings, likelihoods)]
    seconds = sum(reading.seconds for reading in readings) + time.perf_counter() - start
    return replace(chosen, seconds=seconds)


def _in_threads(
    function: Callable[[_In], _Out], items: Sequence[_In], threads: int
) -> Iterator[_Out]:
    """The results of a function, in order, computed in so many threads."""
    if threads < 2 or len(items) < 2:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads, "texlens-decode") as pool:
        yield from pool.map(function, items)


def _area(image: Image.Image) -> int:
    return image.width * image.height


def _no_formula(reading: Reading) -> bool:
    return "no_formula" in reading.warnings


def _with_warning(reading: Reading, code: str) -> Reading:
    return replace(reading, warnings=(*reading.warnings, code))


def _checked(readings: list[Reading]) -> list[Reading]:
    """The readings, with the warnings `does_not_parse` and `no_formula` where they apply."""
    checked = list(readings)
    answered = [place for place, reading in enumerate(readings) if reading.latex]
    valid = katex_valid([readings[place].latex for place in answered])
    for place, is_valid in zip(answered, valid, strict=True):
        if not is_valid:
            checked[place] = _with_warning(readings[place], "does_not_parse")
    for place, reading in enumerate(readings):
        if not (reading.latex or reading.error or reading.warnings):
            checked[place] = _with_warning(reading, "no_formula")
    return checked

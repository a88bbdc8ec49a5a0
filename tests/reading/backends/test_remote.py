"""Reading by a server: a real one of another make, and a fake one for what seldom happens."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_server import Body, answer, fake, formula, sent_picture, vllm_answer
from llguidance import LLMatcher, grammar_from
from PIL import Image

from texlens.errors import InputError
from texlens.model.load import EMBEDDED
from texlens.model.prompt_config import PromptConfig
from texlens.reading.backends.remote import RemoteReader, ServerError
from texlens.reading.sources import Item

AT_ONCE = {"retry-after-ms": "5"}


def test_the_prompt_config_decides_what_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXLENS_API_KEY", "secret")
    prompt_config = PromptConfig(
        system="S", instruction="I", answer_format="think_answer", max_pixels=10_000,
        max_new_tokens=77,
    )  # fmt: skip
    reply = answer("<think>hm</think><answer>$x$</answer>", logprobs=[-0.1, -0.3])
    with fake(lambda _: (200, {}, reply)) as (url, seen):
        reading = RemoteReader(url, "big", prompt=prompt_config).read(formula(size=(400, 100)))
    (body,) = seen
    assert (body["path"], body["token"]) == ("/v1/chat/completions", "Bearer secret")
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("big", 77, 0.0)
    assert body["messages"][0] == {"role": "system", "content": "S"}
    assert body["messages"][1]["content"][1] == {"type": "text", "text": "I"}
    width, height = sent_picture(body).size
    assert width * height <= 10_000
    assert width == pytest.approx(4 * height, rel=0.05)
    assert reading.latex == "x"
    assert [token.logprob for token in reading.tokens] == [-0.1, -0.3]
    assert reading.confidence == pytest.approx(0.8187, abs=1e-4)
    assert reading.warnings == ()


@pytest.fixture
def specialist(tmp_path: Path) -> Path:
    """The part of a specialist's folder that says how it wants its pictures."""
    folder = tmp_path / "specialist"
    folder.mkdir()
    PromptConfig(pixels_per_em=13.84, min_pixels=256, max_pixels=200_000).save(folder)
    sizes = json.dumps({"patch_size": 8, "merge_size": 2})
    (folder / "preprocessor_config.json").write_text(sizes)
    shape = {"text_config": {"vocab_size": 983}, "vision_config": {"patch_size": 8}}
    (folder / "config.json").write_text(json.dumps(shape))
    return folder


def test_a_specialist_gets_framed_pictures(specialist: Path) -> None:
    with fake(lambda _: (200, {}, answer("x"))) as (url, seen):
        RemoteReader(url, "m", prompt=specialist).read(formula(size=(600, 300)))
        with pytest.raises(InputError, match=r"texlens\.json"):
            RemoteReader(url, "m", prompt=specialist.parent)
    width, height = sent_picture(seen[0]).size
    assert width < 200
    assert (width % 16, height % 16) == (0, 0)


def test_the_settings_of_transformers_5_say_the_size_of_visual_tokens(specialist: Path) -> None:
    old = specialist / "preprocessor_config.json"
    both = {"image_processor": json.loads(old.read_text()), "processor_class": "Processor"}
    (specialist / "processor_config.json").write_text(json.dumps(both))
    old.unlink()
    frame = RemoteReader("http://127.0.0.1:9/v1", "m", prompt=specialist).frame
    assert frame is not None
    assert frame.multiple == 16
    (specialist / "processor_config.json").write_text("[]")
    with pytest.raises(InputError, match="does not say patch_size"):
        RemoteReader("http://127.0.0.1:9/v1", "m", prompt=specialist)


def test_a_small_model_without_its_prompt_configuration_is_a_warning(specialist: Path) -> None:
    (specialist / "texlens.json").unlink()
    with pytest.warns(UserWarning, match=r"small model without texlens\.json"):
        RemoteReader("http://127.0.0.1:9/v1", str(specialist))


def test_the_end_token_counts_and_is_no_token(specialist: Path) -> None:
    tokens = [("x", -0.1), (" <", -0.2), (" y", -0.3), ("<|im_end|>", -0.4)]
    with fake(lambda _: (200, {}, vllm_answer(tokens))) as (url, _):
        reading = RemoteReader(url, str(specialist)).read(formula())
    assert [token.text for token in reading.tokens] == ["x", " <", " y"]
    assert reading.confidence == pytest.approx(math.exp(-0.25))
    cut = [("x", -0.1), (" <", -0.2)]
    with fake(lambda _: (200, {}, vllm_answer(cut, finish="length"))) as (url, _):
        reading = RemoteReader(url, str(specialist)).read(formula())
    assert [token.text for token in reading.tokens] == ["x", " <"]


@pytest.mark.parametrize(("logprob", "has_formula"), [(-0.01, True), (-3.0, False)])
def test_the_confidence_is_calibrated_where_the_folder_is_at_hand(
    logprob: float, has_formula: bool
) -> None:
    reply = vllm_answer([("x", logprob), (" +", logprob), (" y", logprob), ("<|im_end|>", logprob)])
    with fake(lambda _: (200, {}, reply)) as (url, _):
        reader = RemoteReader(url, "m", prompt=EMBEDDED)
        reading = reader.read(formula())
        plain = RemoteReader(url, "m", prompt=reader.prompt_config).read(formula())
    assert reader.calibration is not None
    assert reader.calibration.has_formula(plain) == has_formula
    assert ("no_formula" in reading.warnings) != has_formula
    expected = reader.calibration.probability_right(plain) if has_formula else 0.0
    assert reading.confidence == expected != plain.confidence


def broken_unless_constrained(body: Body) -> tuple[int, dict[str, str], Any]:
    """As vLLM 0.32 constrains answers, by its backend `guidance`."""
    grammar = body.get("structured_outputs", {}).get("grammar")
    if grammar is None:
        return 200, {}, vllm_answer([(" \\left(", -0.7), (" x", -0.1), ("<|im_end|>", -0.1)])
    if error := LLMatcher.validate_grammar(grammar_from("grammar", grammar)):
        return 400, {}, {"error": {"message": f"Grammar error: {error}"}}
    forced = [(" \\left(", 0.0), (" x", 0.0), (" \\right)", 0.0), ("<|im_end|>", 0.0)]
    return 200, {}, vllm_answer(forced)


def test_a_small_models_broken_answer_is_asked_for_again_under_the_grammar(
    specialist: Path,
) -> None:
    with fake(broken_unless_constrained) as (url, seen):
        reader = RemoteReader(url, str(specialist))
        reading = reader.read(formula())
        assert reader.decoding_settings == {"constrained": True}
        assert [("structured_outputs" in body) for body in seen] == [False, True]
        assert seen[0]["messages"] == seen[1]["messages"]
        large = RemoteReader(url, "m").read(formula())
        wanted = RemoteReader(url, "m", constrained=True).read(formula())
        unconstrained = RemoteReader(url, str(specialist), constrained=False).read(formula())
    assert reading.latex == wanted.latex == r"\left(x\right)"
    assert reading.warnings == ()
    assert reading.confidence == pytest.approx(math.exp(-0.3))  # of the model's own answer
    for other in (large, unconstrained):
        assert other.latex == r"\left(x"
        assert other.warnings == ("does_not_parse",)


UNCLOSED = [(text, -0.01) for text in (r"\frac", " {", " a", " }", " {", " b")]


@pytest.mark.parametrize("takes_grammar", [True, False])
def test_an_answer_is_repaired_where_the_grammar_gives_nothing(takes_grammar: bool) -> None:
    def behaviour(body: Body) -> tuple[int, dict[str, str], Any]:
        if "structured_outputs" in body:
            if takes_grammar:
                return 200, {}, vllm_answer(UNCLOSED, finish="length")
            return 400, {}, {"error": {"message": "no such field: structured_outputs"}}
        near = {6: {" }": -1.0}} if body.get("top_logprobs") else None
        return 200, {}, vllm_answer([*UNCLOSED, ("<|im_end|>", -0.5)], alternatives=near)

    with fake(behaviour) as (url, seen), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it takes none
        reader = RemoteReader(url, str(EMBEDDED), concurrency=1)
        readings = list(reader.read_many([formula(), formula()]))
    asked = [("structured_outputs" in body, body.get("top_logprobs")) for body in seen]
    assert asked[:3] == [(False, None), (True, None), (False, 20)]
    assert asked[3:] == (asked[:3] if takes_grammar else [(False, None), (False, 20)])
    for reading in readings:
        assert reading.latex == r"\frac{a}{b}"
        assert "does_not_parse" not in reading.warnings
        assert [token.text for token in reading.tokens] == [*(text for text, _ in UNCLOSED), " }"]
        assert reading.tokens[-1].logprob == pytest.approx(-1.0)
        assert reading.tokens[0].logprob == -0.01


@pytest.mark.parametrize("finish", ["length", "stop"])
def test_a_constrained_answer_that_fails_too_is_not_taken(specialist: Path, finish: str) -> None:
    def runs_on(body: Body) -> tuple[int, dict[str, str], Any]:
        if "structured_outputs" in body:
            return 200, {}, answer(r"\frac { 1", finish=finish)
        return 200, {}, answer(r"\left( x")

    with fake(runs_on) as (url, _):
        reading = RemoteReader(url, str(specialist)).read(formula())
    assert reading.latex == r"\left(x"


def test_a_server_that_fails_under_the_grammar_costs_no_reading(
    specialist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("texlens.reading.backends.endpoints._RETRIES", 0)

    def fails(body: Body) -> tuple[int, dict[str, str], Any]:
        if "structured_outputs" in body:
            return 500, {}, {"error": {"message": "the engine died"}}
        return 200, {}, answer(r"\left( x")

    with fake(fails) as (url, _):
        assert RemoteReader(url, str(specialist)).read(formula()).latex == r"\left(x"


REFUSALS = {
    "OpenAI": (400, {"error": {"message": "Unrecognized argument: structured_outputs"}}),
    "transformers": (422, {"detail": "Unexpected fields in the request: {'structured_outputs'}"}),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_server_that_takes_no_grammar(specialist: Path, refusal: tuple[int, Any]) -> None:
    def refuses(body: Body) -> tuple[int, dict[str, str], Any]:
        if "structured_outputs" in body:
            return refusal[0], {}, refusal[1]
        return 200, {}, answer(r"\left( x")

    with fake(refuses) as (url, seen):
        reader = RemoteReader(url, str(specialist), concurrency=1)
        with pytest.warns(UserWarning, match="takes no grammar"):
            readings = list(reader.read_many([formula(), formula()]))
        assert [reading.latex for reading in readings] == [r"\left(x"] * 2
        assert len(seen) == 3
        with pytest.raises(ServerError, match="takes no grammar"):
            RemoteReader(url, "m", constrained=True).read(formula())
    with pytest.raises(InputError, match="leave out --constrained"):
        RemoteReader(url, "m", prompt="think_answer", constrained=True)


def test_readings_come_in_order_and_at_once() -> None:
    def slow_first(body: Body) -> tuple[int, dict[str, str], Any]:
        width = sent_picture(body).width
        time.sleep(0.3 if width == 301 else 0.01)
        return 200, {}, answer(f"x_{{{width}}}")

    pictures = [Item(str(n), formula(size=(301 + n, 60))) for n in range(12)]
    with fake(slow_first) as (url, _):
        start = time.monotonic()
        readings = list(RemoteReader(url, "m", concurrency=4).read_many(pictures))
        assert time.monotonic() - start < 1.5
    assert [reading.path for reading in readings] == [str(n) for n in range(12)]
    assert [reading.latex for reading in readings] == [f"x_{{{301 + n}}}" for n in range(12)]


def test_pictures_are_not_read_ahead_without_end() -> None:
    taken = 0

    def pictures() -> Iterator[Item]:
        nonlocal taken
        for n in range(1000):
            taken += 1
            yield Item(str(n), formula())

    with fake(lambda _: (200, {}, answer("x"))) as (url, _):
        readings = RemoteReader(url, "m", concurrency=2).read_many(pictures())
        for _ in range(3):
            next(readings)
        assert taken <= 30
        readings.close()  # type: ignore[attr-defined]


def test_a_busy_server_is_asked_again() -> None:
    tries = iter([(429, AT_ONCE, {}), (503, AT_ONCE, {}), (500, AT_ONCE, {})])
    with fake(lambda _: next(tries, (200, {}, answer("x", logprobs=[0.0])))) as (url, seen):
        reading = RemoteReader(url, "m").read(formula())
    assert reading.latex == "x"
    assert len(seen) == 4


def test_a_server_without_logprobs_is_asked_once_more() -> None:
    def refuses(body: Body) -> tuple[int, dict[str, str], Any]:
        if "logprobs" in body:
            return 400, {}, {"error": {"message": "logprobs are not supported"}}
        return 200, {}, answer("x", finish="length")

    with fake(refuses) as (url, seen):
        reader = RemoteReader(url, "m", concurrency=1)
        readings = list(reader.read_many([formula(), formula()]))
    assert [reading.latex for reading in readings] == ["x", "x"]
    assert readings[0].warnings == ("unfinished", "no_logprobs")
    assert (readings[0].confidence, readings[0].tokens) == (0.0, ())
    assert ["logprobs" in body for body in seen] == [True, False, False]


GARBAGE = {
    "not JSON": (200, {}, b"<html>hello"),
    "no choices": (200, {}, {"choices": []}),
    "another thing": (200, {}, {"answer": 42}),
    "a list": (200, {}, [1, 2]),
    "content of a wrong type": (200, {}, answer(7)),
    "no content": (200, {}, answer(None)),
    "nothing": (200, {}, b""),
    "fails": (500, AT_ONCE, {"error": {"message": "out of\nmemory"}}),
    "refuses": (400, {}, {"error": {"message": "picture too large"}}),
    "text as an error": (422, {"Content-Type": "text/plain"}, b"no"),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_is_an_error_of_its_picture(garbage: tuple[int, dict[str, str], Any]) -> None:
    def behaviour(body: Body) -> tuple[int, dict[str, str], Any]:
        return garbage if sent_picture(body).width == 300 else (200, {}, answer("x"))

    pictures = [formula(), formula(size=(300, 60)), formula()]
    with fake(behaviour) as (url, _):
        readings = list(RemoteReader(url, "m").read_many(pictures))
    assert [reading.latex for reading in readings] == ["x", "", "x"]
    message = readings[1].error
    assert message is not None
    assert message.startswith(f"The server at {url} answered ")
    assert len(message.splitlines()) == 1


def test_a_slow_server_is_an_error_of_its_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("texlens.reading.backends.endpoints._RETRIES", 0)

    def sleeps(_: Body) -> tuple[int, dict[str, str], Any]:
        time.sleep(0.6)
        return 200, {}, answer("x")

    with fake(sleeps) as (url, _):
        (reading,) = RemoteReader(url, "m", timeout_s=0.2).read_many([formula()])
    assert reading.error == f"The server at {url} did not answer within 0.2 s."


@pytest.mark.parametrize(
    ("status", "says"), [(401, "refuses the token: set TEXLENS_API_KEY"), (404, "has no model")]
)
def test_a_server_that_cannot_be_used_ends_the_reading(status: int, says: str) -> None:
    with (
        fake(lambda _: (status, {}, {"error": {"message": "no"}})) as (url, _),
        pytest.raises(ServerError, match=says),
    ):
        list(RemoteReader(url, "m").read_many([formula()] * 3))


def test_no_server_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("texlens.reading.backends.endpoints._RETRIES", 0)
    with pytest.raises(ServerError, match="cannot be reached"):
        RemoteReader("http://127.0.0.1:9/v1", "m").read(formula())
    with pytest.raises(InputError, match="http://"):
        RemoteReader("localhost:8000", "m")


def test_pictures_that_cannot_be_opened_never_leave(tmp_path: Path, specialist: Path) -> None:
    (tmp_path / "no.png").write_text("no picture")
    blank = Image.new("RGB", (100, 50), "white")
    with fake(lambda _: (200, {}, answer("x"))) as (url, seen):
        reader = RemoteReader(url, "m", prompt=specialist)
        bad, empty = reader.read_many([tmp_path / "no.png", blank])
    assert bad.error is not None
    assert empty.warnings == ("no_formula",)
    assert seen == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*takes no grammar")  # where an answer does not parse
def test_transformers_own_server_reads_the_same(tmp_path: Path) -> None:
    """The embedded model behind the server of transformers, and in this process."""
    from texlens.reading import Reader

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "server.log"
    script = Path(__file__).with_name("serve_transformers.py")
    with log.open("wb") as stream:
        server = subprocess.Popen(
            [sys.executable, str(script), str(EMBEDDED), str(port)],
            stdout=stream, stderr=stream, env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert server.poll() is None, log.read_text()
            time.sleep(0.2)
        pictures = sorted((EMBEDDED.parents[1] / "demo").glob("0[1-5]*.png"))
        remote = RemoteReader(f"http://127.0.0.1:{port}/v1", str(EMBEDDED), concurrency=2)
        there = list(remote.read_many(pictures))
    finally:
        server.terminate()
        server.wait(20)
    here = list(Reader(constrained=False, reread=False).read_many(pictures))
    assert [reading.error for reading in there] == [None] * len(pictures)
    assert [reading.latex for reading in there] == [reading.latex for reading in here]

"""The reader: whatever the batch, one reading a picture, in order."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from texlens.errors import InputError, TexlensError
from texlens.latex import katex_valid
from texlens.reading import Reader
from texlens.reading.sources import Item


@pytest.fixture(scope="module")
def reader(model_folder: Path) -> Reader:
    """Reads once: with random weights every answer is doubtful (rereading has its own test)."""
    return Reader(model_folder, device="cpu", batch_size=16, reread=False)


def pictures(count: int, seed: int = 5) -> list[Image.Image]:
    """Words of mixed lengths, some over others, so that the sizes differ."""
    random = np.random.default_rng(seed)
    font = ImageFont.load_default(size=14)
    drawn = []
    for _ in range(count):
        lines = [
            "".join(random.choice(list("abcxyz+=123()"), size=random.integers(1, 30)))
            for _ in range(random.integers(1, 4))
        ]
        image = Image.new("L", (320, 80), 255)
        ImageDraw.Draw(image).multiline_text((5, 5), "\n".join(lines), font=font, fill=0)
        drawn.append(image)
    return drawn


def test_batch_equals_single(reader: Reader) -> None:
    many = pictures(40)
    together = list(reader.read_many(many))
    assert len({reading.latex for reading in together}) > 12
    for image, reading in zip(many, together, strict=True):
        alone = reader.read(image)
        assert [token.text for token in alone.tokens] == [token.text for token in reading.tokens]
        assert alone.confidence == pytest.approx(reading.confidence, abs=1e-4)


@pytest.mark.parametrize(("reread", "best_of"), [(True, 1), (False, 3)])
def test_rereading_chooses_the_same_alone_and_in_a_batch(
    reader: Reader, model_folder: Path, reread: bool, best_of: int
) -> None:
    twice = Reader(model_folder, device="cpu", batch_size=16, reread=reread, best_of=best_of)
    some = pictures(8)
    once, again = list(reader.read_many(some)), list(twice.read_many(some))
    assert any(b.latex != a.latex for a, b in zip(once, again, strict=True))
    for image, reading in zip(some, again, strict=True):
        assert twice.read(image).latex == reading.latex


def test_every_picture_gives_one_reading_in_order(reader: Reader, tmp_path: Path) -> None:
    good = pictures(3)
    blank = Image.new("L", (90, 50), 255)
    cut = tmp_path / "cut.png"
    good[0].save(cut)
    cut.write_bytes(cut.read_bytes()[:200])
    items = [
        Item("first", good[0]),
        Item("nowhere", None, "It is not there."),
        cut,
        Item("blank", blank),
        Item("dot", Image.new("L", (1, 1), 0)),
        tmp_path / "missing.png",
        Item("last", good[2]),
    ]
    readings = list(reader.read_many(items))
    assert [reading.path for reading in readings] == [
        "first", "nowhere", str(cut), "blank", "dot", str(tmp_path / "missing.png"), "last",
    ]  # fmt: skip
    assert [reading.error is not None for reading in readings] == [
        False, True, True, False, False, True, False,
    ]  # fmt: skip
    assert readings[3].warnings == readings[4].warnings == ("no_formula",)
    assert readings[3].latex == ""
    assert readings[0].latex == reader.read(good[0]).latex
    assert readings[6].latex == reader.read(good[2]).latex


def test_read_raises_what_read_many_reports(reader: Reader) -> None:
    with pytest.raises(InputError, match="does not exist"):
        reader.read("missing.png")


def test_a_constrained_reading_parses_even_with_random_weights(reader: Reader) -> None:
    assert reader.constraint is not None
    readings = list(reader.read_many(pictures(40)))
    assert katex_valid([reading.latex for reading in readings]) == [True] * 40
    assert "unfinished" in {code for reading in readings for code in reading.warnings}
    assert all(len(reading.tokens) < 24 for reading in readings)


def test_a_reading_says_what_is_wrong_with_it(model_folder: Path) -> None:
    unconstrained = Reader(model_folder, device="cpu", reread=False, constrained=False)
    readings = list(unconstrained.read_many(pictures(40)))
    by_code = {code for reading in readings for code in reading.warnings}
    assert "unfinished" in by_code  # random weights hardly ever end an answer
    assert "does_not_parse" in by_code
    for reading in readings:
        assert 0 < reading.confidence < 1
        assert reading.seconds > 0
        is_cut = len(reading.tokens) == 24 or "loop" in reading.warnings
        assert ("unfinished" in reading.warnings) == is_cut
        assert all(token.logprob <= 0 for token in reading.tokens)


def test_the_prompt_config_is_obeyed(model_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    text = (folder / "texlens.json").read_text()
    text = text.replace('"max_new_tokens": 24', '"max_new_tokens": 3')
    (folder / "texlens.json").write_text(text.replace('"plain"', '"think_answer"'))
    reading = Reader(folder, device="cpu").read(pictures(1)[0])
    assert len(reading.tokens) <= 3
    assert reading.latex == ""
    assert "no_answer" in reading.warnings


def test_a_base_is_read_with_the_prompt_of_another_model(
    model_folder: Path, tmp_path: Path
) -> None:
    """A name changes the words; a file also the limits, so that only the weights differ."""
    own = Reader(model_folder, device="cpu")
    named = Reader(model_folder, device="cpu", prompt="think_answer")
    assert "<think>" in named.backend.prompt
    assert named.prompt_config.pixels_per_em == own.prompt_config.pixels_per_em
    assert (own.max_new_tokens, named.max_new_tokens) == (24, 600)
    tuned = own.prompt_config.model_copy(
        update={"instruction": "Read this.", "max_new_tokens": 7, "pixels_per_em": None}
    )
    tuned.save(tmp_path)
    for prompt in (tuned, tmp_path, tmp_path / "texlens.json"):
        other = Reader(model_folder, device="cpu", prompt=prompt)
        assert other.prompt_config == tuned
        assert "Read this." in other.backend.prompt
        assert (other.frame, other.max_new_tokens) == (None, 7)
    with pytest.raises(InputError, match="none of plain, think_answer"):
        Reader(model_folder, device="cpu", prompt="thinking")


def test_greedy_has_no_penalty_unless_the_models_own_decoding_is_asked_for(
    model_folder: Path, tmp_path: Path
) -> None:
    """A penalty that forbids repetition changes the answer, and only by `decoding="model"`."""
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    path = folder / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"repetition_penalty": 1e6}))
    images = pictures(6)

    def tokens(model: Path, **options: Any) -> list[list[str]]:
        reader = Reader(model, device="cpu", constrained=False, reread=False, **options)
        return [[token.text for token in r.tokens] for r in reader.read_many(images)]

    greedy = tokens(folder)
    assert greedy == tokens(model_folder) == tokens(model_folder, decoding="model")
    penalised = tokens(folder, decoding="model")
    assert repeated(penalised) < repeated(greedy) / 2
    settings = Reader(folder, device="cpu").decoding_settings
    assert (settings["decoding"], settings["repetition_penalty"]) == ("greedy", 1.0)
    own = Reader(folder, device="cpu", decoding="model")
    assert own.decoding_settings["repetition_penalty"] == 1e6
    assert own.decoding_settings["constrained"] is False
    assert all(0 < reading.confidence < 1 for reading in own.read_many(images))
    with pytest.raises(InputError, match="reads every picture once"):
        Reader(folder, device="cpu", decoding="model", best_of=2)
    with pytest.raises(InputError, match="onnxruntime runs no model with the model's own decoding"):
        Reader(folder, backend="onnx", decoding="model")


def repeated(answers: list[list[str]]) -> int:
    """How many tokens occurred before in their answer."""
    return sum(len(answer) - len(set(answer)) for answer in answers)


def test_a_model_without_prompt_config_gets_the_whole_picture(
    model_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    (folder / "texlens.json").unlink()
    with pytest.warns(UserWarning, match=r"small model without texlens\.json"):
        general = Reader(folder, device="cpu", max_new_tokens=4)
    assert general.prompt_config.instruction.startswith("Extract the formulas")
    near, far = (Image.new("L", (200, 100), 255) for _ in range(2))
    ImageDraw.Draw(near).text((10, 10), "a+b", fill=0)
    ImageDraw.Draw(far).text((150, 80), "a+b", fill=0)
    # Nothing is cropped, so the place on the page matters; the small model would see no difference.
    assert general.read(near).tokens != general.read(far).tokens


def test_an_adapter_is_used(model_folder: Path, tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    from texlens.model.load import load_model

    torch.manual_seed(1)
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    tuned = get_peft_model(load_model(model_folder, device="cpu").model, config)
    tuned.save_pretrained(tmp_path / "adapter")
    some = pictures(4)
    plain = Reader(model_folder, device="cpu")
    adapted = Reader(model_folder, tmp_path / "adapter", device="cpu")
    assert [r.latex for r in plain.read_many(some)] != [r.latex for r in adapted.read_many(some)]
    for image, reading in zip(some, adapted.read_many(some), strict=True):
        assert adapted.read(image).latex == reading.latex


def test_a_fault_costs_one_picture(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    decode = reader.backend.decode

    def fails_on_one(images: list[Image.Image], *rest: Any) -> Any:
        if any(image.width > 600 for image in images):
            raise IndexError("list index out of range")
        return decode(images, *rest)

    some = pictures(7)
    monkeypatch.setattr(reader.backend, "decode", fails_on_one)
    monkeypatch.setattr(reader, "frame", None)
    plain = [reading.latex for reading in reader.read_many(some)]
    readings = list(reader.read_many([*some[:3], Image.new("RGB", (700, 40)), *some[3:]]))
    assert [reading.latex for place, reading in enumerate(readings) if place != 3] == plain
    assert readings[3].warnings == ("fault",)
    assert readings[3].error == (
        "TexLens failed on 'picture 4' (IndexError: list index out of range): please report it."
    )
    with pytest.raises(TexlensError, match="No picture can be read"):
        list(reader.read_many([Image.new("RGB", (700, 40))] * 8))

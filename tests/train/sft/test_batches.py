"""Batches of fine-tuning: nothing padded in vain, nothing cut, the loss on the answer alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from texlens.data.parquet import read_examples, write_examples
from texlens.errors import InputError, TexlensError
from texlens.model.load import load_model
from texlens.reading import Reader
from texlens.reading.pictures.framing import frame_for
from texlens.records import Example
from texlens.train.data.examples import dev_examples
from texlens.train.data.prepared import FineTuningData, prepare_examples
from texlens.train.settings import DataFile, DevSet
from texlens.train.sft.augmentation import PictureAugmenter
from texlens.train.sft.batches import IGNORED, AnswerCollator, LengthGroupedSampler, check_batches
from texlens.train.sft.settings import TrainingAugmentation

Spy = Callable[[Reader, bytes], tuple[dict[str, torch.Tensor], tuple[int, ...]]]


@pytest.fixture(scope="module")
def data(model_folder: Path, pictures: Path) -> FineTuningData:
    loaded = load_model(model_folder, device="cpu")
    return prepare_examples([DataFile(parquet=pictures)], loaded, max_length=2000, quiet=True)


def test_the_loss_is_on_the_answer_and_its_end_alone(
    model_folder: Path, data: FineTuningData
) -> None:
    loaded = load_model(model_folder, device="cpu")
    rows = [data.table[i] for i in (3, 41, 17)]
    batch = AnswerCollator(loaded, data.prompt)(rows)
    tokenizer = loaded.processor.tokenizer
    for place, row in enumerate(rows):
        learnt = batch["labels"][place]
        kept = learnt != IGNORED
        assert tokenizer.decode(learnt[kept]) == row["latex"] + "<|im_end|>"
        ids = batch["input_ids"][place]
        assert torch.equal(ids[kept], learnt[kept])
        assert int((ids != tokenizer.pad_token_id).sum()) == row["length"]
        first = int(kept.nonzero()[0])
        assert tokenizer.decode(ids[:first]).endswith("<|im_start|>assistant\n")
        assert int((ids == loaded.processor.image_token_id).sum()) == row["rows"] * row["columns"]


def test_training_sees_what_reading_sees(
    model_folder: Path, pictures: Path, data: FineTuningData, spy: Spy
) -> None:
    """The prompt's tokens and the pixels of a batch are those of `Reader` for the same picture."""
    loaded = load_model(model_folder, device="cpu")
    reader = Reader(loaded)
    examples = list(read_examples(pictures))
    for place in (0, 25, 59):
        batch = AnswerCollator(loaded, data.prompt)([data.table[place]])
        read, _ = spy(reader, examples[place].image)
        assert torch.equal(batch["pixel_values"], read["pixel_values"])
        assert torch.equal(batch["image_grid_thw"], read["image_grid_thw"])
        prompt = read["input_ids"].shape[1]
        assert torch.equal(batch["input_ids"][:, :prompt], read["input_ids"])
        assert bool((batch["labels"][:, :prompt] == IGNORED).all())


def test_padding_on_the_right_changes_no_loss(model_folder: Path, data: FineTuningData) -> None:
    loaded = load_model(model_folder, device="cpu")
    collator = AnswerCollator(loaded, data.prompt)
    rows = sorted((data.table[i] for i in range(6)), key=lambda row: row["length"])
    with torch.inference_mode():
        together = loaded.model(**collator(rows))
        counts = [len(row["answer"]) for row in rows]
        apart = [float(loaded.model(**collator([row])).loss) for row in rows]
    mean = sum(loss * count for loss, count in zip(apart, counts, strict=True)) / sum(counts)
    assert float(together.loss) == pytest.approx(mean, rel=1e-4)


def test_a_picture_and_the_places_kept_for_it_must_agree(
    model_folder: Path, data: FineTuningData
) -> None:
    loaded = load_model(model_folder, device="cpu")
    collator = AnswerCollator(loaded, data.prompt)
    check_batches(collator, data)
    wrong = dict(data.table[0])
    wrong["columns"] += 1
    with pytest.raises(TexlensError, match="visual tokens, but"):
        collator([wrong])


@pytest.mark.parametrize("is_framed", [True, False])
def test_pictures_are_augmented_anew_for_each_batch_and_the_same_after_a_kill(
    model_folder: Path, pictures: Path, is_framed: bool
) -> None:
    loaded = load_model(model_folder, device="cpu")
    if not is_framed:
        general = loaded.prompt_config.model_copy(update={"pixels_per_em": None})
        loaded = replace(loaded, prompt_config=general)
    frame = frame_for(loaded.prompt_config, loaded.processor.image_processor)
    data = prepare_examples([DataFile(parquet=pictures)], loaded, max_length=2000, quiet=True)
    rows = [data.table[i] for i in range(8)]

    def batch(chosen: list[Any], **shares: float) -> dict[str, torch.Tensor]:
        settings = TrainingAugmentation(**shares)
        augmenter = PictureAugmenter(settings, frame, seed=3)
        return AnswerCollator(loaded, data.prompt, augmenter=augmenter)(chosen)

    plain = AnswerCollator(loaded, data.prompt)(rows)
    never, always, again = batch(rows), batch(rows, photo=1.0), batch(rows, photo=1.0)
    for name, tensor in plain.items():
        assert torch.equal(tensor, never[name])
        assert torch.equal(always[name], again[name])
    answers = [labels[labels != IGNORED].tolist() for labels in always["labels"]]
    assert answers == [row["answer"] for row in rows]
    assert not (
        always["pixel_values"].shape == plain["pixel_values"].shape
        and torch.equal(always["pixel_values"], plain["pixel_values"])
    )
    first, other = batch(rows[:1], photo=1.0), batch(rows[:2], photo=1.0)  # other batches
    count = int(first["image_grid_thw"].prod())
    assert not torch.equal(first["pixel_values"], other["pixel_values"][:count])
    visual = (always["input_ids"] == loaded.processor.image_token_id).sum(1)
    assert torch.equal(visual, always["image_grid_thw"].prod(1) // 4)


def test_what_cannot_be_learnt_from_is_left_out_and_counted(
    model_folder: Path, pictures: Path, tmp_path: Path
) -> None:
    loaded = load_model(model_folder, device="cpu")
    good = list(read_examples(pictures, 12))
    blank = next(e for e in read_examples(Path(_blank_parquet(tmp_path))))
    bad = [
        Example("text", b"no picture", "x"),
        Example("none", good[0].image, "  "),
        Example("long", good[0].image, " + ".join("x" * 400)),
        Example("mark", good[0].image, "x <|im_end|> y"),
        blank,
    ]
    path = tmp_path / "mixed.parquet"
    write_examples(path, [*good, *bad])
    data = prepare_examples([DataFile(parquet=path)], loaded, max_length=300, quiet=True)
    longest = data.lengths.max()
    assert longest <= 300 == data.record["tokens"]["max_length"]
    left = data.record["files"][0]["left_out"]
    assert left["picture damaged or too large"] == left["no formula"] == left["no ink"] == 1
    assert left["too long"] >= 1
    assert data.record["examples"] + sum(left.values()) == 17
    # A special token in a formula is text, not the end of the answer.
    marked = next(row for row in data.table if row["id"] == "mark")
    end = loaded.processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert marked["answer"].count(end) == 1 == marked["answer"][-1:].count(end)
    with pytest.raises(InputError, match=r"No example of .* is left"):
        prepare_examples([DataFile(parquet=path)], loaded, max_length=20, quiet=True)


def _blank_parquet(folder: Path) -> Path:
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.new("L", (60, 30), 255).save(stream, "PNG")
    write_examples(folder / "blank.parquet", [Example("blank", stream.getvalue(), "x")])
    return folder / "blank.parquet"


def test_the_hash_tells_other_data(model_folder: Path, pictures: Path) -> None:
    loaded = load_model(model_folder, device="cpu")

    def digest(rows: tuple[int, int]) -> str:
        files = [DataFile(parquet=pictures, rows=rows)]
        return str(prepare_examples(files, loaded, max_length=900, quiet=True).record["sha256"])

    assert digest((0, 5)) == digest((0, 5)) != digest((0, 6))
    with pytest.raises(InputError, match="has 60 rows: none of 60 to 70"):
        digest((60, 70))


def test_an_epoch_has_each_example_once_and_the_share_that_was_asked_for() -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(50, 500, 500)
    files = np.repeat([0, 1], [400, 100])
    order = LengthGroupedSampler(lengths, files, [None, 0.2], examples_per_step=16, seed=3)
    first = order.order()
    assert len(first) == len(order) == 500
    assert sorted(i for i in first if i < 400) == list(range(400))
    mixed = {int(i) for i in first if i >= 400}
    assert len(mixed) == 100
    few = LengthGroupedSampler(lengths, files, [None, 0.05], examples_per_step=16, seed=3)
    drawn = {int(i) for i in few.order() if i >= 400}
    few.set_epoch(1)
    assert len(drawn) == 21
    assert drawn != {int(i) for i in few.order() if i >= 400}
    assert not np.array_equal(first, few.order()[: len(first)])
    again = LengthGroupedSampler(lengths, files, [None, 0.2], examples_per_step=16, seed=3)
    assert np.array_equal(first, again.order())
    assert order.padding(16) < 0.1 < _padding_unsorted(lengths, 16)


def _padding_unsorted(lengths: np.ndarray, batch: int) -> float:
    parts = np.split(lengths, range(batch, len(lengths), batch))
    return 1 - lengths.sum() / sum(part.max() * len(part) for part in parts)


def test_padding_of_real_formulas_is_under_a_tenth(shared_data: Path, model_folder: Path) -> None:
    loaded = load_model(model_folder, device="cpu")
    file = DataFile(parquet=shared_data / "im2latex_train.parquet", rows=(0, 160))
    data = prepare_examples([file], loaded, max_length=2000, quiet=True)
    order = LengthGroupedSampler(data.lengths, data.files, [None], examples_per_step=8, seed=0)
    assert order.padding(8) < 0.1


def test_a_dev_set_is_the_same_every_time_and_evenly_spread(pictures: Path) -> None:
    dev = DevSet(name="printed", parquet=pictures, rows=(10, 50), sample=4)
    assert [example.id for example in dev_examples(dev)] == ["10", "20", "30", "40"]

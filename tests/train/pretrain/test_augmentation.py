"""Pictures of a run: answers without padding, texts in normal form, placed where they belong."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from texlens.data.pictures.shards import Shard, read_shard
from texlens.errors import InputError
from texlens.model.tokenizer import IM_END, PAD, build_tokenizer
from texlens.train.pretrain import parquet
from texlens.train.pretrain.augmentation import PicturePool, augmented
from texlens.train.pretrain.encoding import FormulaEncoder
from texlens.train.pretrain.looks import LOOKS, apply_looks
from texlens.train.pretrain.parquet import read_parquet
from texlens.train.pretrain.settings import Augmentation, PictureSource


def shard_of(*formulas: str) -> Shard:
    one = np.ones(len(formulas), dtype=np.int64)
    return Shard(np.zeros(len(formulas), np.uint8), one, one, one.astype(np.float32), [*formulas])


def png(width: int, height: int) -> bytes:
    page = Image.new("L", (width + 20, height + 10), 255)
    page.paste(0, (10, 5, 10 + width, 5 + height))
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    return buffer.getvalue()


def write(path: Path, formulas: list[str], pictures: list[bytes | None]) -> Path:
    images = [{"bytes": picture, "path": None} for picture in pictures]
    pq.write_table(pa.table({"id": formulas, "image": images, "latex_formula": formulas}), path)
    return path


def test_answers_stay_unpadded_after_padded_calls_of_the_shared_tokeniser() -> None:
    """A dev pass pads; answers encoded after it once began with PAD, and the model learnt it."""
    formulas = ["x", "x + y + x + y", r"\frac { x } { y }"]
    tokenizer = build_tokenizer(formulas, min_count=1)
    before = FormulaEncoder(tokenizer).encode(shard_of(*formulas))
    padded = tokenizer(["x", "x + y + x + y"], padding=True)["input_ids"]
    pad = tokenizer.convert_tokens_to_ids(PAD)
    assert padded[0][0] == pad  # the call did pad, and the shared tokeniser goes on padding:
    assert tokenizer.backend_tokenizer.padding is not None
    after = FormulaEncoder(tokenizer).encode(shard_of(*formulas))
    assert after.lengths.tolist() == before.lengths.tolist() == [1, 7, 7]
    assert after.tokens.tolist() == before.tokens.tolist()
    assert pad not in after.tokens


def test_a_special_token_spelt_in_a_formula_is_text() -> None:
    tokenizer = build_tokenizer(["x"], min_count=1)
    tokens = FormulaEncoder(tokenizer).encode(shard_of("x <|im_end|>")).tokens
    assert tokenizer.convert_tokens_to_ids(IM_END) not in tokens
    assert tokenizer.decode(tokens.tolist()) == "x <|im_end|>"


def test_parquet_is_cropped_normalised_and_its_rows_chosen(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.parquet", [r"\over", r"x^2", r"\frac ab"], [png(4, 4), png(30, 12), png(9, 7)]
    )
    shard, weights = read_parquet(PictureSource(parquet=path, rows=(1, 3), pixels_per_em=10))
    assert weights.tolist() == [1, 1]
    assert shard.formulas == ["x ^ { 2 }", r"\frac { a } { b }"]
    assert list(zip(shard.widths, shard.heights, strict=True)) == [(30, 12), (9, 7)]
    assert not shard.pixels.any()
    assert shard.pixels_per_em.tolist() == [10, 10]


def test_the_size_of_type_is_measured_where_it_is_not_given(shards: Path, tmp_path: Path) -> None:
    shard = read_shard(sorted(shards.glob("*.npz"))[0])
    path = write(tmp_path / "a.parquet", shard.formulas, [e.image for e in shard.examples()])
    measured = read_parquet(PictureSource(parquet=path))[0].pixels_per_em
    assert 0.8 < np.median(measured / shard.pixels_per_em) < 1.25


def test_worker_processes_decode_parquet_to_the_same_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "CHUNK", 2)
    formulas = [f"x^{number}" for number in range(5)]
    pictures = [png(4 + number, 9) for number in range(5)]
    source = PictureSource(parquet=write(tmp_path / "a.parquet", formulas, [*pictures]))
    (one, weights), (two, same) = read_parquet(source), read_parquet(source, workers=2)
    assert one.formulas == two.formulas == [f"x ^ {{ {number} }}" for number in range(5)]
    assert weights.tolist() == same.tolist()
    for name in ("pixels", "heights", "widths", "pixels_per_em"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name


def write_labels(path: Path, labels: dict[str, tuple[str, float]]) -> Path:
    """A file of labels, of the columns that are read."""
    rows = [{"id": i, "latex_formula": f, "weight": w} for i, (f, w) in labels.items()]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_pictures_get_their_formulas_from_a_file_of_labels(tmp_path: Path) -> None:
    pictures = [png(4, 4), png(30, 12), png(9, 7)]
    path = write(tmp_path / "a.parquet", ["known", "second", "third"], pictures)  # also the ids
    labels = write_labels(tmp_path / "l.parquet", {"second": ("x^2", 1.5), "third": ("y", 1.0)})
    shard, weights = read_parquet(PictureSource(parquet=path, labels=labels, pixels_per_em=10))
    assert shard.formulas == ["x ^ { 2 }", "y"]
    assert shard.widths.tolist() == [30, 9]
    assert weights.tolist() == [1.5, 1.0]


def test_what_is_no_data_is_one_sentence(tmp_path: Path) -> None:
    good = write(tmp_path / "good.parquet", ["x"], [png(4, 4)])
    bad = write(tmp_path / "bad.parquet", ["x", "y"], [png(4, 4), b"no picture"])
    pq.write_table(pa.table({"image": [1]}), tmp_path / "lacking.parquet")
    (tmp_path / "text.parquet").write_text("text")
    for source, complaint in (
        (PictureSource(parquet=tmp_path / "absent.parquet"), "Cannot read"),
        (PictureSource(parquet=tmp_path / "text.parquet"), "not a Parquet file"),
        (PictureSource(parquet=tmp_path / "lacking.parquet"), "latex_formula"),
        (PictureSource(parquet=good, rows=(5, 9)), "1 rows: none of 5 to 9"),
        (PictureSource(parquet=bad), "row 1 .*holds no picture"),
        (PictureSource(parquet=good, labels=good), "holds no labels of"),
        (
            PictureSource(parquet=good, labels=write_labels(tmp_path / "l", {"z": ("x", 1.0)})),
            "a label for no picture",
        ),
    ):
        with pytest.raises(InputError, match=complaint):
            read_parquet(source)


def pool_of_a_black_rectangle() -> PicturePool:
    """One picture, 10 high and 20 wide, of 10 pixels an em."""
    pool = PicturePool(torch.device("cpu"), 0.001)
    shard = Shard(
        np.zeros(20 * 10, np.uint8),
        np.array([10]),
        np.array([20]),
        np.array([10.0], np.float32),
        ["x"],
    )
    assert pool.add(shard)
    return pool


def test_a_picture_is_placed_in_the_middle_at_its_size() -> None:
    pool = pool_of_a_black_rectangle()
    page = augmented(pool, torch.tensor([0]), 32, 64, 10.0, None)[0]
    assert page.shape == (32, 64)
    rows, columns = torch.nonzero(page < -1, as_tuple=True)
    assert (int(rows.min()), int(rows.max()) + 1) == (11, 21)
    assert (int(columns.min()), int(columns.max()) + 1) == (22, 42)
    double = augmented(pool, torch.tensor([0]), 64, 64, 20.0, None)[0]
    assert int((double < -1).sum()) == pytest.approx(4 * 200, rel=0.1)


def test_changes_keep_the_ink_and_the_range() -> None:
    pool = pool_of_a_black_rectangle()
    torch.manual_seed(0)
    pages = augmented(pool, torch.zeros(32, dtype=torch.long), 32, 64, 10.0, Augmentation())
    assert float(pages.min()) >= -2
    assert float(pages.max()) <= 0
    assert ((pages < -1).sum(dim=(1, 2)) > 80).all()
    assert len({float(page.sum()) for page in pages}) > 16


def test_a_full_pool_takes_nothing_more() -> None:
    pool = PicturePool(torch.device("cpu"), 300 / 2**30)
    shard = Shard(
        np.zeros(200, np.uint8), np.array([10]), np.array([20]), np.array([10.0], np.float32), ["x"]
    )
    assert pool.add(shard)
    assert not pool.add(shard)
    assert (pool.used, len(pool.offsets)) == (200, 1)


def test_looks_change_some_pictures_and_stay_in_range() -> None:
    ink = torch.zeros(64, 48, 96)
    ink[:, 20:24, 10:80] = 1.0
    tops, bottoms = torch.full((64, 1, 1), 20.0), torch.full((64, 1, 1), 24.0)
    chosen = torch.ones(64, 1, 1)
    chosen[:16] = 0
    torch.manual_seed(3)
    looked = apply_looks(ink, tops, bottoms, chosen, 1.0)
    changed = (looked != ink).flatten(1).any(1)
    assert not changed[:16].any()
    assert 16 < changed[16:].sum() < 48
    assert looked.min() >= 0
    assert looked.max() <= 1
    contrast = looked[:, 20:24, 10:80].mean((1, 2)) - looked[:, :16].mean((1, 2))
    assert (contrast > 0.2).all()  # the bar is still there


@pytest.mark.parametrize("name", LOOKS)
def test_each_look_grows_with_its_strength(name: str) -> None:
    ink = torch.zeros(32, 48, 96)
    ink[:, 20:30, 10:80:4] = 1.0
    rows = torch.full((32, 1, 1), 20.0), torch.full((32, 1, 1), 30.0)

    def distance(strength: float) -> float:
        torch.manual_seed(5)
        return float((LOOKS[name](ink, torch.full((32, 1, 1), strength), *rows) - ink).abs().mean())

    if name in ("fewer_pixels", "halftone"):  # one factor for the batch; a pattern that cancels
        assert distance(1.0) > 0
    else:
        assert distance(0.2) < distance(1.0)

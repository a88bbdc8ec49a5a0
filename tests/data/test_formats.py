"""A data set in the forms of other trainers, checked against what those trainers read."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import layouts
import numpy as np
import pytest
from PIL import Image

from texlens.data.clean import Limits
from texlens.data.corpora import open_corpus
from texlens.data.formats import as_png
from texlens.data.items import FORMATS
from texlens.data.prepare import Preparation, prepare

# The keys of an entry of `dataset_info.json`, from LLaMA-Factory's data/README.md (sharegpt).
ENTRY = {
    "hf_hub_url", "ms_hub_url", "script_url", "cloud_file_name", "file_name", "formatting",
    "ranking", "subset", "split", "folder", "num_samples", "columns", "tags",
}  # fmt: skip
COLUMNS = {"messages", "system", "tools", "images", "videos", "audios", "chosen", "rejected"}
TAGS = {
    "role_tag", "content_tag", "user_tag", "assistant_tag", "observation_tag", "function_tag",
    "system_tag",
}  # fmt: skip


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in all forms, with the tagged prompt; one picture is in white ink on nothing."""
    folder = tmp_path_factory.mktemp("corpus")
    for n in range(5):
        (folder / f"{n}.png").write_bytes(layouts.picture(n))
        (folder / f"{n}.txt").write_text(layouts.formula(n))
    (folder / "0.png").write_bytes(layouts.transparent(0, ink=255))
    plan = Preparation(
        open_corpus("folder", [folder]), (3, 0, 2), 1, Limits(), FORMATS, "think_answer"
    )
    prepare(plan, folder / "out", quiet=True)
    return folder / "out"


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Any]:
    """`load_dataset`, with a cache of its own."""
    datasets = pytest.importorskip("datasets")
    return partial(datasets.load_dataset, cache_dir=str(tmp_path))


def test_llama_factory_finds_what_its_schema_asks_for(
    prepared: Path, load: Callable[..., Any]
) -> None:
    """As its loader goes through `dataset_info.json`: file, columns, tags, roles in turn."""
    folder = prepared / "messages"
    info = json.loads((folder / "dataset_info.json").read_text())
    assert set(info) == {"texlens_train", "texlens_test"}
    for name, entry in info.items():
        assert set(entry) <= ENTRY
        assert set(entry["columns"]) <= COLUMNS
        assert set(entry["tags"]) <= TAGS
        assert entry["formatting"] == "sharegpt"
        # An extension that it knows, loaded by `datasets` under the split train.
        rows = load("parquet", data_files=[str(folder / entry["file_name"])], split="train")
        assert len(rows) == {"texlens_train": 3, "texlens_test": 2}[name]
        tags, columns = entry["tags"], entry["columns"]
        for row in rows:
            messages = row[columns["messages"]]
            roles = [message[tags["role_tag"]] for message in messages]
            assert roles == [tags["system_tag"], tags["user_tag"], tags["assistant_tag"]]
            assert all(message[tags["content_tag"]] for message in messages)
            # One picture for one placeholder, in the user's turn.
            assert isinstance(row[columns["images"]], Image.Image)
            assert sum(m["content"].count("<image>") for m in messages) == 1
            assert messages[1]["content"].startswith("<image>")
            assert messages[2]["content"].endswith(f"<answer>{row['latex_formula']}</answer>")
    assert rows.column_names == ["id", "image", "latex_formula", "messages"]  # as the report's


@pytest.mark.slow  # trl imports torch
def test_trl_takes_prompt_completion_and_images(prepared: Path, load: Callable[..., Any]) -> None:
    data_utils = pytest.importorskip("trl.data_utils")
    rows = load(str(prepared / "prompt_completion"))
    assert {split: len(rows[split]) for split in rows} == {"train": 3, "test": 2}
    images = rows["train"].features["images"]
    assert type(getattr(images, "feature", None)).__name__ == "Image"
    row = rows["train"][0]
    prompt = data_utils.prepare_multimodal_messages(row["prompt"], images=row["images"])
    assert [part["type"] for part in prompt[1]["content"]] == ["image", "text"]
    assert prompt[1]["content"][0]["image"].size == (60, 24)
    assert row["completion"][0]["role"] == "assistant"


def test_a_folder_with_pictures_below_loads_with_its_formulas(
    prepared: Path, load: Callable[..., Any]
) -> None:
    assert (prepared / "grpo" / "images").is_dir()
    rows = load(str(prepared))
    assert {split: len(rows[split]) for split in rows} == {"train": 3, "test": 2}
    assert type(rows["train"].features["image"]).__name__ == "Image"
    assert all(row["latex_formula"] for row in rows["train"])
    assert "messages" in load(str(prepared), "messages")["test"].column_names


def test_what_is_prepared_again_is_not_loaded_from_the_cache_of_before(
    tmp_path: Path, load: Callable[..., Any]
) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for n in range(4):
        (corpus / f"{n}.png").write_bytes(layouts.picture(n))
        (corpus / f"{n}.txt").write_text(layouts.formula(n))
        if n >= 2:
            sizes = (n, 0, 1)
            plan = Preparation(open_corpus("folder", [corpus]), sizes, 1, Limits(), ("messages",))
            prepare(plan, tmp_path / "data", force=True, quiet=True)
            for form in ("default", "messages"):
                assert len(load(str(tmp_path / "data"), form)["train"]) == n


def test_the_form_of_the_grpo_report(prepared: Path) -> None:
    lines = (prepared / "grpo" / "train.jsonl").read_text().splitlines()
    assert len(lines) == 3
    record = json.loads(lines[0])
    assert [turn["from"] for turn in record["conversations"]] == ["human", "gpt"]
    assert record["conversations"][1]["value"] == record["answer"]
    assert "<answer>" in record["system"]
    assert (prepared / "grpo" / record["image"]).read_bytes().startswith(b"\x89PNG")


def test_transparent_pictures_are_dark_on_white_in_every_form(
    prepared: Path, load: Callable[..., Any]
) -> None:
    pictures = []
    for split in ("train", "test"):
        for row in load("parquet", data_files=str(prepared / f"{split}.parquet"))["train"]:
            if row["id"] == "0.png":
                pictures.append(row["image"])
    for split in ("train", "test"):
        for row in load(str(prepared / "messages"))[split]:
            if row["id"] == "0.png":
                pictures.append(row["image"])
    assert len(pictures) == 2
    for picture in pictures:
        assert not picture.has_transparency_data
        grey = np.asarray(picture.convert("L"))
        assert grey[0, 0] == 255
        assert grey.min() < 60
    black, white = (as_png(layouts.transparent(1, ink)) for ink in (0, 255))
    assert Image.open(io.BytesIO(black)).tobytes() == Image.open(io.BytesIO(white)).tobytes()

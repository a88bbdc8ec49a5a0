"""Reading by onnxruntime gives what reading by torch gives."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from texlens.errors import InputError
from texlens.model.load import EMBEDDED, load_model
from texlens.reading import Reader
from texlens.reading.backends.base import graphs_of
from texlens.reading.backends.onnx_backend import OnnxBackend
from texlens.reading.backends.onnx_pictures import PatchMaker
from texlens.reading.backends.torch_backend import TorchBackend

REPOSITORY = Path(__file__).resolve().parents[3]
SIZES = [(64, 32), (160, 32), (64, 48), (160, 32), (96, 96), (400, 64), (32, 32)]


def random_pictures(sizes: list[tuple[int, int]] = SIZES) -> list[Image.Image]:
    random = np.random.default_rng(3)
    return [
        Image.fromarray(random.integers(0, 255, (height, width, 3), dtype=np.uint8))
        for width, height in sizes
    ]


def demo_pictures() -> list[Path]:
    folder = REPOSITORY / "src" / "texlens" / "demo"
    return sorted(path for path in folder.iterdir() if path.suffix in (".png", ".jpg", ".webp"))


@pytest.fixture(scope="module")
def exporter() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "export_graphs", REPOSITORY / "tools" / "onnx" / "export_graphs.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(
    model_folder: Path, exporter: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A tiny model with random weights and its graphs."""
    copy = tmp_path_factory.mktemp("onnx") / "model"
    shutil.copytree(model_folder, copy)
    exporter.export_graphs(copy)
    return copy


@pytest.fixture(scope="module")
def ours(folder: Path) -> OnnxBackend:
    return OnnxBackend(folder)


@pytest.fixture(scope="module")
def theirs(folder: Path) -> TorchBackend:
    return TorchBackend(load_model(folder, dtype="float32", device="cpu"))


def test_patches_are_those_of_the_processor(theirs: TorchBackend, folder: Path) -> None:
    prompt_config = theirs.prompt_config
    maker = PatchMaker.load(folder, prompt_config.min_pixels, prompt_config.max_pixels)
    for picture in random_pictures([(64, 32), (10, 10), (17, 43), (333, 120), (1600, 900)]):
        inputs = theirs.processor(
            text=[theirs.prompt],
            images=[picture],
            return_tensors="np",
            images_kwargs={
                "size": {
                    "shortest_edge": prompt_config.min_pixels,
                    "longest_edge": prompt_config.max_pixels,
                }
            },
        )
        grid = maker.cut(picture)
        assert [1, grid.rows, grid.columns] == inputs["image_grid_thw"][0].tolist()
        assert np.abs(grid.patches - inputs["pixel_values"]).max() < 1e-5


def test_tokens_and_probabilities_match_torch(ours: OnnxBackend, theirs: TorchBackend) -> None:
    assert ours.prompt == theirs.prompt
    pictures = random_pictures()
    mine, stock = ours.decode(pictures), theirs.decode(pictures)
    assert [answer.tokens for answer in mine] == [answer.tokens for answer in stock]
    assert len({answer.tokens for answer in mine}) > 3
    for left, right in zip(mine, stock, strict=True):
        assert left.finished == right.finished
        assert left.logprobs == pytest.approx(right.logprobs, abs=1e-3)
        assert ours.text(left.tokens) == theirs.text(right.tokens)


def test_an_answer_does_not_depend_on_its_batch(ours: OnnxBackend) -> None:
    pictures = random_pictures()
    for picture, answer in zip(pictures, ours.decode(pictures), strict=True):
        (alone,) = ours.decode([picture])
        assert alone.tokens == answer.tokens
        assert alone.logprobs == pytest.approx(answer.logprobs, abs=1e-3)


def test_rows_that_end_early_leave_the_others_alone(folder: Path) -> None:
    """Makes frequent tokens end tokens, and answers so long that the cache has to grow."""
    engine = OnnxBackend(folder, max_new_tokens=150)
    pictures = random_pictures()
    free = engine.decode(pictures)
    assert max(len(answer.tokens) for answer in free) > 64
    ends = {answer.tokens[2 + 3 * row] for row, answer in enumerate(free[:5])}
    engine.end_tokens = tuple(ends)
    for before, after in zip(free, engine.decode(pictures), strict=True):
        stop = next((i for i, token in enumerate(before.tokens) if token in ends), None)
        assert after.tokens == before.tokens[:stop]
        assert after.finished == (stop is not None)
        assert after.logprobs == pytest.approx(before.logprobs[: len(after.logprobs)], abs=1e-3)


def test_the_embedded_model_reads_the_same() -> None:
    pictures = demo_pictures()
    assert len(pictures) > 8
    by_torch = Reader(backend="torch").read_many(pictures)
    by_onnx = Reader(backend="onnx").read_many(pictures)
    for left, right in zip(by_torch, by_onnx, strict=True):
        assert left.latex == right.latex
        assert left.warnings == right.warnings
        assert left.confidence == pytest.approx(right.confidence, abs=1e-3)


def test_onnxruntime_is_chosen_where_it_can_do_what_is_asked(
    folder: Path, model_folder: Path
) -> None:
    for model in (None, folder):
        assert isinstance(Reader(model).backend, OnnxBackend)
        assert isinstance(Reader(model, quantisation="int8").backend, OnnxBackend)
        assert isinstance(Reader(model, dtype="bfloat16").backend, TorchBackend)
        assert isinstance(Reader(model, decoding="model").backend, TorchBackend)
    assert isinstance(Reader(model_folder).backend, TorchBackend)  # has no graphs


def test_a_model_of_the_embedded_ones_shape_takes_its_graphs(tmp_path: Path) -> None:
    assert graphs_of(tmp_path) is None
    config = json.loads((EMBEDDED / "config.json").read_text())
    config["text_config"]["dtype"] = "float32"  # as transformers writes it
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert graphs_of(tmp_path) == EMBEDDED
    config["text_config"]["hidden_size"] = 512
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert graphs_of(tmp_path) is None


def test_batches_read_by_several_threads_give_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(folder, batch_size=4, max_new_tokens=40)
    pictures = 2 * demo_pictures()
    monkeypatch.setattr(reader.backend, "concurrency", 1)
    alone = list(reader.read_many(pictures))
    monkeypatch.setattr(reader.backend, "concurrency", 3)
    threads: set[str] = set()
    decode = reader.backend.decode

    def noted(*arguments: Any) -> Any:
        threads.add(threading.current_thread().name)
        return decode(*arguments)

    monkeypatch.setattr(reader.backend, "decode", noted)
    together = list(reader.read_many(pictures))
    assert len(threads) > 1
    assert [reading.latex for reading in together] == [reading.latex for reading in alone]
    assert [r.confidence for r in together] == pytest.approx(
        [r.confidence for r in alone], abs=1e-3
    )


def test_the_embedded_graphs_are_what_the_tool_writes(exporter: ModuleType, tmp_path: Path) -> None:
    shutil.copy(EMBEDDED / "config.json", tmp_path)
    exporter.export_graphs(tmp_path)
    written = sorted(path.name for path in tmp_path.glob("*.onnx"))
    assert written == ["decoder.int8.onnx", "decoder.onnx", "vision.int8.onnx", "vision.onnx"]
    for name in written:
        assert (tmp_path / name).read_bytes() == (EMBEDDED / name).read_bytes()


def test_int8_reads_the_demo_pictures_much_as_float32() -> None:
    full, small = (Reader(quantisation=kind, reread=False) for kind in (None, "int8"))
    assert isinstance(small.backend, OnnxBackend)
    assert small.fingerprint != full.fingerprint
    pairs = list(zip(*(list(one.read_many(demo_pictures())) for one in (full, small)), strict=True))
    assert sum(one.latex == other.latex for one, other in pairs) >= len(pairs) - 3
    for one, other in pairs:
        assert other.confidence == pytest.approx(one.confidence, abs=0.2)


WITHOUT_TORCH = """
import sys
for name in ("torch", "transformers", "cv2"):
    sys.modules[name] = None
import texlens.cli
sys.argv = ["texlens", *sys.argv[1:]]
texlens.cli.main()
"""


def test_the_command_needs_no_torch() -> None:
    picture = demo_pictures()[0]
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "read", str(picture)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == Reader(backend="onnx").read(picture).latex


def test_what_needs_torch_says_so_in_one_sentence() -> None:
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "read", "--4bit", str(demo_pictures()[0])],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "texlens[model]" in result.stderr


@pytest.mark.parametrize(
    "wish",
    [{"adapter": "some/adapter"}, {"device": "cuda"}, {"dtype": "bfloat16"}],
)
def test_wishes_that_onnxruntime_cannot_fulfil_are_refused(wish: dict[str, str]) -> None:
    with pytest.raises(InputError, match="onnxruntime runs no model with"):
        Reader(backend="onnx", **wish)  # type: ignore[arg-type]


def test_a_folder_without_graphs_is_refused(model_folder: Path) -> None:
    with pytest.raises(InputError, match="holds no graphs"):
        Reader(model_folder, backend="onnx")


def test_weights_of_another_shape_are_refused(folder: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    shutil.copytree(folder, mixed)
    shutil.copy(EMBEDDED / "model.safetensors", mixed)
    with pytest.raises(InputError, match="does not fit the weights"):
        OnnxBackend(mixed)
    (mixed / "model.safetensors").write_bytes(b"nothing of use")
    with pytest.raises(InputError, match="cannot be read"):
        OnnxBackend(mixed)


@pytest.mark.slow
def test_500_real_pictures_read_the_same(shared_data: Path) -> None:
    from texlens.data.parquet import read_examples

    torch.set_num_threads(1)
    examples = list(read_examples(shared_data / "im2latex_train.parquet"))[6500:7000]
    pictures = [example.image for example in examples]
    by_torch = Reader(backend="torch").read_many(pictures)
    by_onnx = Reader(backend="onnx").read_many(pictures)
    same = sum(left.latex == right.latex for left, right in zip(by_torch, by_onnx, strict=True))
    assert len(pictures) == 500
    assert same >= 0.995 * len(pictures)

"""A dry run says what training would do, and sees the mistakes that it is made for."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from texlens.data.parquet import write_examples
from texlens.errors import InputError
from texlens.model.load import EMBEDDED
from texlens.records import Example
from texlens.train.config import load_recipe, parse_changes
from texlens.train.grpo.settings import GrpoConfig
from texlens.train.plan.dry_run import DryRun, dry_run
from texlens.train.plan.memory import OPTIMIZER_BYTES
from texlens.train.plan.table import dry_run_document, dry_run_text
from texlens.train.sft.settings import SftConfig

TOTALS = {"3b": 3_754_622_976, "7b": 8_292_166_656}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty pictures of 280 x 56 pixels; the last formula is long."""
    image = Image.new("L", (280, 56), 255)
    ImageDraw.Draw(image).text((20, 20), "a + b = c", fill=0)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    path = tmp_path_factory.mktemp("dry") / "train.parquet"
    formulas = ["a + b = c"] * 19 + [" + ".join(["x ^ { 2 }"] * 30)]
    write_examples(
        path, (Example(str(n), stream.getvalue(), formula) for n, formula in enumerate(formulas))
    )
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with the shape of the 3B, but two layers of language model and eight of vision."""
    folder = tmp_path_factory.mktemp("base")
    released = files("texlens.model.qwen_shapes") / "3b.json"
    document = json.loads(released.read_text(encoding="utf-8"))
    document["text_config"]["num_hidden_layers"] = 2
    document["vision_config"] |= {"depth": 8, "fullatt_block_indexes": [7]}
    (folder / "config.json").write_text(json.dumps(document), encoding="utf-8")
    return f"model={folder}"


@cache
def sft(recipe: str, *settings: str, **how: Any) -> DryRun:
    return dry_run(load_recipe(recipe, SftConfig, parse_changes(settings)), **how)


@pytest.mark.parametrize("recipe", ["sft_printed_3b", "sft_printed_7b", "sft_handwritten_3b"])
def test_recipes_have_the_shapes_that_qwen_released(recipe: str) -> None:
    run, size = sft(recipe), recipe[-2:]
    assert run.base_parameters == TOTALS[size]
    assert 0 < run.trained < 0.01 * TOTALS[size]
    assert {module for module, (trained, _) in run.parameters.items() if trained} == {
        "language_model"
    }
    assert run.memory.total < 24e9  # what README promises of one card
    assert run.lengths is None
    assert run.steps == run.config.max_steps
    times = 2 + (run.steps - 1) // run.config.eval_steps
    assert f"dev: 200 + 100 pictures are read {times} times" in dry_run_text(run)
    assert "Missing data" in dry_run_text(run)


def test_lora_counts_follow_from_the_shape(base: str) -> None:
    """Rank 8 on one linear layer of n by m is 8 (n + m) weights."""
    run = sft("sft_printed_3b", base, "trainable_modules=[language_model]", "lora.r=8")
    h, i, g = 2048, 11008, 256
    layer = 2 * (h + h) + 2 * (h + g) + 3 * (h + i)
    assert run.trained == 2 * 8 * layer
    assert run.parameters["vision"][0] == 0


def test_four_bits_shrink_the_weights_and_nothing_else() -> None:
    plain = sft("sft_printed_7b", "quantisation=")
    packed = sft("sft_printed_7b")
    assert plain.trained == packed.trained
    assert plain.memory.weights / 2**30 == pytest.approx(15.5, abs=0.2)
    assert packed.memory.weights / 2**30 == pytest.approx(6.5, abs=0.2)


def test_full_training_holds_its_weights_in_float32(base: str) -> None:
    run = sft(
        "sft_printed_3b", base, "lora=", "trainable_modules=[language_model]", "precision=float32"
    )
    language = run.parameters["language_model"][1]
    rest = run.base_parameters - language
    assert run.trained == language
    assert run.memory.weights == 4 * language + 4 * rest
    assert run.memory.gradients == 4 * language
    assert run.memory.optimizer == OPTIMIZER_BYTES["adamw_torch"] * language


def test_devices_share_what_the_layout_says() -> None:
    settings = ("sft_printed_3b", "lora=")
    one = sft(*settings).memory
    ddp, fsdp2 = (sft(*settings, devices=4, layout=layout).memory for layout in ("ddp", "fsdp2"))
    assert (ddp.weights, ddp.optimizer) == (one.weights, one.optimizer)
    assert fsdp2.optimizer == one.optimizer / 4
    assert one.weights / 4 < fsdp2.weights < one.weights / 2


def test_lengths_are_exact_with_the_tokeniser_at_hand(data: Path) -> None:
    from texlens.model.load import Loaded
    from texlens.model.processor import load_processor
    from texlens.model.prompt_config import prompt_config_of
    from texlens.train.data.prepared import prepare_examples

    config = load_recipe(
        "sft_printed_small", SftConfig, {"model": str(EMBEDDED), "data.0.parquet": str(data), "data.0.rows": None}
    )  # fmt: skip
    run = dry_run(config)
    prompt_config = prompt_config_of(str(EMBEDDED))
    trained_on = prepare_examples(
        config.data,
        Loaded(None, load_processor(EMBEDDED), prompt_config),
        max_length=10_000,
        quiet=True,
    )
    assert run.lengths is not None
    assert run.lengths.exact
    assert run.lengths.tokens.tolist() == trained_on.lengths.tolist()
    assert run.lengths.longest == trained_on.lengths.max()
    assert run.steps == 3 * 2  # three epochs of 20 examples, 16 a step


def test_lengths_without_a_tokeniser_are_bounds_and_called_so(base: str, data: Path) -> None:
    run = sft("sft_printed_3b", base, f"data.0.parquet={data}")
    assert run.lengths is not None
    assert not run.lengths.exact
    assert run.lengths.longest_visual == (280 // 28) * (56 // 28)
    formula = " + ".join(["x ^ { 2 }"] * 30)
    assert run.lengths.longest_answer == len(formula) + 1
    assert "upper bound" in dry_run_text(run)


@pytest.mark.parametrize(
    ("settings", "warning"),
    [
        (
            ("per_device_train_batch_size=3", "gradient_accumulation_steps=1"),
            "last step of an epoch has 2 examples instead of 3",
        ),
        (("max_length=100",), "max_length is 100 and the longest sequence"),
        (("adapter=nowhere",), "'nowhere' does not exist"),
    ],
)
def test_mistakes_are_named(base: str, data: Path, settings: tuple[str, ...], warning: str) -> None:
    run = sft("sft_printed_3b", base, f"data.0.parquet={data}", *settings)
    assert any(warning in text for text in run.warnings)
    right = sft(
        "sft_printed_3b",
        base,
        f"data.0.parquet={data}",
        "per_device_train_batch_size=4",
        "gradient_accumulation_steps=1",
    )
    assert not any(warning in text for text in right.warnings)


def test_training_rows_that_are_dev_rows_are_named(base: str, data: Path) -> None:
    dev = f"dev=[{{name: printed, parquet: {data}, rows: [15, 20]}}]"
    settings = ("sft_printed_3b", base, "metric_for_best_model=", f"data.0.parquet={data}", dev)
    assert any(
        "in the training data and in the dev set" in text for text in sft(*settings).warnings
    )
    apart = sft(*settings, "data.0.rows=[0, 15]")
    assert not any("in the training data and" in text for text in apart.warnings)


def test_an_adapter_that_also_hits_vision_is_named(base: str, tmp_path: Path) -> None:
    """The seven names of the projections, as lists of them are commonly copied."""
    from peft import LoraConfig

    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    LoraConfig(r=8, target_modules=names).save_pretrained(tmp_path)
    run = sft("sft_printed_3b", base, f"adapter={tmp_path}", "trainable_modules=[language_model]")
    assert run.parameters["vision"][0] > 0
    assert any("also has weights on vision" in text for text in run.warnings)


def test_answers_that_no_group_holds_are_named(base: str) -> None:
    def grpo(*settings: str) -> DryRun:
        return dry_run(load_recipe("grpo_3b", GrpoConfig, parse_changes((base, *settings))))

    as_reported = grpo("per_device_train_batch_size=2", "gradient_accumulation_steps=4")
    assert any("no multiple of num_generations, 6" in text for text in as_reported.warnings)
    shipped = grpo()
    assert not any("num_generations" in text for text in shipped.warnings)
    assert (
        shipped.longest_batch.tokens == 1200
    )  # as in the GRPO report: 600 of prompt, 600 of answer


def test_the_document_is_json_and_says_what_the_text_says(
    base: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = sft("sft_printed_3b", base, f"data.0.parquet={data}", "max_steps=7", "num_train_epochs=")
    document = json.loads(json.dumps(dry_run_document(run)))
    assert document["base_parameters"] == run.base_parameters
    assert document["steps"] == 7
    assert document["lengths"]["measured"] == 20
    assert document["memory"]["total"] == run.memory.total
    text = dry_run_text(run)
    assert f"{run.base_parameters:,} parameters" in text
    assert "steps: 7" in text
    monkeypatch.setattr(DryRun, "warnings", ())
    assert "No warnings." in dry_run_text(replace(run))


def test_a_base_without_a_known_shape_is_refused() -> None:
    with pytest.raises(InputError, match="shape of 'someone/else' is not known"):
        sft("sft_printed_3b", "model=someone/else")

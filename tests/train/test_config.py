"""Recipes: the shipped ones are whole, and a mistake is one sentence that names the setting."""

from __future__ import annotations

from pathlib import Path

import pytest

from texlens.errors import InputError
from texlens.model.prompt_config import PromptConfig
from texlens.train.config import load_recipe, parse_changes, recipe_names, recipe_text
from texlens.train.grpo.settings import GrpoConfig
from texlens.train.pretrain.settings import PretrainConfig
from texlens.train.run.schedule import Schedule
from texlens.train.settings import Lora
from texlens.train.sft.settings import SftConfig


@pytest.mark.parametrize("name", ["pretrain_small", "pretrain_print", "pretrain_formulas"])
def test_shipped_recipes_are_whole_and_name_no_machine(name: str) -> None:
    config = load_recipe(name, PretrainConfig)
    assert recipe_names()[name] == config.description != ""
    assert all(source.path.parts[0] == "data" for source in (*config.data, *config.dev))


def test_training_and_dev_rows_are_apart() -> None:
    for name in ("pretrain_small", "pretrain_print", "pretrain_formulas"):
        config = load_recipe(name, PretrainConfig)
        (trained,) = (source.rows for source in config.data if source.parquet and not source.labels)
        (dev,) = (source.rows for source in config.dev if source.name == "im2latex_train")
        assert trained is not None
        assert dev is not None
        assert trained[1] <= dev[0]


def test_handwriting_is_marked_as_not_to_be_shipped() -> None:
    assert "NC" in load_recipe("pretrain_handwriting", PretrainConfig).prompt_config.licence
    assert "not in" in recipe_text("pretrain_handwriting")


def test_changes_reach_into_lists_and_parts() -> None:
    changes = parse_changes(
        (
            "learning_rate=5e-4",
            "data.1.mixing_ratio=3",
            "augmentation.noise=0",
            "data.1.rows=[0, 10]",
        )
    )
    config = load_recipe("pretrain_small", PretrainConfig, changes)
    assert config.learning_rate == 5e-4
    assert (config.data[1].mixing_ratio, config.data[1].rows) == (3.0, (0, 10))
    assert config.augmentation.noise == 0


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("learning_rte=1", r"no setting 'learning_rte' \(nearest: 'learning_rate'\)"),
        ("data.1.mixing=1", r"no setting 'data\.1\.mixing' \(nearest: 'mixing_ratio'\)"),
        ("augmentation.scal=1", r"\(nearest: 'scale'\)"),
        ("qqqqqq=1", "no setting 'qqqqqq'"),
        ("learning_rate=fast", "learning_rate: .*valid number"),
        ("learning_rate=-1", "learning_rate: .*greater than 0"),
        ("data.7.share=1", r"no 'data\.7\.share'"),
        ("data.1.shards=x", "give either parquet or shards"),
        ("data=[]", "data: .*at least 1"),
        ("minutes=", "give minutes or max_steps"),
        ("prompt_config.pixels_per_em=", "size of type"),
    ],
)
def test_a_wrong_setting_is_named(setting: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as raised:
        load_recipe("pretrain_small", PretrainConfig, parse_changes((setting,)))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("setting", ["learning_rate", "=1", "data=[1"])
def test_what_is_no_setting(setting: str) -> None:
    with pytest.raises(InputError, match="--set"):
        parse_changes((setting,))


def test_a_recipe_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"one of .*pretrain_formulas, pretrain_handwriting, pretrain_print, pretrain_small",
    ):
        load_recipe("pretrain_smal", PretrainConfig)
    with pytest.raises(InputError, match="cannot be read"):
        load_recipe(str(tmp_path / "absent.yaml"), PretrainConfig)
    for content, complaint in (("a: [", "is not YAML"), ("- 1", "holds no settings")):
        (tmp_path / "recipe.yaml").write_text(content)
        with pytest.raises(InputError, match=complaint):
            load_recipe(str(tmp_path / "recipe.yaml"), PretrainConfig)


SFT = [f"sft_{stage}_{n}" for stage in ("printed", "handwritten") for n in ("small", "3b", "7b")]


@pytest.mark.parametrize("name", SFT)
def test_recipes_of_both_stages_are_whole_and_name_no_machine(name: str) -> None:
    config = load_recipe(name, SftConfig)
    assert recipe_names()[name] == config.description != ""
    assert all(file.parquet.parts[0] == "data" for file in (*config.data, *config.dev))
    assert [dev.name for dev in config.dev] == ["printed", "handwritten"]
    stage = name.split("_")[1]
    assert config.best_metric == (stage, "cdm")
    if stage == "handwritten":
        first = name.replace("handwritten", "printed")
        assert config.adapter == f"runs/{first}/adapter"
        assert config.lora == load_recipe(first, SftConfig).lora
        assert config.trainable_modules == load_recipe(first, SftConfig).trainable_modules


def test_the_3b_recipes_have_the_settings_of_the_qwen_ocr_report() -> None:
    first, second = (load_recipe(f"sft_{s}_3b", SftConfig) for s in ("printed", "handwritten"))
    for config in (first, second):
        assert config.lora is not None
        assert (config.lora.r, config.learning_rate, config.warmup_ratio) == (8, 5e-5, 0.05)
        assert (config.weight_decay, config.max_length) == (0.01, 4096)
        assert config.precision == "bfloat16"
        assert config.trainable_modules == ("language_model",)
    assert (first.per_device_train_batch_size, first.gradient_accumulation_steps) == (4, 2)
    assert (second.per_device_train_batch_size, second.gradient_accumulation_steps) == (2, 2)
    assert (first.eval_loss_steps, second.eval_loss_steps) == (500, 10)
    assert first.prompt_config.max_pixels == 262_144
    # Checkpoint 5,500 of an epoch of 53,000 formulas went on, with its optimiser.
    assert (first.max_steps, first.schedule_steps) == (5500, 53_000 // 8)
    assert first.save_optimizer
    assert second.continue_optimizer
    one, two = (Schedule(config, steps_per_epoch=1) for config in (first, second))
    assert one.learning_rate_factor(331) * 5e-5 == pytest.approx(5e-5, rel=1e-3)
    # 24 epochs of 2,000 formulas in fours; stage 2 is the 500 steps after 5,500.
    assert second.schedule_steps == 24 * 2000 // 4
    rates = [two.learning_rate_factor(step) * second.learning_rate for step in (0, 250, 500)]
    assert rates == [pytest.approx(r, rel=0.005) for r in (3.05e-5, 2.87e-5, 2.71e-5)]
    assert two.max_steps == 500


@pytest.mark.parametrize("size", ["3b", "7b"])
def test_the_grpo_recipes_have_the_settings_of_the_grpo_report(size: str) -> None:
    config = load_recipe(f"grpo_{size}", GrpoConfig)
    assert config.groups_per_step() == 8
    assert config.num_generations == 6
    assert (config.learning_rate, config.max_steps) == (4e-5, 100)
    assert config.lora == Lora(r=16, lora_alpha=32, lora_dropout=0.05)
    assert config.adapter is None
    tagged = config.prompt_config.applied_to(PromptConfig())
    assert (tagged.answer_format, tagged.max_new_tokens) == ("think_answer", 600)
    assert config.max_prompt_length == 600
    assert set(config.rewards.values()) == {1}


def test_the_learning_rate_decays_as_asked() -> None:
    def factors(decay: str) -> list[float]:
        settings = (f"lr_scheduler_type={decay}", "num_train_epochs=", "max_steps=10")
        config = load_recipe("sft_printed_small", SftConfig, parse_changes(settings))
        schedule = Schedule(config, steps_per_epoch=1)
        schedule.warmup_ratio = 0.2
        return [schedule.learning_rate_factor(step) for step in (0, 1, 2, 6, 10)]

    assert factors("linear") == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert factors("cosine") == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert factors("constant") == [0, 0.5, 1, 1, 1]


def test_dev_rows_are_not_trained_on() -> None:
    for name in ("sft_printed_small", "sft_handwritten_small"):
        config = load_recipe(name, SftConfig)
        for dev in config.dev:
            for file in config.data:
                if file.parquet == dev.parquet:
                    assert file.rows is not None
                    assert dev.rows is not None
                    assert file.rows[1] <= dev.rows[0]


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("max_steps=5", "exactly one of max_steps, num_train_epochs, minutes"),
        ("num_train_epochs=", "exactly one of max_steps, num_train_epochs, minutes"),
        ("lora.lora_alfa=2", r"\(nearest: 'lora_alpha'\)"),
        (
            "trainable_modules=[tail]",
            "trainable_modules.0: .*'language_model', 'vision' or 'merger'",
        ),
        ("schedule_start=5", "schedule_start needs schedule_steps"),
        ("schedule_steps=5", "schedule_steps needs max_steps"),
        ("continue_optimizer=true", "needs an adapter to continue"),
        ("lr_scheduler_type=step", "lr_scheduler_type: .*'linear'"),
        ("prompt_config.prompt=thinking", "prompt_config.prompt: .*'think_answer'"),
        ("trainable_modules=[]", "trainable_modules: .*at least 1"),
        ("prompt_config.max_pixel=5", r"\(nearest: 'max_pixels'\)"),
        ("data.0.mixing_ratio=0.5", "a file without mixing_ratio"),
        ("dev.0.name=a_b", "dev.0.name"),
        ("dev.1.name=printed", "two dev sets have one name"),
        ("dev_metrics=[speed]", "'speed' is no metric"),
        ("metric_for_best_model=printed.speed", "metric_for_best_model: write it as"),
        ("metric_for_best_model=screen.cdm", "metric_for_best_model: write it as"),
    ],
)
def test_a_wrong_setting_of_fine_tuning_is_named(setting: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as raised:
        load_recipe("sft_printed_small", SftConfig, parse_changes((setting,)))
    assert "\n" not in str(raised.value)


def test_four_bit_weights_are_not_trained_in_full() -> None:
    with pytest.raises(InputError, match="4 bits cannot be trained"):
        load_recipe("sft_printed_7b", SftConfig, parse_changes(("lora=",)))

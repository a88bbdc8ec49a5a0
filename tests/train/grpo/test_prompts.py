"""The prompts of a GRPO run keep their limits, and are chosen by what the start makes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from texlens.data.parquet import write_examples
from texlens.errors import InputError
from texlens.model.load import Loaded, load_model
from texlens.model.prompt import prompt_of
from texlens.model.prompt_config import PROMPTS, PromptConfig
from texlens.records import Example
from texlens.render import png_many
from texlens.train.config import load_recipe, recipe_names
from texlens.train.grpo.prefilter import PASS_RATES, prefilter
from texlens.train.grpo.prompts import prepare_prompts, within_limit
from texlens.train.grpo.sampling.base import Sampling
from texlens.train.grpo.settings import GrpoConfig
from texlens.train.rewards import functions
from texlens.train.rewards.functions import RewardSettings
from texlens.train.sft.settings import SftConfig

FORMULAS = [r"x ^ { 2 }", r"\frac { a } { b }", r"p - q", r"\sqrt { z } + 1", r"y _ { i }"]
LONG = " + ".join(FORMULAS * 3)


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five short formulas and a long one, drawn."""
    path = tmp_path_factory.mktemp("data") / "train.parquet"
    formulas = [*FORMULAS, LONG]
    pictures = png_many(formulas)
    examples = []
    for number, (formula, picture) in enumerate(zip(formulas, pictures, strict=True)):
        assert isinstance(picture, bytes)
        examples.append(Example(f"f{number}", picture, formula))
    write_examples(path, examples)
    return path


@pytest.fixture(scope="module")
def loaded(model_folder: Path) -> Loaded:
    return load_model(model_folder, device="cpu")


def config(parquet: Path, **settings: Any) -> GrpoConfig:
    document: dict[str, Any] = {
        "data": [{"parquet": str(parquet)}], "rewards": {"exact": 1}, "max_steps": 2, "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 1, "num_generations": 2, "max_prompt_length": 400,
    }  # fmt: skip
    return GrpoConfig.model_validate(document | settings)


def words_of(loaded: Loaded) -> int:
    return prompt_of(loaded.processor, loaded.prompt_config).length


def test_pictures_are_bounded_so_that_the_prompt_keeps_its_limit(
    loaded: Loaded, parquet: Path
) -> None:
    words = words_of(loaded)
    limit = words + 30
    bound = within_limit(loaded, limit)
    side = 16
    assert bound.prompt_config.max_pixels == 30 * side**2 < loaded.prompt_config.max_pixels
    prompts = prepare_prompts(config(parquet).data, bound, max_prompt_length=limit, quiet=True)
    assert prompts.record["max_pixels"] == 30 * side**2
    for row in prompts.table():
        inputs = bound.processor(
            text=bound.processor.apply_chat_template(
                bound.prompt_config.messages(), tokenize=False, add_generation_prompt=True
            ),
            images=[row["image"]],
            return_tensors="pt",
        )
        assert words < inputs["input_ids"].shape[1] <= limit
    with pytest.raises(InputError, match="no picture fits"):
        within_limit(loaded, words)


def test_what_cannot_be_learnt_from_is_left_out_and_counted(loaded: Loaded, parquet: Path) -> None:
    bound = within_limit(loaded, 400)
    prompts = prepare_prompts(config(parquet).data, bound, max_prompt_length=400, quiet=True)
    # The long one has more tokens than the prompt configuration's 24 for an answer.
    assert prompts.record["left_out"] == {"reference longer than an answer may be": 1}
    assert prompts.ids == ["f0", "f1", "f2", "f3", "f4"]
    assert prompts.table()[0]["solution"] == FORMULAS[0]
    assert prompts.table()[0]["prompt"][1]["content"] == loaded.prompt_config.instruction
    # A prompt that is longer in spite of the bound is dropped.
    words = words_of(loaded)
    with pytest.raises(InputError, match=r"No prompt is left .*'prompt too long': 6"):
        prepare_prompts(config(parquet).data, bound, max_prompt_length=words + 1, quiet=True)


def choose(loaded: Loaded, parquet: Path, out: Path, **settings: Any) -> Any:
    setup = config(parquet, prefilter={"num_generations": 4, "batch_size": 2}, **settings)
    bound = within_limit(loaded, 400)
    return prefilter(
        prepare_prompts(setup.data, bound, max_prompt_length=400, quiet=True),
        bound,
        setup,
        out,
        sampling=Sampling(1.0, 6, (10_000,)),
        settings=RewardSettings(answer_format="plain"),
        quiet=True,
    )


def answer_right(times: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the answers to a reference be right so many times of 4; the numbers of answers per call."""
    calls: list[int] = []
    honest = functions.score_completions

    def score(texts: list[str], references: list[str], **rest: Any) -> Any:
        calls.append(len(texts))
        texts = [
            reference if n % 4 < times[reference] else "0" for n, reference in enumerate(references)
        ]
        return honest(texts, references, **(rest | {"completion_ids": None}))

    monkeypatch.setattr(functions, "score_completions", score)
    return calls


def test_prompts_that_are_always_or_never_right_are_left_out(
    loaded: Loaded,
    parquet: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = dict(zip(FORMULAS, (4, 1, 0, 3, 4), strict=True))
    calls = answer_right(times, monkeypatch)
    chosen = choose(loaded, parquet, tmp_path)
    assert chosen.ids == ["f1", "f3"]
    assert chosen.record["prefilter"] == {
        "answered": 5, "always right": 2, "never right": 1, "kept": 2,
    }  # fmt: skip
    assert calls == [8, 8, 4]
    lines = [json.loads(line) for line in (tmp_path / PASS_RATES).read_text().splitlines()]
    assert {line["id"]: line["right"] for line in lines} == {
        "f0": 4, "f1": 1, "f2": 0, "f3": 3, "f4": 4,
    }  # fmt: skip


def test_a_prefilter_that_was_killed_answers_the_rest_only(
    loaded: Loaded,
    parquet: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = answer_right(dict.fromkeys(FORMULAS, 2), monkeypatch)
    whole = choose(loaded, parquet, tmp_path)
    path = tmp_path / PASS_RATES
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:3]) + lines[3][:9])  # the second batch was being written
    calls.clear()
    again = choose(loaded, parquet, tmp_path)
    assert calls == [8, 4]
    assert again.ids == whole.ids
    known = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted(line["id"] for line in known) == ["f0", "f1", "f2", "f3", "f4"]


def test_too_few_prompts_left_is_one_sentence(
    loaded: Loaded,
    parquet: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer_right(dict.fromkeys(FORMULAS, 4), monkeypatch)
    with pytest.raises(InputError, match=r"keeps 0 of 5 prompts \(5 always right, 0 never\)"):
        choose(loaded, parquet, tmp_path)


def test_the_real_model_answers(loaded: Loaded, parquet: Path, tmp_path: Path) -> None:
    """A random model is never right: the sentence says so."""
    with pytest.raises(InputError, match="0 always right, 5 never"):
        choose(loaded, parquet, tmp_path)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"rewards": {"cmd": 1}}, "'cmd' is no reward"),
        ({"rewards": {"cdm": 0}}, "all weights are 0"),
        ({"adapter_use": "merge"}, "needs an adapter"),
        (
            {"data": [{"parquet": "a.parquet"}, {"parquet": "b.parquet", "mixing_ratio": 0.5}]},
            "without mixing_ratio",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    parquet: Path, settings: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        config(parquet, **settings)


def test_a_step_of_broken_groups_is_refused_by_its_numbers(parquet: Path) -> None:
    """The setting of the GRPO report as printed."""
    printed = config(
        parquet, per_device_train_batch_size=2, gradient_accumulation_steps=4, num_generations=6
    )
    with pytest.raises(
        InputError,
        match=r"_size 2 x .*_steps 4 x 1 processes = 8 .* no multiple of num_generations, 6",
    ):
        printed.groups_per_step()
    assert printed.groups_per_step(processes=3) == 4


def test_the_shipped_recipes_are_whole() -> None:
    names = [name for name in recipe_names() if name.startswith("grpo_")]
    assert names == ["grpo_3b", "grpo_3b_rendered", "grpo_7b", "grpo_7b_rendered", "grpo_small"]
    for name in names:
        recipe = load_recipe(name, GrpoConfig)
        assert recipe.groups_per_step() >= 1
    warm_up = load_recipe("sft_tagged_small", SftConfig).prompt_config.applied_to(PromptConfig())
    assert warm_up.system == PROMPTS["think_answer"].system

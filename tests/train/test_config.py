"""Recipes: the shipped ones are whole, and a mistake is one sentence that names the setting."""

from __future__ import annotations

from pathlib import Path

import pytest

from texlens.errors import InputError
from texlens.train.config import load_recipe, parse_changes, recipe_names, recipe_text
from texlens.train.config_pretrain import PretrainConfig


@pytest.mark.parametrize("name", ["pretrain_small", "pretrain_generalist"])
def test_shipped_recipes_are_whole_and_name_no_machine(name: str) -> None:
    config = load_recipe(name, PretrainConfig)
    assert recipe_names()[name] == config.description != ""
    paths = [source.parquet for source in (*config.data, *config.dev)]
    paths += [part.path for source in config.data for part in source.formulas]
    assert all(path is None or path.parts[0] == "data" for path in paths)


def test_training_and_dev_rows_are_apart() -> None:
    config = load_recipe("pretrain_small", PretrainConfig)
    dev = config.dev[0].rows
    assert dev is not None
    trained = [config.data[1].rows, config.data[0].formulas[0].rows]
    assert all(rows is not None and rows[1] <= dev[0] for rows in trained)


def test_the_generalist_says_that_it_is_not_to_be_shipped() -> None:
    assert "NC" in load_recipe("pretrain_generalist", PretrainConfig).contract.licence
    assert "Never shipped" in recipe_text("pretrain_generalist")


def test_changes_reach_into_lists_and_parts() -> None:
    changes = parse_changes(
        ("learning_rate=5e-4", "data.1.share=3", "augmentation.noise=0", "data.1.rows=[0, 10]")
    )
    config = load_recipe("pretrain_small", PretrainConfig, changes)
    assert config.learning_rate == 5e-4
    assert (config.data[1].share, config.data[1].rows) == (3.0, (0, 10))
    assert config.augmentation.noise == 0


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("learning_rte=1", r"no setting 'learning_rte' \(nearest: 'learning_rate'\)"),
        ("data.1.shar=1", r"no setting 'data\.1\.shar' \(nearest: 'share'\)"),
        ("augmentation.scal=1", r"\(nearest: 'scale'\)"),
        ("data.0.formulas.0.wieght=1", r"\(nearest: 'weight'\)"),
        ("qqqqqq=1", "no setting 'qqqqqq'"),
        ("learning_rate=fast", "learning_rate: .*valid number"),
        ("learning_rate=-1", "learning_rate: .*greater than 0"),
        ("data.7.share=1", r"no 'data\.7\.share'"),
        ("data.1.shards=x", "exactly one of formulas, parquet, shards"),
        ("data.0.formulas.2.path=x", "grammar has none"),
        ("data=[]", "data: .*at least 1"),
        ("minutes=", "give minutes or steps"),
        ("contract.pixels_per_em=", "size of type"),
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
    with pytest.raises(InputError, match=r"one of .*pretrain_generalist, pretrain_small"):
        load_recipe("pretrain_smal", PretrainConfig)
    with pytest.raises(InputError, match="cannot be read"):
        load_recipe(str(tmp_path / "absent.yaml"), PretrainConfig)
    for content, complaint in (("a: [", "is not YAML"), ("- 1", "holds no settings")):
        (tmp_path / "recipe.yaml").write_text(content)
        with pytest.raises(InputError, match=complaint):
            load_recipe(str(tmp_path / "recipe.yaml"), PretrainConfig)

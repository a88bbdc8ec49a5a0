"""`texlens train` and `texlens recipes`: training by a recipe."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from texlens.cli.options import PATH, POSITIVE, json_option, options, print_result

if TYPE_CHECKING:
    from texlens.train.config import Settings
    from texlens.train.grpo.settings import GrpoConfig
    from texlens.train.rft.settings import RftConfig
    from texlens.train.sft.settings import SftConfig

_Config = TypeVar("_Config", bound="Settings")


@click.group()
def train() -> None:
    """Train a model."""


_run_options = options(
    click.argument("recipe"),
    click.option(
        "--set", "settings", multiple=True, metavar="KEY=VALUE",
        help="Change a setting, such as learning_rate=0.0005 or data.1.parquet=my.parquet.",
    ),
    click.option(
        "--minutes", type=click.FloatRange(min=0, min_open=True), help="How long to train."
    ),
    click.option("--out", type=PATH, help="The folder to write. Default: runs/RECIPE."),
    click.option(
        "--resume", is_flag=True,
        help="Fail unless there is an unfinished run to resume; without it a new run starts then.",
    ),
    click.option("--force", is_flag=True, help="Delete what is in the folder and start again."),
)  # fmt: skip

_fine_tuning_options = options(
    click.option(
        "--dry-run", is_flag=True,
        help="Print what would be trained, the memory it takes, and likely mistakes; "
        "needs no weights and writes nothing.",
    ),
    click.option(
        "--devices", type=POSITIVE, default=1, help="With --dry-run: the number of devices."
    ),
    click.option(
        "--layout", type=click.Choice(["ddp", "fsdp2"]), default="ddp",
        help="With --dry-run: how the devices share the work.",
    ),
    json_option(),
)  # fmt: skip


@train.command()
@_run_options
def pretrain(
    recipe: str, settings: tuple[str, ...], minutes: float | None, force: bool, **options: Any
) -> None:
    """Train a small model from scratch.

    RECIPE is the name of a recipe (see `texlens recipes`) or a YAML file. To resume a run that was
    stopped, give the same command again.
    """
    from texlens.errors import require_extra
    from texlens.train.pretrain.settings import PretrainConfig

    config = _config(PretrainConfig, recipe, settings, minutes)
    # Not all of the extra: neither TRL nor datasets takes part.
    require_extra("Pretraining", "train", "torch", "transformers", "pyarrow", "matplotlib")
    from texlens.train.pretrain.train import CHECKPOINT
    from texlens.train.pretrain.train import pretrain as run
    from texlens.train.run.run_folder import MARKER

    out = _out_folder(recipe, MARKER, CHECKPOINT, force=force, **options)
    click.echo(_pretrain_table(run(config, out, overwrite=force), out))


@train.command("random-weights")
@click.argument("shape")
@click.option("--out", type=PATH, required=True, help="The folder to write.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the weights.")
@click.option("--force", is_flag=True, help="Overwrite the model in the folder.")
def random_weights(shape: str, out: Path, seed: int, force: bool) -> None:
    """Write a model with random weights, to measure speed and memory of training.

    SHAPE is Qwen/Qwen2.5-VL-3B-Instruct, Qwen/Qwen2.5-VL-7B-Instruct, or a folder with a
    config.json. Nothing is fetched. What the model reads is noise.
    """
    from texlens.errors import require_extra

    require_extra("Making a model", "model", "torch", "transformers")
    from texlens import runs
    from texlens.model.prompt_config import PROMPT_CONFIG_FILE
    from texlens.model.random_weights import save_random_model

    runs.open_out_folder(out, marker=PROMPT_CONFIG_FILE, force=force)
    count = save_random_model(shape, out, seed=seed)
    click.echo(f"{out}: {count:,} random weights in the shape of {shape}.")


@train.command()
@_run_options
@_fine_tuning_options
def sft(recipe: str, settings: tuple[str, ...], minutes: float | None, **options: Any) -> None:
    """Fine-tune a Qwen2.5-VL on pictures with their LaTeX, by LoRA or in full.

    RECIPE is the name of a recipe (see `texlens recipes`) or a YAML file. To resume a run that was
    stopped, give the same command again. Several devices: `accelerate launch -m texlens train sft
    RECIPE`.
    """
    from texlens.train.sft.settings import SftConfig

    config = _config(SftConfig, recipe, settings, minutes)
    _fine_tune(config, recipe, **options)


@train.command()
@_run_options
@_fine_tuning_options
@click.option(
    "--prefilter", is_flag=True,
    help="Let the start model answer the prompts first; train on those it sometimes gets right.",
)  # fmt: skip
def grpo(
    recipe: str, settings: tuple[str, ...], minutes: float | None, prefilter: bool, **options: Any
) -> None:
    """Train a Qwen2.5-VL by rewards for its own answers (GRPO).

    RECIPE is the name of a recipe (see `texlens recipes`) or a YAML file. To resume a run that was
    stopped, give the same command again. Several devices: `accelerate launch -m texlens train grpo
    RECIPE`.
    """
    from texlens.train.grpo.settings import GrpoConfig, Prefilter

    config = _config(GrpoConfig, recipe, settings, minutes)
    if prefilter and config.prefilter is None:
        config = config.model_copy(update={"prefilter": Prefilter()})
    _fine_tune(config, recipe, **options)


@train.command()
@_run_options
@_fine_tuning_options
def rft(recipe: str, settings: tuple[str, ...], minutes: float | None, **options: Any) -> None:
    """Fine-tune a Qwen2.5-VL on the best of its own answers (rejection sampling).

    The model answers each picture several times; the answer with the highest reward becomes an example
    if the reward is high enough. RECIPE is the name of a recipe (see `texlens recipes`) or a YAML
    file.
    """
    from texlens.train.rft.settings import RftConfig

    _fine_tune(_config(RftConfig, recipe, settings, minutes), recipe, **options)


def _config(
    kind: type[_Config], recipe: str, settings: tuple[str, ...], minutes: float | None
) -> _Config:
    """A recipe with the changes of the command line; `--minutes` replaces any limit in steps."""
    from texlens.train.config import load_recipe, parse_changes

    changes = parse_changes(settings)
    if minutes is not None:
        others = {"max_steps", "steps", "num_train_epochs"} & set(kind.model_fields)
        changes |= {"minutes": minutes} | dict.fromkeys(others)
    return load_recipe(recipe, kind, changes)


def _fine_tune(
    config: SftConfig | GrpoConfig | RftConfig,
    recipe: str,
    *,
    force: bool,
    dry_run: bool,
    devices: int,
    layout: Any,
    as_json: bool,
    **options: Any,
) -> None:
    """Fine-tune, or only estimate the run, and print the result."""
    _require()
    if dry_run:
        from texlens.train.plan.dry_run import dry_run as estimate
        from texlens.train.plan.table import dry_run_document, dry_run_text

        run = estimate(config, devices=devices, layout=layout)
        print_result(dry_run_document(run), dry_run_text(run), as_json=as_json)
        return
    from texlens.train import fine_tune
    from texlens.train.run.run_folder import CHECKPOINTS, MARKER

    out = _out_folder(recipe, MARKER, CHECKPOINTS, force=force, **options)
    summary = fine_tune(config, out, overwrite=force)
    if os.environ.get("RANK", "0") == "0":  # of several processes only the first prints
        print_result(summary, _table(summary, out), as_json=as_json)


def _out_folder(
    recipe: str, marker: str, unfinished: str, *, out: Path | None, resume: bool, force: bool
) -> Path:
    """The folder of a run, ready to be written; `unfinished` is in one that can be resumed."""
    from texlens.errors import InputError
    from texlens.runs import open_out_folder

    out = out or Path("runs") / Path(recipe).stem
    if resume and force:
        raise InputError("--resume continues a run and --force starts again: give one of them.")
    if resume and not (out / unfinished).exists():
        raise InputError(f"'{out}' holds no checkpoint to resume from: leave out --resume.")
    return open_out_folder(out, marker=marker, force=force)


@click.command()
@click.option("--show", metavar="NAME", help="Print the YAML of this recipe, to change and use it.")
def recipes(show: str | None) -> None:
    """List the recipes for training."""
    from texlens.train.config import recipe_names, recipe_text

    if show is not None:
        click.echo(recipe_text(show), nl=False)
        return
    for name, description in recipe_names().items():
        click.echo(f"{name:<22}{description}")


def _require() -> None:
    """Name the missing extra before anything is written."""
    from texlens.errors import TRAINING_MODULES, require_extra

    require_extra("Training", "train", *TRAINING_MODULES)


def _table(summary: dict[str, Any], out: Path) -> str:
    """The result of a fine-tuning run, with the scores on dev sets of start, best and end."""
    from texlens.tables import markdown_table, number

    parts = [
        f"{summary['step']} steps, {summary['minutes']:.1f} minutes; "
        f"{summary['parameters']['trained']:,} of {summary['parameters']['total']:,} weights "
        f"trained on {summary['data']['examples']} examples"
    ]
    if summary["dev"]:
        columns = (summary["dev_at_start"], summary["best"], summary["dev"])
        rows = [
            (name, *(number(scores.get(name), 3) for scores in columns)) for name in summary["dev"]
        ]
        parts.append(markdown_table(("dev", "start", "best", "end"), rows))
    return "\n\n".join([*parts, f"Written: {out / summary['weights']}"])


def _pretrain_table(summary: dict[str, Any], out: Path) -> str:
    lines = [
        f"{summary['step']} steps, {summary['pictures']} pictures, {summary['minutes']:.1f} minutes"
    ]
    lines += [f"{name:<36} {value:.3f}" for name, value in summary["dev"].items()]
    return "\n".join([*lines, f"Written: {out / 'model'}"])

"""`texlens train` and `texlens recipes`: training by a recipe."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from texlens.train.run.config import Settings
    from texlens.train.run.settings import TuningConfig

_Config = TypeVar("_Config", bound="Settings")
_TUNING = ("pyarrow", "torch", "transformers", "peft", "trl", "accelerate", "datasets")


@click.group()
def train() -> None:
    """Train a model."""


def _run_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that every kind of training has."""
    for option in (
        click.option("--force", is_flag=True, help="Throw away what the folder holds, begin anew."),
        click.option(
            "--resume", is_flag=True,
            help="Insist on going on with an unfinished run; without it one begins where there is none.",
        ),
        click.option(
            "--out", type=click.Path(path_type=Path), help="The folder to write. Default: runs/RECIPE."
        ),
        click.option(
            "--minutes", type=click.FloatRange(min=0, min_open=True), help="How long to train."
        ),
        click.option(
            "--set", "settings", multiple=True, metavar="KEY=VALUE",
            help="Change a setting, such as learning_rate=0.0005 or data.1.parquet=my.parquet.",
        ),
        click.argument("recipe"),
    ):  # fmt: skip
        command = option(command)
    return command


def _dry_run_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a run that is only worked out."""
    for option in (
        click.option(
            "--layout", type=click.Choice(["ddp", "fsdp2", "zero2"]), default="ddp",
            show_default=True, help="With --dry-run: how the devices would share the work.",
        ),
        click.option(
            "--devices", type=click.IntRange(min=1), default=1, show_default=True,
            help="With --dry-run: how many devices it would run on.",
        ),
        click.option(
            "--dry-run", is_flag=True,
            help="Say what would be trained, what memory and time it takes, and what looks wrong; "
            "needs no weights and writes nothing.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


@train.command()
@_run_options
def pretrain(
    recipe: str,
    settings: tuple[str, ...],
    minutes: float | None,
    out: Path | None,
    resume: bool,
    force: bool,
) -> None:
    """Train a small model from scratch.

    RECIPE is a shipped recipe's name (see `texlens recipes`) or a YAML file. A run that was
    stopped goes on from its last checkpoint when the same command is given again.
    """
    from texlens.train.pretrain.settings import PretrainConfig

    config = _config(PretrainConfig, recipe, settings, minutes)
    _require("pyarrow", "torch", "transformers")
    from texlens.train.pretrain.train import CHECKPOINT, MARKER
    from texlens.train.pretrain.train import pretrain as run

    out = _out_folder(out, recipe, MARKER, resume=resume, force=force, unfinished=CHECKPOINT)
    click.echo(_pretrain_table(run(config, out, overwrite=force), out))


@train.command()
@_run_options
@_dry_run_options
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
def sft(
    recipe: str,
    settings: tuple[str, ...],
    minutes: float | None,
    out: Path | None,
    resume: bool,
    force: bool,
    dry_run: bool,
    devices: int,
    layout: str,
    as_json: bool,
) -> None:
    """Fine-tune a Qwen2.5-VL on pictures with their LaTeX, by LoRA or in full.

    RECIPE is a shipped recipe's name (see `texlens recipes`) or a YAML file. A run that was
    stopped goes on from its last checkpoint when the same command is given again. Several devices:
    `accelerate launch -m texlens train sft RECIPE`.
    """
    from texlens.train.sft.settings import SftConfig

    config = _config(SftConfig, recipe, settings, minutes)
    if dry_run:
        click.echo(_dry_run(config, devices, layout, as_json=as_json))
        return
    _require(*_TUNING)
    from texlens.train.sft.train import train_sft

    _tune(train_sft, config, recipe, out, resume=resume, force=force, as_json=as_json)


@train.command()
@_run_options
@_dry_run_options
@click.option(
    "--prefilter",
    is_flag=True,
    help="Let the start answer the prompts first; train on those it gets right now and then.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
def grpo(
    recipe: str,
    settings: tuple[str, ...],
    minutes: float | None,
    out: Path | None,
    resume: bool,
    force: bool,
    dry_run: bool,
    devices: int,
    layout: str,
    prefilter: bool,
    as_json: bool,
) -> None:
    """Train a Qwen2.5-VL by the rewards of its own answers (GRPO).

    RECIPE is a shipped recipe's name (see `texlens recipes`) or a YAML file. A run that was
    stopped goes on from its last checkpoint when the same command is given again. Several devices:
    `accelerate launch -m texlens train grpo RECIPE`.
    """
    from texlens.train.grpo.settings import GrpoConfig, Prefilter

    config = _config(GrpoConfig, recipe, settings, minutes)
    if dry_run:
        click.echo(_dry_run(config, devices, layout, as_json=as_json))
        return
    if prefilter and config.prefilter is None:
        config = config.model_copy(update={"prefilter": Prefilter()})
    _require(*_TUNING)
    from texlens.train.grpo.train import train_grpo

    _tune(train_grpo, config, recipe, out, resume=resume, force=force, as_json=as_json)


def _config(
    kind: type[_Config], recipe: str, settings: tuple[str, ...], minutes: float | None
) -> _Config:
    """A recipe with the changes of the command line; `--minutes` replaces every other budget."""
    from texlens.train.run.config import load_recipe, parse_changes

    changes = parse_changes(settings)
    if minutes is not None:
        others = {"steps", "epochs"} & set(kind.model_fields)
        changes |= {"minutes": minutes} | dict.fromkeys(others)
    return load_recipe(recipe, kind, changes)


def _tune(
    run: Callable[..., dict[str, Any]],
    config: TuningConfig,
    recipe: str,
    out: Path | None,
    *,
    resume: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Fine-tune, and say what came of it."""
    from texlens.train.run.run_folder import CHECKPOINTS, MARKER

    out = _out_folder(out, recipe, MARKER, resume=resume, force=force, unfinished=CHECKPOINTS)
    summary = run(config, out, overwrite=force)
    if os.environ.get("RANK", "0") == "0":  # of several processes the first speaks
        text = json.dumps(summary, ensure_ascii=False) if as_json else tuning_table(summary, out)
        click.echo(text)


def _dry_run(config: Any, devices: int, layout: Any, *, as_json: bool) -> str:
    """What a fine-tuning recipe would do, as text or as a document."""
    _require("pyarrow", "torch", "transformers", "peft", "datasets")
    from texlens.train.plan.dry_run import dry_run
    from texlens.train.plan.table import dry_run_document, dry_run_text

    run = dry_run(config, devices=devices, layout=layout)
    if as_json:
        return json.dumps(dry_run_document(run), ensure_ascii=False)
    return dry_run_text(run)


def _out_folder(
    out: Path | None, recipe: str, marker: str, *, resume: bool, force: bool, unfinished: str
) -> Path:
    """The folder of a run, ready to be written."""
    from texlens.errors import InputError
    from texlens.runs import open_out_folder

    out = out or Path("runs") / Path(recipe).stem
    if resume and force:
        raise InputError("--resume goes on with a run and --force begins anew: give one of them.")
    if resume and not (out / unfinished).exists():
        raise InputError(f"'{out}' holds no checkpoint to go on from: leave out --resume.")
    return open_out_folder(out, marker=marker, force=force)


@click.command()
@click.option("--show", metavar="NAME", help="Print this recipe's YAML, to change and train by.")
def recipes(show: str | None) -> None:
    """List the recipes that training knows."""
    from texlens.train.run.config import recipe_names, recipe_text

    if show is not None:
        click.echo(recipe_text(show), nl=False)
        return
    for name, description in recipe_names().items():
        click.echo(f"{name:<22}{description}")


def _require(*modules: str) -> None:
    """Name the missing extra before anything is written."""
    from texlens.errors import require_extra

    require_extra("Training", "train", *modules)


def tuning_table(summary: dict[str, Any], out: Path) -> str:
    """What a fine-tuning run leaves, for people: dev scores at the start, the best, at the end."""
    trained, total = summary["parameters"]["trained"], summary["parameters"]["total"]
    lines = [
        f"{summary['step']} steps, {summary['minutes']:.1f} minutes; "
        f"{trained:,} of {total:,} weights trained on {summary['data']['examples']} examples"
    ]
    rows = {"start": summary["dev_at_start"], "best": summary["best"] or {}, "end": summary["dev"]}
    if summary["dev"]:
        lines.append(f"{'dev':<26}" + "".join(f"{row:>9}" for row in rows))
    for name in summary["dev"]:
        cells = (f"{row[name]:>9.3f}" if name in row else f"{'-':>9}" for row in rows.values())
        lines.append(f"{name:<26}" + "".join(cells))
    return "\n".join([*lines, f"Written: {out / summary['weights']}"])


def _pretrain_table(summary: dict[str, Any], out: Path) -> str:
    lines = [
        f"{summary['step']} steps, {summary['pictures']} pictures, {summary['minutes']:.1f} minutes"
    ]
    for name, score in summary["dev"].items():
        lines.append(
            f"{name:<22} n {score['n']:>5}  exact {score['exact']:.3f}  "
            f"token edit {score['edit_tokens']:.3f}  (at most 80 tokens: n {score['n_short']}, "
            f"exact {score['exact_short']:.3f}, token edit {score['edit_tokens_short']:.3f})"
        )
    return "\n".join([*lines, f"Written: {out / 'model'}"])

"""`texlens train` and `texlens recipes`: training by a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.group()
def train() -> None:
    """Train a model."""


@train.command()
@click.argument("recipe")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE",
    help="Change a setting, such as learning_rate=0.0005 or data.1.parquet=my.parquet.",
)  # fmt: skip
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="How long to train.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="The folder to write. Default: runs/RECIPE."
)
@click.option(
    "--resume", is_flag=True,
    help="Insist on going on with an unfinished run; without it one begins where there is none.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Throw away what the folder holds and begin anew.")
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
    from texlens.errors import InputError
    from texlens.train.config import load_recipe, parse_changes
    from texlens.train.config_pretrain import PretrainConfig

    changes = parse_changes(settings)
    if minutes is not None:
        changes |= {"minutes": minutes, "steps": None}
    config = load_recipe(recipe, PretrainConfig, changes)
    out = out or Path("runs") / Path(recipe).stem
    if resume and force:
        raise InputError("--resume goes on with a run and --force begins anew: give one of them.")
    _require_torch()
    from texlens.runs import open_out_folder
    from texlens.train.pretrain import CHECKPOINT, MARKER
    from texlens.train.pretrain import pretrain as run

    if resume and not (out / CHECKPOINT).is_file():
        raise InputError(f"'{out}' holds no checkpoint to go on from: leave out --resume.")
    open_out_folder(out, marker=MARKER, force=force)
    click.echo(_table(run(config, out, afresh=force), out))


@click.command()
@click.option("--show", metavar="NAME", help="Print this recipe's YAML, to change and train by.")
def recipes(show: str | None) -> None:
    """List the recipes that training knows."""
    from texlens.train.config import recipe_names, recipe_text

    if show is not None:
        click.echo(recipe_text(show), nl=False)
        return
    for name, description in recipe_names().items():
        click.echo(f"{name:<22}{description}")


def _require_torch() -> None:
    """Name the missing extra before anything is written."""
    from texlens.errors import require_extra

    require_extra("Training", "train", "torch", "transformers", "pyarrow")


def _table(summary: dict[str, Any], out: Path) -> str:
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

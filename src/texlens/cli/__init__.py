"""The `texlens` command: one module a command group, imported only when that command runs.

Each command takes its arguments in, makes one call, and puts the result out. `main` turns errors
into one sentence on stderr and an exit status: 0 done, 1 the work failed, 2 wrong input.
"""

from __future__ import annotations

import importlib
import os
import sys

import click

from texlens import __version__
from texlens.errors import TexlensError

# Command -> the module of this package that defines it, and its line in `texlens --help`.
# The line stands here so that help needs none of the modules.
COMMANDS: dict[str, tuple[str, str]] = {
    "read": ("read", "Read pictures of formulas as LaTeX."),
    "serve": ("serve", "Read pictures over HTTP: a page, an API."),
    "watch": ("watch", "Read new pictures in a folder as they come."),
    "score": ("score", "Score predictions against the reference."),
    "check": ("latex", "Check that LaTeX formulas are valid."),
    "normalize": ("latex", "Bring LaTeX formulas to the normal form."),
    "render": ("render", "Draw LaTeX formulas as SVG or PNG."),
    "data": ("data", "Prepare, audit and preview data sets."),
    "train": ("train", "Train a model."),
    "recipes": ("train", "List the recipes that training knows."),
    "merge": ("merge", "Merge a LoRA adapter into its base."),
    "evaluate": ("evaluate", "Run a model over a data set and score it."),
    "compare": ("compare", "Set evaluations side by side."),
    "pipeline": ("pipeline", "Prepare, train, evaluate and compare, in one command."),
    "demo": ("demo", "Read the example pictures and write a report."),
    "doctor": ("doctor", "Say what is installed here and what works."),
}


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"texlens.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="texlens")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Pictures of formulas to LaTeX: read, score, prepare data, train, evaluate."""
    # Within click, which ends `texlens ... | head` in silence. SIGPIPE stays ignored, as Python
    # leaves it: it would also end a training run of which a process for rewards dies.
    click.get_current_context().call_on_close(sys.stdout.flush)


def main() -> None:
    """Run the command line, ending the process with the design's exit status."""
    debug = "--debug" in sys.argv or bool(os.environ.get("TEXLENS_DEBUG"))
    try:
        # Without its standalone mode click returns the status of `ctx.exit`; commands return None.
        status = cli(standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        status = 2
    except (click.Abort, KeyboardInterrupt):
        print("Interrupted.", file=sys.stderr)
        status = 130
    except TexlensError as error:
        if debug:
            raise
        print(f"texlens: {error}", file=sys.stderr)
        status = error.exit_status
    except Exception as error:
        if debug:
            raise
        print(
            f"texlens: {type(error).__name__}: {' '.join(str(error).split())[:300]} "
            "(a fault in TexLens; --debug shows where).",
            file=sys.stderr,
        )
        status = 1
    sys.exit(status)

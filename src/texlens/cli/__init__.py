"""The `texlens` command: one module per command or group, imported only when that command runs.

In: the command line. Out: an exit status (0 done, 1 the work failed, 2 wrong arguments or input)
and, for an error, one sentence on stderr. Each command parses its arguments, calls one function
and prints the result. The options that select a model are in `model_options`; `readings` prints
readings for `read` and `watch`.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings

import click

from texlens import __version__
from texlens.errors import TexlensError

# Command -> the module of this package that defines it, and its line in `texlens --help`.
# The line is here so that help imports none of the modules.
COMMANDS: dict[str, tuple[str, str]] = {
    "read": ("read", "Read pictures of formulas as LaTeX."),
    "serve": ("serve", "Read pictures over HTTP: a page, an API."),
    "mcp": ("mcp", "Offer tools to assistants (Model Context Protocol)."),
    "snip": ("snip", "Read a region of the screen to the clipboard."),
    "watch": ("watch", "Read new pictures in a folder as they arrive."),
    "score": ("score", "Score predictions against the reference."),
    "check": ("latex", "Check that LaTeX formulas are valid."),
    "normalize": ("latex", "Print the normal form of LaTeX formulas."),
    "render": ("render", "Render LaTeX formulas as SVG or PNG."),
    "data": ("data", "Prepare, audit and preview data sets."),
    "train": ("train", "Train a model."),
    "recipes": ("train", "List the training recipes."),
    "trial": ("trial", "Try training and reading on this machine, in minutes."),
    "merge": ("merge", "Merge a LoRA adapter into its base."),
    "hub": ("hub", "Push models to the Hugging Face hub, and pull them."),
    "evaluate": ("evaluate", "Run a model over a data set and score it."),
    "compare": ("compare", "Compare evaluations side by side."),
    "pipeline": ("pipeline", "Prepare, train, evaluate and compare, in one command."),
    "demo": ("demo", "Read the example pictures and write a report."),
    "doctor": ("doctor", "Show what is installed and what works."),
}


class _LazyGroup(click.Group):
    """A group whose commands are imported when they run."""

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


@click.group(
    cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "show_default": True}
)
@click.version_option(__version__, package_name="texlens")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Pictures of formulas to LaTeX: read, score, prepare data, train, evaluate."""
    # Inside click, so that `texlens ... | head` ends without an error message. SIGPIPE stays
    # ignored, Python's default: else a worker process that dies would end a training run.
    click.get_current_context().call_on_close(sys.stdout.flush)


def main() -> None:
    """Run the command line and end the process with its exit status."""
    warnings.formatwarning = lambda message, *_: f"texlens: {message}\n"
    debug = "--debug" in sys.argv or bool(os.environ.get("TEXLENS_DEBUG"))
    try:
        # In this mode click returns the status of `ctx.exit`; commands return None.
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
    except OSError as error:  # a full disk, a folder that is gone, a file that may not be written
        if debug:
            raise
        from texlens.addresses import reason

        where = f"'{error.filename}': " if error.filename else ""
        print(f"texlens: {where}{reason(error)}.", file=sys.stderr)
        status = 1
    except Exception as error:
        if debug:
            raise
        print(
            f"texlens: {type(error).__name__}: {' '.join(str(error).split())[:300]} "
            "(internal error; --debug shows the traceback).",
            file=sys.stderr,
        )
        status = 1
    sys.exit(status)

"""Gather the pages of the documentation site: what `docs/` has, and what the code says about itself.

    python tools/docs/gather.py build/docs

The site has every page of `docs/`, the pages beside the code (architecture, changes, model cards), the
notebooks with their outputs, and a reference made from the command line and the docstrings. Links
between files of the repository become links between pages. `make docs` then runs Zensical.

Exit status 1 for a link to a file that is not there or not on the site, for a page that the
navigation of `zensical.toml` lacks, and for an entry of the navigation without a page.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import click
import nbconvert
import nbformat

from texlens.cli import COMMANDS, cli

REPOSITORY = Path(__file__).resolve().parents[2]
# Pages that lie elsewhere in the repository, and where the site has them.
OTHER_PAGES = {
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "labels/README.md": "labels.md",
    "models/handwriting/README.md": "models/handwriting.md",
    "models/print_early/README.md": "models/print_early.md",
    "src/texlens/assets/small/README.md": "models/small.md",
    # Shown as they are.
    "CITATION.cff": "citation.md",
    "LICENSE": "licence.md",
    "NOTICE": "notice.md",
    # Pictures of a tutorial.
    "src/texlens/demo/01-quadratic.png": "demo/01-quadratic.png",
    "src/texlens/demo/22-tiny.png": "demo/22-tiny.png",
}
# The pages of the Python reference: title, introduction, and the names, public ones of `texlens`
# or with their module.
PYTHON_PAGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "reading": (
        "Pictures in, LaTeX out.",
        ("read", "Reader", "chat_messages", "texlens.records.Reading", "texlens.records.Token"),
    ),
    "metrics": (
        "Reference and prediction in, values out. All need the extra `score`.",
        (
            "score", "cdm", "layout", "bleu", "edit_distance", "exact_match", "expression_rate",
            "rouge_l", "texlens.metrics.batches.ScoringConfig", "texlens.records.Score",
            "texlens.results.Scores", "texlens.results.PairScore", "texlens.results.Alignment",
            "texlens.results.Glyph", "texlens.metrics.scoring.score_predictions",
            "texlens.metrics.predictions.read_predictions", "texlens.records.Prediction",
        ),
    ),
    "comparing": (
        "Recognisers over data sets, and systems side by side.",
        ("Recogniser", "texlens.evaluate.run.evaluate", "compare_systems"),
    ),
    "latex": (
        "LaTeX as text and as pictures.",
        (
            "normalize", "check", "tokenize", "texlens.render.svg", "texlens.render.png",
            "texlens.render.png_many", "texlens.render.Size",
        ),
    ),
    "data": (
        "Examples in Parquet.",
        (
            "texlens.records.Example", "texlens.data.parquet.read_examples",
            "texlens.data.parquet.write_examples",
        ),
    ),
    "hub": (
        "Models to and from the hub. Both need the extra `hub`.",
        ("texlens.model.sharing.push", "texlens.model.sharing.pull"),
    ),
    "errors": (
        "Errors that a user can act on.",
        (
            "texlens.errors.TexlensError", "texlens.errors.InputError",
            "texlens.errors.MissingExtra",
        ),
    ),
}  # fmt: skip
_LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s]+)(\))")
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


class BrokenSite(Exception):
    """The pages do not make a whole."""


def main() -> None:
    """Write the site's pages into the folder that is named."""
    out = Path(sys.argv[1])
    shutil.rmtree(out, ignore_errors=True)
    places = site_places()
    for source, place in places.items():
        path = out / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            path.write_text(with_site_links(page_text(source), source, places), encoding="utf-8")
        else:
            shutil.copyfile(REPOSITORY / source, path)
    write_reference(out / "reference")
    check_navigation(out)


def site_places() -> dict[str, str]:
    """Each file of the repository that the site has, and its place there."""
    docs = REPOSITORY / "docs"
    files = (path for path in sorted(docs.rglob("*")) if path.is_file())
    places = {}
    for path in files:
        place = path.relative_to(docs)
        places[f"docs/{place.as_posix()}"] = place.with_suffix(
            ".md" if place.suffix == ".ipynb" else place.suffix
        ).as_posix()
    return places | OTHER_PAGES


def page_text(source: str) -> str:
    """The Markdown of a page: of a notebook with its outputs, of other files in a fence."""
    path = REPOSITORY / source
    if path.suffix == ".ipynb":
        notebook = nbformat.read(path, as_version=4)
        text, _ = nbconvert.MarkdownExporter().from_notebook_node(notebook)
        return without_indents_in_html(text)
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)  # a card's metadata
    title = {"CITATION.cff": "How to cite", "LICENSE": "Licence", "NOTICE": "Notice"}[source]
    return f"# {title}\n\n```text\n{text}\n```\n"


def without_indents_in_html(text: str) -> str:
    """HTML of an output must not look like indented code to Markdown, nor end at an empty line."""

    def flat(match: re.Match[str]) -> str:
        lines = (line.strip() for line in match[0].splitlines())
        return f'<div class="output">{"".join(line + " " for line in lines if line)}</div>'

    return re.sub(
        r"^<(div|style|table|figure)\b.*?(?=\n\n\n|\n\n[`#]|\Z)", flat, text, flags=re.M | re.S
    )


def with_site_links(text: str, source: str, places: dict[str, str]) -> str:
    """The text with links to pages of the site instead of files of the repository."""
    here = PurePosixPath(places[source]).parent

    def rewritten(match: re.Match[str]) -> str:
        target, _, anchor = match[2].partition("#")
        if not target or re.match(r"[a-z]+:", match[2]):
            return match[0]
        wanted = os.path.normpath(Path(source).parent / target)
        if wanted == "README.md":
            wanted = "docs/index.md"
        if wanted not in places:
            raise BrokenSite(f"{source} links to {target}, which the site does not have.")
        place = os.path.relpath(places[wanted], here)
        return f"{match[1]}{place}{'#' + anchor if anchor else ''}{match[3]}"

    pieces, last = [], 0
    for fence in _FENCE.finditer(text):
        pieces += [_LINK.sub(rewritten, text[last : fence.start()]), fence[0]]
        last = fence.end()
    return "".join([*pieces, _LINK.sub(rewritten, text[last:])])


def write_reference(folder: Path) -> None:
    """The command line's help, and the pages that mkdocstrings fills from the docstrings."""
    folder.mkdir(parents=True, exist_ok=True)
    commands = "".join(f"\n## {name}\n\n{help_of(name)}" for name in COMMANDS)
    (folder / "commands.md").write_text(
        f"# Command line\n\nThe output of `--help`.\n{commands}", encoding="utf-8"
    )
    for page, (introduction, names) in PYTHON_PAGES.items():
        entries = "".join(f"\n::: {home_of(name)}\n" for name in names)
        (folder / f"python_{page}.md").write_text(
            f"# Python: {page}\n\n{introduction}\n{entries}", encoding="utf-8"
        )


def help_of(*names: str) -> str:
    """The help of a command and of the commands in it."""
    context, command = click.Context(cli, info_name="texlens"), cli
    for name in names:
        found = command.get_command(context, name)
        assert found is not None, names
        context = click.Context(found, parent=context, info_name=name, max_content_width=100)
        command = found  # type: ignore[assignment]
    text = f"```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            text += f"\n### {' '.join((*names[:], name))}\n\n{help_of(*names, name)}"
    return text


def home_of(name: str) -> str:
    """The module and name under which an object is defined."""
    package, _, attribute = name.rpartition(".")
    found: Any = getattr(importlib.import_module(package or "texlens"), attribute)
    return f"{found.__module__}.{found.__qualname__}"


def check_navigation(out: Path) -> None:
    """Raise BrokenSite unless the navigation has every page once, and only pages."""
    settings = tomllib.loads((REPOSITORY / "zensical.toml").read_text(encoding="utf-8"))
    named = list(entries_of(settings["project"]["nav"]))
    pages = {path.relative_to(out).as_posix() for path in out.rglob("*.md")}
    for problem, found in (
        ("not in the navigation", pages - set(named)),
        ("in the navigation, and no page", set(named) - pages),
        ("in the navigation twice", {name for name in named if named.count(name) > 1}),
    ):
        if found:
            raise BrokenSite(f"{', '.join(sorted(found))}: {problem}.")


def entries_of(navigation: Any) -> Iterator[str]:
    """The pages of a part of the navigation."""
    if isinstance(navigation, str):
        yield navigation
    else:
        parts = navigation.values() if isinstance(navigation, dict) else navigation
        for part in parts:
            yield from entries_of(part)


if __name__ == "__main__":
    try:
        main()
    except BrokenSite as error:
        sys.exit(f"gather.py: {error}")

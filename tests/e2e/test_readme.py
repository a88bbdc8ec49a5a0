"""The documentation: commands parse, examples load, links and paths lead to what exists."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from texlens.cli import cli
from texlens.pipeline.config import PipelineConfig
from texlens.train.sft.settings import SftConfig

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "index.md"
DOCUMENTS = sorted(
    path for pattern in ("*.md", "docs/**/*.md", "models/*/*.md", "src/**/*.md")
    for path in ROOT.glob(pattern)
)  # fmt: skip


def blocks(path: Path, *languages: str) -> list[str]:
    """The code blocks of a document in these languages."""
    pattern = rf"```(?:{'|'.join(languages)})\n(.*?)```"
    return re.findall(pattern, path.read_text(encoding="utf-8"), re.DOTALL)


def commands(path: Path) -> Iterator[str]:
    """The lines of a document's shell examples that call texlens, without comments."""
    for block in blocks(path, "sh", "bash"):
        for part in re.split(r"\n| ; | \| ", block.replace("\\\n", " ")):
            if part.strip().startswith("texlens "):
                yield re.sub(r"\s+[#>].*|[\[\]](?=-|\s|$)", "", part.strip())


ALL_COMMANDS = [(path.name, line) for path in DOCUMENTS for line in commands(path)]


@pytest.mark.parametrize(("name", "line"), ALL_COMMANDS)
def test_a_command_parses(name: str, line: str) -> None:
    words = shlex.split(line)[1:]
    command: click.Command = cli
    context = click.Context(cli, info_name="texlens")
    while isinstance(command, click.Group):
        found = command.get_command(context, words.pop(0))
        assert found is not None, line
        command = found
    command.make_context(line, words)


def test_commands_that_need_no_file_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    lines = [
        line
        for line in commands(EXAMPLES)
        if re.match(r"texlens (score --gt|check|norm|render)", line)
    ]
    assert len(lines) == 4
    for line in lines:
        result = runner.invoke(cli, shlex.split(line)[1:])
        # `check` finds the fault that its example has.
        assert result.exit_code == (1 if " check " in line else 0), (line, result.output)
    assert (tmp_path / "e.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("page", "kind"), [("training.md", SftConfig), ("pipeline.md", PipelineConfig)]
)
def test_the_example_of_a_recipe_loads(
    page: str, kind: type[SftConfig] | type[PipelineConfig]
) -> None:
    (example,) = blocks(ROOT / "docs" / page, "yaml")
    kind.model_validate(yaml.safe_load(example))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_paths_and_python(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([\w-]+))?\)", text):
        if target.startswith("http"):
            continue
        linked = (path.parent / target).resolve() if target else path
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), f"{target}#{anchor}"
    for example in blocks(path, "python"):
        ast.parse(example)


@pytest.mark.parametrize(
    "path", [path for path in DOCUMENTS if path.name != "CHANGELOG.md"], ids=lambda path: path.stem
)
def test_named_files_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    folders = "src|docs|tests|tools|benchmarks|packages"
    for named in re.findall(rf"(?:`|python )((?:{folders})/[\w./-]+)", text):
        assert (ROOT / named).exists(), named


def test_modules_of_the_architecture_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    modules = {f"/{path.relative_to(ROOT)}" for path in ROOT.glob("[st]*/**/*.py")}
    named = set(re.findall(r"`([a-z_]+/[\w./]+\.py)`", text))
    assert {name for name in named if not any(m.endswith(f"/{name}") for m in modules)} == set()


def anchors(path: Path) -> list[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]

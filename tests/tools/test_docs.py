"""The documentation site has every page, and its links lead somewhere."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
GATHER = runpy.run_path(str(REPOSITORY / "tools" / "docs" / "gather.py"))


def test_links_between_files_become_links_between_pages() -> None:
    places = GATHER["site_places"]()
    text = "[a](../SECURITY.md) [b](metrics.md#all-keys) [c](https://x.org/y.md)\n"
    linked = GATHER["with_site_links"](text, "docs/serve.md", places)
    assert linked == "[a](security.md) [b](metrics.md#all-keys) [c](https://x.org/y.md)\n"
    fenced = "```\n[d](no.md)\n```\n"
    assert GATHER["with_site_links"](fenced, "docs/serve.md", places) == fenced


def test_a_link_that_leads_nowhere_is_an_error() -> None:
    with pytest.raises(GATHER["BrokenSite"], match=r"links to no\.md"):
        GATHER["with_site_links"]("[a](no.md)", "docs/serve.md", GATHER["site_places"]())


def test_the_pages_and_the_navigation_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["gather.py", str(tmp_path)])
    GATHER["main"]()  # raises where they do not
    commands = (tmp_path / "reference" / "commands.md").read_text(encoding="utf-8")
    assert "## data" in commands
    assert "### data prepare" in commands
    assert "Usage: texlens data prepare" in commands


def test_the_readme_is_short() -> None:
    assert len((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) <= 120

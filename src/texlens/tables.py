"""Tables of text: one form of numbers and of Markdown for every command, file and page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text: `title` above it, `note` below it; either may be empty."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def markdown(self, level: int = 3) -> str:
        """The table as Markdown, its title as a heading of this level."""
        heading = self.title and f"{'#' * level} {self.title}"
        table = markdown_table(self.header, self.rows)
        return "\n\n".join(part for part in (heading, table, self.note) if part)


def number(value: float | None, places: int = 4) -> str:
    """A value as all tables show it; "n/a" where there is none."""
    return "n/a" if value is None else f"{value:.{places}f}"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with padded columns: the first is left-aligned, the others right-aligned."""
    cells = [[_cell(text) for text in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        first, *others = zip(row, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        lines.append(f"| {' | '.join(padded)} |")
    rule = "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])])
    return "\n".join([lines[0], f"|{rule}|", *lines[1:]])


def _cell(text: str) -> str:
    """One line that cannot end the cell, and that any terminal can encode."""
    line = " ".join(text.split()).replace("|", "\\|")
    return line.encode("utf-8", errors="replace").decode()

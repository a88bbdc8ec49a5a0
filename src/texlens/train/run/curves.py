"""A training run's log as curves: CSV for other programs, PNG to look at."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from texlens.runs import atomic_write, write_bytes


def append_log(path: Path, record: dict[str, Any]) -> None:
    """Add one line to a run's `log.jsonl`."""
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(record) + "\n")


def read_log(path: Path, *, up_to_step: int | None = None) -> list[dict[str, Any]]:
    """The lines of a run's log; those of steps after `up_to_step` left out, as after a kill."""
    if not path.is_file():
        return []
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue  # the line that was being written when the run was killed
        if up_to_step is None or record.get("step", 0) <= up_to_step:
            records.append(record)
    return records


def write_curves(
    records: Iterable[dict[str, Any]],
    folder: Path,
    *,
    x: str = "step",
    sets: Sequence[str] = (),
) -> None:
    """Write `curves.csv` and, where matplotlib is installed, `curves.png` into a run's folder.

    The table has every numeric field of the records; those that change over `x` become curves.
    Fields `SET_METRIC` of different `sets` share one picture a metric.
    """
    rows = list(records)
    names = [x]
    for row in rows:
        for name, value in row.items():
            if name not in names and isinstance(value, int | float):
                names.append(name)
    table = io.StringIO()
    writer = csv.DictWriter(table, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(folder / "curves.csv", table.getvalue().encode("utf-8"))
    values = {name: {row[name] for row in rows if row.get(name) is not None} for name in names[1:]}
    curves = [
        n for n in names[1:] if len(values[n]) > 1 and n not in ("minutes", "pictures", "epoch")
    ]
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    pictures: dict[str, list[str]] = {}
    for name in curves:
        owner = next((f"{part}_" for part in sets if name.startswith(f"{part}_")), "")
        pictures.setdefault(name.removeprefix(owner), []).append(name)
    if not pictures:
        return
    columns = min(3, len(pictures))
    lines = -(-len(pictures) // columns)
    figure, axes = pyplot.subplots(
        lines, columns, figsize=(4.2 * columns, 2.8 * lines), squeeze=False
    )
    for axis in axes.flat[len(pictures) :]:
        axis.set_visible(False)
    for axis, (title, names_in_it) in zip(axes.flat, pictures.items(), strict=False):
        for name in names_in_it:
            points = [(row[x], row[name]) for row in rows if x in row and row.get(name) is not None]
            mark = "o-" if len(points) < 40 else "-"
            label = name.removesuffix(f"_{title}")
            axis.plot(*zip(*points, strict=True), mark, markersize=3, linewidth=1.2, label=label)
        if len(names_in_it) > 1:
            axis.legend(fontsize=8)
        axis.set_title(title.replace("_", " "), fontsize=10)
        axis.set_xlabel(x)
        axis.grid(alpha=0.3)
    figure.tight_layout()
    with atomic_write(folder / "curves.png") as stream:
        figure.savefig(stream, format="png", dpi=110)
    pyplot.close(figure)

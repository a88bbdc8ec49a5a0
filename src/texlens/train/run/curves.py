"""A training run's log as curves: CSV for other programs, PNG to look at."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from texlens.runs import atomic_write, write_text
from texlens.train.run.stages import PREFIX, STAGES

_NOT_PLOTTED = (
    "minutes", "pictures", "epoch", "seconds_evaluation", "gib_reserved", "gib_allocated",
    "recorded_lengths",
)  # fmt: skip
_OF_STAGE = {PREFIX + stage: stage for stage in STAGES}


def append_log(path: Path, record: dict[str, Any]) -> None:
    """Add one line to a run's `log.jsonl`."""
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(record) + "\n")


def log_line(record: dict[str, Any]) -> str:
    """A record of the log, for people; the stages of a step as shares of its time."""
    stages = {_OF_STAGE[name]: value for name, value in record.items() if name in _OF_STAGE}
    whole = sum(stages.values()) or 1.0
    fields = [f"{name} {value}" for name, value in record.items() if name not in _OF_STAGE]
    return "  ".join(fields + [f"{name} {value / whole:.0%}" for name, value in stages.items()])


def read_log(path: Path, *, up_to_step: int | None = None) -> list[dict[str, Any]]:
    """The lines of a run's log, up to the step `up_to_step`."""
    if not path.is_file():
        return []
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue  # a line that was cut short when the run was killed
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
    """Write `curves.csv` and, if matplotlib is installed, `curves.png` into a run's folder.

    The table has every numeric field of the records; those that change over `x` become curves.
    Fields `SET_METRIC` of different `sets` share one panel per metric; so do the stages of a step.
    """
    rows = list(records)
    numbers = (n for row in rows for n, value in row.items() if isinstance(value, int | float))
    names = list(dict.fromkeys([x, *numbers]))
    table = io.StringIO()
    writer = csv.DictWriter(table, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / "curves.csv", table.getvalue())
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}  # curves by title and label
    for name in names[1:]:
        points = [(row[x], row[name]) for row in rows if row.get(name) is not None]
        if name in _NOT_PLOTTED or len({value for _, value in points}) < 2:
            continue
        if name in _OF_STAGE:
            panels.setdefault("seconds a step", {})[_OF_STAGE[name]] = points
            continue
        owner = next((part for part in sets if name.startswith(f"{part}_")), "")
        panels.setdefault(name.removeprefix(f"{owner}_"), {})[owner or name] = points
    try:
        import matplotlib
    except ImportError:
        return
    if not panels:
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure, axes = pyplot.subplots(
        lines, columns, figsize=(4.2 * columns, 2.8 * lines), squeeze=False, layout="tight"
    )
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (title, curves) in zip(axes.flat, panels.items(), strict=False):
        for label, points in curves.items():
            mark = "o-" if len(points) < 40 else "-"
            axis.plot(*zip(*points, strict=True), mark, markersize=3, linewidth=1.2, label=label)
        if len(curves) > 1:
            axis.legend(fontsize=8)
        axis.set_title(title.replace("_", " "), fontsize=10)
        axis.set_xlabel(x)
        axis.grid(alpha=0.3)
    with atomic_write(folder / "curves.png") as stream:
        figure.savefig(stream, format="png", dpi=110)
    pyplot.close(figure)

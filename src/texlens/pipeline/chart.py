"""The first picture of the report: every measure of every set, from the base to the last stage."""

from __future__ import annotations

import io
from collections.abc import Sequence

from texlens.evaluate.compare.runs import ScoredRun
from texlens.evaluate.compare.tables import names
from texlens.metrics.registry import goodness

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito
_MARKERS = "osD^vP"
_BEYOND = 0.03  # of an axis, beyond the values that a metric can have
_SPREAD = 0.08  # between the sets at one model, so that their intervals do not cover one another


def measures_chart(runs: Sequence[ScoredRun], keys: Sequence[str]) -> bytes | None:
    """A panel for each measure: a line for each set over the models, with 95 % intervals.

    Returns an SVG; None where matplotlib is not installed or there is nothing to compare.
    """
    models, sets = names(run.model for run in runs), names(run.set for run in runs)
    keys = [key for key in keys if any(run.value(key) is not None for run in runs)]
    if not keys or len(models) < 2:
        return None
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        return None
    columns = min(len(keys), 4)
    rows = -(-len(keys) // columns)
    with rc_context({"font.size": 9, "svg.hashsalt": "texlens", "svg.fonttype": "none"}):
        figure = Figure(figsize=(2.9 * columns, 2.6 * rows + 0.5), layout="constrained")
        panels = list(figure.subplots(rows, columns, squeeze=False).flat)
        for key, panel in zip(keys, panels, strict=False):
            for rank, name in enumerate(sets):
                of_set = {run.model: run for run in runs if run.set == name}
                shift = (rank - (len(sets) - 1) / 2) * _SPREAD
                points = [
                    (place + shift, value, *of_set[model].metrics[key]["ci"])
                    for place, model in enumerate(models)
                    if model in of_set and (value := of_set[model].value(key)) is not None
                ]
                if not points:
                    continue
                x, y, low, high = zip(*points, strict=True)
                below = [max(v - edge, 0) for v, edge in zip(y, low, strict=True)]
                above = [max(edge - v, 0) for v, edge in zip(y, high, strict=True)]
                panel.errorbar(
                    x, y, [below, above], label=name, capsize=2.5, linewidth=1.5, markersize=5,
                    color=_COLOURS[rank % len(_COLOURS)], marker=_MARKERS[rank % len(_MARKERS)],
                )  # fmt: skip
            panel.set_title(f"{key} (lower is better)" if goodness(key, 0.0) == 1.0 else key)
            panel.set_xticks(range(len(models)), models)
            panel.set_xlim(-0.4, len(models) - 0.6)
            bottom, top = panel.get_ylim()
            panel.set_ylim(max(bottom, -_BEYOND), min(top, 1 + _BEYOND))
            panel.grid(axis="y", color="#dddddd", linewidth=0.6)
            panel.spines[["top", "right"]].set_visible(False)
        for panel in panels[len(keys) :]:
            panel.set_visible(False)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=len(sets), frameon=False)
        stream = io.BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()

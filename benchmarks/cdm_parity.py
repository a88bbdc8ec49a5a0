"""Does `cdm` give the official numbers? Compares both engines with the official code's scores.

    python benchmarks/cdm_parity.py PAIRS.jsonl [--engine mathjax|tex|both] [--causes CAUSES.json]

Every line of the file has `id`, `gt`, `pred` and `official_f1`, as the official CDM code scored it.
Prints the agreement of each engine beside the targets, then every remaining disagreement with its
cause from `cdm_parity_causes.json`, by engine and id, or "unclassified".
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np

from texlens.metrics.base import Pair
from texlens.metrics.cache import DrawingStore
from texlens.metrics.cdm.metric import Cdm

TOLERANCE = 0.001  # scores are rounded to three places; below this they agree
BATCH = 64


def scores(engine: str, rows: list[dict[str, str]]) -> list[float | None]:
    metric, drawings = Cdm(engine=engine), DrawingStore(on_disk=False)  # type: ignore[arg-type]
    pairs = [Pair.of(row["gt"], row["pred"]) for row in rows]
    batch = len(pairs) if engine == "tex" else BATCH
    return [
        item.values["cdm"]
        for start in range(0, len(pairs), batch)
        for item in metric.score_items(pairs[start : start + batch], drawings)
    ]


def report(engine: str, rows: list[dict[str, str]], causes: dict[str, str]) -> bool:
    start = time.perf_counter()
    found = scores(engine, rows)
    seconds = time.perf_counter() - start
    official = np.array([row["official_f1"] for row in rows], dtype=float)
    ours = np.array([np.nan if value is None else value for value in found])
    undrawn = int(np.isnan(ours).sum())
    # A reference that cannot be drawn has no score, which agrees with no official one.
    difference = np.where(np.isnan(ours), 1.0, np.abs(ours - official))
    scored = ~np.isnan(ours)
    pearson = float(np.corrcoef(official[scored], ours[scored])[0, 1])
    exprate = float(((ours == 1) == (official == 1)).mean())
    print(f"\nengine {engine}: n = {len(rows)}, references not drawn: {undrawn}, {seconds:.1f} s")
    print(f"  mean cdm                  {np.nanmean(ours):.4f}, official {official.mean():.4f}")
    print(
        f"  exprate_cdm               {(ours == 1).mean():.4f}, official {(official == 1).mean():.4f}"
    )
    lines = [
        ("mean |difference|", float(difference.mean()), "<=", 0.015),
        ("within 0.05", float((difference <= 0.05).mean()), ">=", 0.95),
        ("Pearson", pearson, ">=", 0.97),
        ("agreement on exprate_cdm", exprate, ">=", 0.97),
    ]
    within = float((difference <= TOLERANCE + 1e-9).mean())
    lines.append(("within 0.001", within, ">=", 0.95 if engine == "tex" else 0.0))
    reached = True
    for name, value, sign, target in lines:
        met = value <= target if sign == "<=" else value >= target
        reached &= met
        aim = f"target {sign} {target}: {'reached' if met else 'MISSED'}" if target else ""
        print(f"  {name:<25} {value:.5f}  {aim}")
    print("  disagreements:")
    for i in np.argsort(-difference, kind="stable"):
        if difference[i] > TOLERANCE + 1e-9:
            cause = causes.get(rows[i]["id"], "unclassified")
            print(f"    {rows[i]['id']}: official {official[i]:.3f}, ours {ours[i]:.3f}: {cause}")
    return reached


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--engine", choices=["mathjax", "tex", "both"], default="both")
    parser.add_argument(
        "--causes", type=Path, default=Path(__file__).with_name("cdm_parity_causes.json")
    )
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in arguments.pairs.read_text("utf-8").splitlines() if line]
    causes = json.loads(arguments.causes.read_text("utf-8"))
    engines = ["mathjax", "tex"] if arguments.engine == "both" else [arguments.engine]
    engines = [name for name in engines if Cdm(engine=name).unavailable() is None]  # type: ignore[arg-type]
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    results = [report(engine, rows, causes.get(engine, {})) for engine in engines]
    raise SystemExit(0 if all(results) else 1)


if __name__ == "__main__":
    main()

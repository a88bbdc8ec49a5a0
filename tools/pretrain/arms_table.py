"""A table of scores/ARM-SEED/metrics.json, one row a run: `python arms_table.py FOLDER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

METRICS = ("exprate", "exprate_1", "edit_tokens", "exprate_cdm", "layout")


def main() -> None:
    print("arm", "seed", "n", *METRICS, "exprate_95%", sep="\t")
    for path in sorted(Path(sys.argv[1]).glob("*/metrics.json")):
        arm, _, seed = path.parent.name.rpartition("-")
        metrics = json.loads(path.read_text(encoding="utf-8"))["metrics"]
        values = (f"{metrics[key]['value']:.4f}" if key in metrics else "" for key in METRICS)
        low, high = metrics["exprate"]["ci"]
        print(arm, seed, metrics["exprate"]["n"], *values, f"{low:.3f}-{high:.3f}", sep="\t")


if __name__ == "__main__":
    main()

"""How often an alternative is the right reading, and whether its probability says so.

    python benchmarks/alternatives.py im2latex_train.parquet [--skip 6500] [--limit 500]

Reads the pictures with 5 alternatives each. Prints how often the first reading is right (its normal form is
that of the label), how often the right one is among the alternatives of a wrong first reading, and, in bins
of the probabilities, the mean probability and the share of right alternatives. The pictures should be those
of dev: `reading/alternatives.py` has the two constants that were chosen on them.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

from texlens.data.parquet import read_examples
from texlens.latex import normalize
from texlens.reading import Reader
from texlens.reading.sources import Item

BINS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 1.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--skip", type=int, default=6500)
    parser.add_argument("--limit", type=int, default=500)
    arguments = parser.parse_args()
    examples = list(read_examples(arguments.data))[arguments.skip :][: arguments.limit]
    items = [Item(example.id, example.image, alternatives=5) for example in examples]
    readings = list(Reader().read_many(items))
    first = wrong = found = 0
    pairs: list[tuple[float, bool]] = []
    for example, reading in zip(examples, readings, strict=True):
        label = normalize(example.latex_formula)
        is_right = reading.normal == label
        first += is_right
        wrong += not is_right
        rights = [other.normal == label for other in reading.alternatives]
        found += any(rights)
        pairs += zip((other.probability for other in reading.alternatives), rights, strict=True)
    print(f"{first} of {len(examples)} first readings are right")
    print(f"{found} of {wrong} wrong ones have the right one among their alternatives")
    gap = 0.0
    for low, high in itertools.pairwise(BINS):
        inside = [pair for pair in pairs if low <= pair[0] < high]
        if inside:
            mean = sum(probability for probability, _ in inside) / len(inside)
            share = sum(right for _, right in inside) / len(inside)
            gap += abs(mean - share) * len(inside) / len(pairs)
            print(
                f"{low:.2f} to {high:.2f}: n {len(inside)}, probability {mean:.3f}, right {share:.3f}"
            )
    print(f"expected calibration error {gap:.3f}, n {len(pairs)}")


if __name__ == "__main__":
    main()

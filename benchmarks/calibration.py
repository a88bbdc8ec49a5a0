"""Fits the calibration of a model's confidence to dev pictures, or reports how good it is.

    python benchmarks/calibration.py fit DATA.parquet[:FIRST:LAST] [MORE.parquet[:FIRST:LAST] ...]
                                     [--model FOLDER]
    python benchmarks/calibration.py report DATA.parquet[:FIRST:LAST] ... [--model FOLDER]

`fit` writes `confidence.json` into the model's folder (default: the embedded model's; necessary
whenever its weights change). The probability of being right is fitted to the first file. The
pictures with a formula are those of all files and 100 formulas of the package's own grammar,
rendered by MathJax; those without are 120 of `non_formulas.py` (set `dev`). A reading is right when
`exprate_layout` is 1: it renders as the reference does. The threshold of `no_formula` is the
probability that all but 0.5 % of the pictures with a formula reach.

`report` prints, for each file, the calibration error (ten bins of equally many readings, expected
absolute difference between confidence and share of right readings) and how many of the wrong
readings are among the 20 % least sure, for the calibrated confidence and for the geometric mean of
the tokens' probabilities; and how often `no_formula` is given to these pictures and to 200 of the
set `test`, by kind.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from non_formulas import KINDS, make_pictures
from regression import fit as fit_regression
from texlens.data.formulas.grammar import generate
from texlens.data.parquet import read_examples
from texlens.metrics import score
from texlens.model.load import EMBEDDED
from texlens.reading import Reader
from texlens.reading.confidence import (
    CONFIDENCE_FILE,
    Calibration,
    answer_features,
)
from texlens.reading.pictures.opening import open_picture
from texlens.records import Reading
from texlens.render import Size, png_many

FALSE_ALARMS = 0.005
Labelled = list[tuple[Image.Image, str]]


def formulas(place: str) -> Labelled:
    """The pictures and references of a file, or of some of its rows."""
    name, *limits = place.split(":")
    rows = list(read_examples(Path(name)))
    rows = rows[slice(*map(int, limits))] if limits else rows
    return [(open_picture(row.image), row.latex_formula) for row in rows]


def rendered_formulas(count: int) -> list[Image.Image]:
    random = Random(0)
    texts = [generate(random, tokens=random.randint(6, 70), depth=3) for _ in range(2 * count)]
    sizes = [Size(em_px=em) for em in (12.0, 20.0, 34.0)]
    rendered = [picture for size in sizes for picture in png_many(texts[: count // 2 + 1], size)]
    return [open_picture(picture) for picture in rendered if isinstance(picture, bytes)][:count]


def are_right(readings: Sequence[Reading], references: Iterable[str]) -> list[bool]:
    pairs = zip(references, (reading.normal for reading in readings), strict=True)
    return [value == 1.0 for value in score(pairs, ["exprate_layout"])["exprate_layout"].items]


def uncalibrated(model: str | None, backend: str, reread: bool) -> Reader:
    reader = Reader(model, backend=backend, reread=reread)  # type: ignore[arg-type]
    reader.calibration = None
    return reader


def features_of(reader: Reader, pictures: Iterable[Image.Image]) -> list[dict[str, float]]:
    """Of the answers to pictures; where there is no ink there is no answer, and no opinion needed."""
    return [answer_features(reading) for reading in reader.read_many(pictures) if reading.tokens]


def fit(places: Sequence[str], model: str | None, backend: str) -> None:
    sets = [formulas(place) for place in places]
    read_once = uncalibrated(model, backend, reread=False)
    positive = [features_of(read_once, (image for image, _ in each)) for each in sets]
    positive.append(features_of(read_once, rendered_formulas(100)))
    negative = features_of(read_once, (image for _, image in make_pictures(120, 1, "dev")))
    every = [features for each in positive for features in each]
    formula = fit_regression(every + negative, [True] * len(every) + [False] * len(negative))
    chances = [formula.probability(features) for features in every]
    formula_from = float(np.quantile(chances, FALSE_ALARMS, method="lower"))

    reread = uncalibrated(model, backend, reread=True)
    readings = list(reread.read_many(image for image, _ in sets[0]))
    outcomes = are_right(readings, [reference for _, reference in sets[0]])
    right = fit_regression([answer_features(reading) for reading in readings], outcomes)
    folder = Path(model) if model else EMBEDDED
    names = ", ".join(Path(place).name for place in places)
    Calibration(
        right=right,
        formula=formula,
        formula_from=formula_from,
        fitted_on=f"{names}; {len(readings)} readings, {sum(outcomes)} of them right; "
        f"{len(every)} pictures with a formula, {len(negative)} without",
    ).save(folder)
    below = [
        sum(formula.probability(f) < formula_from for f in each) for each in (*positive, negative)
    ]
    print(f"{folder / CONFIDENCE_FILE} is written; no_formula is given below {formula_from:.3f}:")
    for name, count, each in zip(
        (*places, "rendered formulas", "pictures with ink but no formula"),
        below,
        (*positive, negative),
        strict=True,
    ):
        print(f"  {count:4} of {len(each):4}  {name}")


def calibration_error(confidences: Sequence[float], right: Sequence[bool]) -> float:
    order = np.argsort(confidences, kind="stable")
    bins = np.array_split(order, 10)
    sure, true = np.asarray(confidences), np.asarray(right, dtype=float)
    return float(
        sum(abs(sure[part].mean() - true[part].mean()) * len(part) for part in bins) / len(order)
    )


def caught_by_doubt(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """The share of wrong readings among the 20 % least sure."""
    wrong = ~np.asarray(right)
    doubtful = np.argsort(confidences, kind="stable")[: round(0.2 * len(wrong))]
    return float(wrong[doubtful].sum() / max(1, wrong.sum()))


def geometric_mean(reading: Reading) -> float:
    """Of the tokens' probabilities; the end token's is not in the reading."""
    if not reading.tokens:
        return 0.0
    return float(np.exp(np.mean([token.logprob for token in reading.tokens])))


def report(places: Sequence[str], model: str | None, backend: str) -> None:
    reader = Reader(model, backend=backend)  # type: ignore[arg-type]
    print(
        "| pictures | n | right | confidence | mean | error | wrong in least sure 20 % | no_formula |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for place in places:
        labelled = formulas(place)
        pictures, references = (
            [image for image, _ in labelled],
            [reference for _, reference in labelled],
        )
        readings = list(reader.read_many(pictures))
        right = are_right(readings, references)
        alarms = sum("no_formula" in reading.warnings for reading in readings)
        for kind, sure in {
            "calibrated": [reading.confidence for reading in readings],
            "geometric mean": [geometric_mean(reading) for reading in readings],
        }.items():
            print(
                f"| {Path(place).name} | {len(right)} | {np.mean(right):.3f} | {kind} "
                f"| {np.mean(sure):.3f} | {calibration_error(sure, right):.3f} "
                f"| {caught_by_doubt(sure, right):.2f} | {alarms} |",
                flush=True,
            )
    labelled_kinds = make_pictures(200, 2, "test")
    readings = list(reader.read_many(image for _, image in labelled_kinds))
    counts = {
        kind: [
            "no_formula" in reading.warnings
            for reading, (own, _) in zip(readings, labelled_kinds, strict=True)
            if own == kind
        ]
        for kind in KINDS
    }
    print("\n| without a formula | n | no_formula |\n|---|---|---|")
    for kind, given in counts.items():
        print(f"| {kind} | {len(given)} | {sum(given)} |")
    total = sum(map(sum, counts.values()))
    print(f"| all | {len(readings)} | {total} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", choices=["fit", "report"])
    parser.add_argument("data", nargs="+", help="FILE.parquet or FILE.parquet:FIRST:LAST")
    parser.add_argument("--model", help="a model's folder; default: the embedded model")
    parser.add_argument("--backend", choices=["auto", "torch", "onnx"], default="auto")
    arguments = parser.parse_args()
    {"fit": fit, "report": report}[arguments.job](
        arguments.data, arguments.model, arguments.backend
    )


if __name__ == "__main__":
    main()

"""Claims: `texlens data label` labels at least 75 % of im2latex's pictures, 99.5 % of them rightly.

    python benchmarks/labels.py READINGS.jsonl FILE.parquet... --out FOLDER [--folds 5]

READINGS has a line a picture as `texlens data label` writes them (`id`, `readings`). The rows of the
Parquet files whose label is known are shared into folds: the bitmaps of the glyphs are learnt from
the labels of the other folds, then from what was proved in this one; labels of this one only judge.

By drawing: a label is wrong when the known label, drawn, also fits the picture but shows something
else. By layout: the metric `layout` of the two texts is below 1. FOLDER gets every such row, a page
of 20 accepted and 20 refused pictures, and the near misses: known labels with one token changed for a
look-alike, in script or in font, or left out, which must not be accepted.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from texlens.data.labels.drawing import Grey, compare, draw
from texlens.data.labels.edits import shown
from texlens.data.labels.glyphs import GlyphTable
from texlens.data.labels.labelling import grey_picture, typeset_known
from texlens.data.labels.learning import learn
from texlens.data.labels.pages import FormulaPage, formula_pages
from texlens.data.labels.proving import ACCEPT, Case, Prover
from texlens.data.parquet import read_examples
from texlens.latex import detokenize, tokenize
from texlens.metrics.batches import ScoringConfig
from texlens.metrics.scoring import score_predictions
from texlens.records import Example, Prediction
from texlens.runs import write_json_lines

SEED = 0
LENGTHS = (15, 30, 60, 100, 10_000)  # tokens
LOOK_ALIKE = (
    r"c e o a|l 1 I i|0 O o Q|\dot \ddot|\bar \tilde \hat \check \vec|. ,|; :|- =|u v \nu|"
    r"\epsilon \varepsilon \in|\phi \varphi \psi|\theta \vartheta|\rho \varrho p|\sigma \varsigma|"
    r"x \chi \times X|w \omega|a \alpha|k \kappa K|n \eta h|\gamma y|\Lambda \wedge|\ldots \cdots|"
    r"( [|) ]|s S 5|z Z 2|g q 9|6 b|8 B 3|\mathbf \mathrm|\le <|\ast *|i j|m n|r \tau|d \partial|"
    r"\sum \Sigma|\prod \Pi|\int \oint|C G|E F|P R|U V|M N|v V|\mu \nu|\beta B|\sim \simeq \approx|"
    r"\pm \mp|1 7|4 9|5 6|\langle <|_ ^"
)


Fold = tuple[list[dict], list[tuple], dict[bool, list[tuple[Grey, Grey | None]]]]


def run_fold(
    examples: list[Example], readings: dict[str, list[str]], count: int, number: int
) -> Fold:
    """A row for each example of a fold, the near misses of its labels, and pictures to look at."""
    order = list(examples)
    random.Random(SEED).shuffle(order)
    mine = order[number::count]
    others = [e for place, e in enumerate(order) if place % count != number]
    glyphs = GlyphTable()
    known = typeset_known([(e.image, e.latex_formula) for e in others], glyphs)
    for _ in range(2):
        learn(known, glyphs)
    cases = [Case(e.id, grey_picture(e.image), readings[e.id]) for e in mine]
    prover = Prover(glyphs)
    prover.prove(cases, edit=False)
    proved = [(c.picture, c.latex) for c in cases if c.latex]
    pages = formula_pages([latex for _, latex in proved])
    more = [(p, g) for (p, _), g in zip(proved, pages, strict=True) if not isinstance(g, str)]
    learn([*known, *more], glyphs)
    again = [Case(c.id, c.picture, c.readings) for c in cases if not c.latex]
    prover.prove(again, edit=True)
    second = {case.id: case for case in again}
    cases = [second.get(case.id, case) for case in cases]
    labels = formula_pages([shown(e.latex_formula) for e in mine])
    glyphs.add(c.glyph for p in labels if not isinstance(p, str) for c in p.characters)
    print(f"fold {number}: {np.mean([c.latex is not None for c in cases]):.3f}", flush=True)
    return judge(mine, cases, glyphs, labels)


def near_misses(
    example: Example, page: FormulaPage, glyphs: GlyphTable, rng: random.Random
) -> list[tuple[str, str, str]]:
    """Labels with one change, as (formula, what was, what is)."""
    groups = [group.split() for group in LOOK_ALIKE.split("|")]
    tokens = tokenize(shown(example.latex_formula))
    changed = []
    places = [p for p, token in enumerate(tokens) if any(token in g for g in groups)]
    for place in rng.sample(places, min(6, len(places))):
        group = next(g for g in groups if tokens[place] in g)
        other = rng.choice([token for token in group if token != tokens[place]])
        changed.append((place, [other]))
    droppable = [p for p, token in enumerate(tokens) if token not in "{}^_&"]
    changed += [(place, []) for place in rng.sample(droppable, min(2, len(droppable)))]
    return [
        (detokenize([*tokens[:p], *new, *tokens[p + 1 :]]), tokens[p], " ".join(new))
        for p, new in changed
    ]


def judge(
    mine: list[Example], cases: list[Case], glyphs: GlyphTable, labels: list[FormulaPage | str]
) -> Fold:
    records, misses, shown_pages = [], [], {True: [], False: []}
    rng = random.Random(SEED)
    pages = formula_pages([case.latex or "" for case in cases])
    glyphs.add(c.glyph for p in pages if not isinstance(p, str) for c in p.characters)
    trials = []
    for example, case, page, label in zip(mine, cases, pages, labels, strict=True):
        label_fits = None
        if not isinstance(label, str):
            label_fits = compare(case.picture, label, glyphs, ACCEPT)
        same = case.latex and label_fits and same_drawing(page, label, glyphs)
        records.append(
            {
                "id": example.id,
                "tokens": len(tokenize(shown(example.latex_formula))),
                "label": shown(example.latex_formula),
                "latex": case.latex,
                "score": case.score if np.isfinite(case.score) else None,
                "pixels": case.pixels,
                "reading": case.reading,
                "first": case.readings[0] if case.readings else "",
                "label_score": label_fits.score
                if label_fits and np.isfinite(label_fits.score)
                else None,
                "same_drawing": bool(same),
            }
        )
        part = shown_pages[case.latex is not None]
        if len(part) < 20:
            part.append((case.picture, draw(page, glyphs) if case.latex else None))
        if label_fits and label_fits.score < ACCEPT:
            trials += [
                (case.picture, label, *miss) for miss in near_misses(example, label, glyphs, rng)
            ]
    drawn = formula_pages([trial[2] for trial in trials])
    glyphs.add(c.glyph for p in drawn if not isinstance(p, str) for c in p.characters)
    for (picture, label, formula, was, new), page in zip(trials, drawn, strict=True):
        if not isinstance(page, str) and not same_drawing(page, label, glyphs):
            found = compare(picture, page, glyphs, ACCEPT).score
            misses.append((found, was, new, formula))
    return records, misses, shown_pages


def same_drawing(one: FormulaPage, other: FormulaPage, glyphs: GlyphTable) -> bool:
    a, b = draw(one, glyphs), draw(other, glyphs)
    return a is not None and b is not None and a.shape == b.shape and bool((a == b).all())


def sheet(pictures: list[tuple[Grey, Grey | None]]) -> Image.Image:
    """Real pictures, each above what was drawn for it."""
    rows = []
    for real, drawn in pictures:
        rows += [real] if drawn is None else [real, drawn]
        rows.append(np.full((3, 8), 128, np.uint8))
    width = max(row.shape[1] for row in rows)
    padded = [
        np.pad(row, ((0, 2), (0, width - row.shape[1])), constant_values=row.max()) for row in rows
    ]
    return Image.fromarray(np.concatenate(padded))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("readings", type=Path)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    examples = [e for file in args.files for e in read_examples(file) if e.latex_formula]
    examples = sorted(examples, key=lambda e: int(e.id.rsplit("_", 1)[1]))[: args.limit]
    wanted = {e.id for e in examples}
    readings = {}
    with args.readings.open(encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            if record["id"] in wanted:
                readings[record["id"]] = record["readings"]
    start = time.perf_counter()
    records, misses, shown_pages = [], [], {True: [], False: []}
    run = partial(run_fold, examples, readings, args.folds)
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        for some, more, pictures in pool.map(run, range(args.folds)):
            records += some
            misses += more
            for is_accepted, part in pictures.items():
                shown_pages[is_accepted] += part
    seconds = time.perf_counter() - start
    accepted = [r for r in records if r["latex"]]
    pairs = [(r["label"], r["latex"]) for r in accepted]
    predictions = [Prediction(str(number), *pair) for number, pair in enumerate(pairs)]
    scoring = score_predictions(predictions, ScoringConfig(("layout",)), quiet=True)
    for record, item in zip(accepted, scoring.items, strict=True):
        record["layout"] = item.values["layout"]
    write_json_lines(args.out / "rows.jsonl", records)
    write_json_lines(args.out / "near_misses.jsonl", sorted(misses)[:200])
    for is_accepted, pictures in shown_pages.items():
        sheet(pictures[:20]).save(args.out / ("accepted.png" if is_accepted else "refused.png"))
    report(records, accepted, misses, seconds)


def report(records: list[dict], accepted: list[dict], misses: list[tuple], seconds: float) -> None:
    print(f"{len(records)} rows, {seconds / len(records) * 1000:.0f} ms a row with learning")
    print(f"yield {len(accepted) / len(records):.4f}")
    for low, high in zip((0, *LENGTHS), LENGTHS, strict=False):
        group = [r for r in records if low < r["tokens"] <= high]
        if group:
            share = sum(r["latex"] is not None for r in group) / len(group)
            print(f"  {low + 1:>3} to {high:>6} tokens: n {len(group):>5}, yield {share:.3f}")
    fits = [r for r in records if r["label_score"] is not None and r["label_score"] < ACCEPT]
    print(f"known labels that fit: {len(fits) / len(records):.4f}")
    wrong = [r for r in accepted if not r["same_drawing"] and r in fits]
    unclear = [r for r in accepted if not r["same_drawing"] and r not in fits]
    print(f"by drawing: {len(wrong)} wrong of {len(accepted)}; {len(unclear)} labels do not fit")
    apart = [r for r in accepted if r["layout"] is None or r["layout"] < 1]
    print(f"by layout: {len(apart)} of {len(accepted)} below 1")
    for record in (*wrong, *[r for r in apart if r not in wrong]):
        print(f"  {record['id']} layout {record['layout']} label score {record['label_score']}")
        print(f"    {record['label']}\n    {record['latex']}")
    print(f"which reading: {Counter(r['reading'] for r in accepted).most_common(4)}")
    scores = np.array([m[0] for m in misses])
    for limit in (0.5, ACCEPT, 1.2, 1.5, 2.0):
        print(f"near misses below {limit}: {int((scores < limit).sum())} of {len(scores)}")


if __name__ == "__main__":
    main()

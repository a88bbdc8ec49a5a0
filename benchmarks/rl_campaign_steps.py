"""The steps of `rl_campaign.py`, each a process: `data`, `rates`, `prompts`, `arm`, `read`.

python benchmarks/rl_campaign_steps.py data --data FOLDER --labels labels/im2latex_more.parquet
python benchmarks/rl_campaign_steps.py rates --data FOLDER --model FOLDER --share 0 3 --out FOLDER
python benchmarks/rl_campaign_steps.py prompts --data FOLDER --out FOLDER
python benchmarks/rl_campaign_steps.py arm --data FOLDER --model FOLDER --arm sft --out FOLDER
python benchmarks/rl_campaign_steps.py read --data FOLDER --model FOLDER --adapter FOLDER --out FOLDER
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from batch_reading import BatchReader
from paired import train, write_values
from rl_arms import options_parser, recipes
from texlens import runs
from texlens.model.load import load_model
from texlens.train.grpo.groups import open_groups, sample_answers, score_answers
from texlens.train.grpo.prompts import prepare_prompts, within_limit
from texlens.train.grpo.sampling.sampler import Sampler
from texlens.train.grpo.train import sampling_and_rewards
from texlens.train.rewards.functions import BatchRewards
from texlens.train.run.curves import append_log, read_log
from texlens.train.settings import DataFile, DevSet
from texlens.workers import usable_cpus

LABELLED, PICTURES, KNOWN, PROMPTS = "labelled", "pictures", "known", "prompts.parquet"
TRAIN_ROWS, DEV_ROWS = (0, 6500), (6500, 7000)
PROVED, UNLABELLED = 20_000, 12_000
"""How many of the pictures with proved labels, and without any, are used: chosen at random."""
ANSWERS, RATE_SECONDS, RATE_BATCH = 8, 60.0, 128
_LOOKS_EQUAL = 1 - 1e-9  # of `layout`


def make_data(options: argparse.Namespace) -> None:
    """Write `labelled.parquet`, `pictures.parquet` and `known.parquet` beside the data."""
    data: Path = options.data
    tables = [pq.read_table(data / f"im2latex_more_{n}.parquet") for n in (0, 1)]
    more = pa.concat_tables(tables).combine_chunks()
    column = more.schema.get_field_index("latex_formula")
    labels = {
        row["id"]: row["latex_formula"]
        for row in pq.read_table(options.labels, columns=["id", "latex_formula"]).to_pylist()
    }
    ids, known = more["id"].to_pylist(), more["latex_formula"].to_pylist()
    places = {"known": [], "proved": [], "neither": []}
    for place, (name, latex) in enumerate(zip(ids, known, strict=True)):
        kind = "known" if latex else "proved" if name in labels else "neither"
        places[kind].append(place)
    rng = random.Random(0)
    proved = rng.sample(places["proved"], min(PROVED // options.less, len(places["proved"])))
    others = sorted({*places["proved"], *places["neither"]} - set(proved))
    pictures = rng.sample(others, min(UNLABELLED // options.less, len(others)))
    pq.write_table(more.take(places["known"][:: options.less]), data / f"{KNOWN}.parquet")
    bare = more.take(pictures)
    bare = bare.set_column(column, "latex_formula", pa.nulls(len(bare), pa.string()))
    pq.write_table(bare, data / f"{PICTURES}.parquet", row_group_size=1000)
    with_label = more.take(proved)
    with_label = with_label.set_column(
        column, "latex_formula", pa.array([labels[ids[p]] for p in proved], pa.string())
    )
    printed = pq.read_table(data / "im2latex_train.parquet").slice(0, TRAIN_ROWS[1] // options.less)
    whole = pa.concat_tables(
        [printed, with_label.select(printed.schema.names).cast(printed.schema)]
    )
    shuffled = whole.take(rng.sample(range(len(whole)), len(whole)))
    pq.write_table(shuffled, data / f"{LABELLED}.parquet", row_group_size=1000)
    counts = {name: len(found) for name, found in places.items()}
    print(counts, f"labelled {len(shuffled)}, without labels {len(bare)}")


def rates(options: argparse.Namespace) -> None:
    """How often a start is right, of some labelled pictures; a line each in `rates-SHARE.jsonl`."""
    loaded = within_limit(load_model(options.model, device="auto"), 900)
    changed = loaded.prompt_config.model_copy(update={"max_new_tokens": 200})
    loaded = replace(loaded, prompt_config=changed)
    prompts = prepare_prompts(
        [DataFile(parquet=options.data / f"{LABELLED}.parquet")], loaded, max_prompt_length=900,
        quiet=True,
    )  # fmt: skip
    sampling, settings = sampling_and_rewards(loaded, temperature=1.0, top_p=1.0)
    sampler, rewards = Sampler(loaded.model), BatchRewards({"layout": 1.0}, settings)
    part, of = options.share
    table, tokenizer = prompts.table(), loaded.processor.tokenizer
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(part)
    order = list(range(part, len(prompts), of))
    size = 4 if options.tiny else RATE_BATCH
    began = time.monotonic()
    for first in range(0, len(order), size):
        rows = list(table.select(order[first : first + size]))
        groups = open_groups(loaded.processor, [row for row in rows for _ in range(ANSWERS)])
        sample_answers(groups, sampler, sampling, tokenizer)
        score_answers(groups, rewards, tokenizer)
        for group in groups:
            right = sum(s.exact or s.rewards["layout"] >= _LOOKS_EQUAL for s in group.scored)
            append_log(out / f"rates-{part}.jsonl", {"id": group.row["id"], "right": right})
        seconds = time.monotonic() - began
        print(f"{first + len(rows)} pictures, {seconds:.1f} s", flush=True)
        if seconds > (20 if options.tiny else RATE_SECONDS):
            break


def prompts(options: argparse.Namespace) -> None:
    """Write the pictures that a start read sometimes right and sometimes wrong."""
    found = [r for path in sorted(options.out.glob("rates-*.jsonl")) for r in read_log(path)]
    by_right = {n: sum(r["right"] == n for r in found) for n in range(ANSWERS + 1)}
    kept = {r["id"] for r in found if 0 < r["right"] < ANSWERS}
    table = pq.read_table(options.data / f"{LABELLED}.parquet")
    if options.tiny:
        kept = set(table["id"].to_pylist()[:40])
    chosen = table.filter(pa.array([name in kept for name in table["id"].to_pylist()]))
    pq.write_table(chosen, options.out / PROMPTS, row_group_size=1000)
    summary = {"answered": len(found), "right_of_8": by_right, "kept": len(chosen)}
    runs.write_json(options.out / "prompts.json", summary)
    print(summary)


def arm(options: argparse.Namespace) -> None:
    """Train one arm, and read dev with its last weights."""
    data: Path = options.data
    given = [
        "--model",
        options.model,
        "--train",
        data / f"{LABELLED}.parquet",
        "--arms",
        options.arm,
    ]
    given += ["--held-out", data / "im2latex_train.parquet", "--minutes", options.minutes]
    given += ["--seed", options.seed, "--out", options.out, "--prefilter-prompts", 0]
    given += ["--prompts-from", options.prompts_folder / PROMPTS]
    given += ["--pictures-from", data / f"{PICTURES}.parquet", "--grpo-learning-rate", 2e-4]
    split = {"grpo": (128, 8), "sft": (64, 1), "rft": (64, 1)}
    if options.tiny:
        given += ["--prompts", 2, "--answers", 4, "--sft-batch", 8, "--max-new-tokens", 80]
        split = {"grpo": (8, 1), "sft": (8, 1), "rft": (8, 1)}
    for name, (batch, parts) in split.items():
        given += ["--set", f"{name}.per_device_train_batch_size={batch}"]
        given += ["--set", f"{name}.gradient_accumulation_steps={parts}"]
        given += ["--set", f"{name}.fit_to_memory=false"]
        if name != "grpo":
            given += ["--set", f"{name}.dataloader_num_workers=3"]
    config = recipes(options_parser().parse_args([*map(str, given), *options.more]))[options.arm]
    train(config, options.out / "run")
    model, adapter = options.model, options.out / "run" / "adapter"
    if config.lora is None:
        model, adapter = options.out / "run" / "model", None
    reader = BatchReader(model, adapter, batch=8 if options.tiny else 128)
    dev = DevSet(
        name="dev", parquet=data / "im2latex_train.parquet", rows=DEV_ROWS,
        sample=8 if options.tiny else None,
    )  # fmt: skip
    found = reader.read([dev], options.out, "dev", unseen=False, workers=usable_cpus())
    write_values({"dev": found}, options.out)


def read_reported(options: argparse.Namespace) -> None:
    """Read dev and the reported sets, once; nothing is chosen by them."""
    data, sample = options.data, 8 if options.tiny else None

    def pictures(name: str, file: str, rows: tuple[int, int] | None = None) -> DevSet:
        return DevSet(name=name, parquet=data / f"{file}.parquet", rows=rows, sample=sample)

    sets = {
        "dev": [pictures("dev", "im2latex_train", DEV_ROWS)],
        "im2latex": [pictures("val", "im2latex_val"), pictures("known", KNOWN)],
        "screens": [pictures("screens", "screens.test")],
        "crohme2014": [pictures("crohme", "crohme_2014")],
    }
    options.out.mkdir(parents=True, exist_ok=True)
    reader = BatchReader(options.model, options.adapter, batch=8 if options.tiny else 128)
    values = {}
    for name, some in sets.items():
        unseen = name == "im2latex"
        values[name] = reader.read(some, options.out, name, unseen=unseen, workers=usable_cpus())
        write_values(values, options.out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    steps = {
        "data": make_data, "rates": rates, "prompts": prompts, "arm": arm, "read": read_reported
    }  # fmt: skip
    parser.add_argument("step", choices=list(steps))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--arm")
    parser.add_argument("--prompts-folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--share", type=int, nargs=2, default=(0, 1), metavar=("PART", "OF"))
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--out", type=Path)
    given = sys.argv[1:]
    own = given.index("--") if "--" in given else len(given)
    options = parser.parse_args(given[:own])
    options.more = given[own + 1 :]  # options of rl_arms.py
    options.less = 100 if options.tiny else 1
    steps[options.step](options)


if __name__ == "__main__":
    main()

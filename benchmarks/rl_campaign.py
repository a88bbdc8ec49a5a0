"""All arms of `rl_arms.py` from two starts, several at a time on one GPU, then everything read once.

    python benchmarks/rl_campaign.py --data FOLDER --labels labels/im2latex_more.parquet --minutes 2 \\
        --strong src/texlens/assets/small --early models/print_early --out runs/campaign
    python benchmarks/rl_campaign.py ... --tiny      # all of it on a CPU: does it run?

FOLDER holds `im2latex_train.parquet` (rows 0 to 6,500 are trained on, the last 500 are dev),
`im2latex_more_0.parquet`, `im2latex_more_1.parquet`, `im2latex_val.parquet`, `screens.test.parquet`,
`crohme_2014.parquet` and, for the two stages, `crohme_half.parquet`.

1. Data: the labelled pictures, those without labels, and the 2,996 with known labels, which are kept apart.
2. One step of GRPO measured (`grpo_step.py`).
3. Pass rates: each start answers labelled pictures eight times, for a fixed time. The prompts of RFT and GRPO,
   and of the control `sft_prompts`, are those answered sometimes right and sometimes wrong. Made once for all
   arms of a start, and counted for none.
4. The arms (`rl_campaign_steps.py arm`), always four at a time, each with processors of its own, so that
   all have equal conditions. After the first eight, dev decides (ExpRate@CDM, then `layout`) which
   rate SFT has, and which arm beside SFT and `grpo_drawn` gets three seeds.
5. Two stages from the strong start (`two_stages.py`), three seeds; then the settings of GRPO on dev, one minute each.
6. Beside 4 and 5: every model reads the reported sets once (`rl_campaign_steps.py read`).

An arm that fails is noted in `campaign.log`, and the next begins. `rl_campaign_tables.py` makes the tables.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from paired import mean, read_values

HERE = Path(__file__).resolve().parent
CHOSEN_BY = ("exprate_cdm", "layout")
KNOBS: dict[str, list[str]] = {
    "as_it_is": [],
    "groups_of_8": ["--prompts", "128", "--answers", "8"],
    "groups_of_32": ["--prompts", "32", "--answers", "32"],
    "temperature_0.7_top_p_0.95": ["--temperature", "0.7", "--set", "grpo.top_p=0.95"],
    "no_resampling": ["--set", "grpo.resampling_rounds=0"],
    # With one update a batch the policy has not moved, and no clipping can act.
    "two_updates_clip_higher": ["--set", "grpo.num_iterations=2"],
    "two_updates_clip_0.2": ["--set", "grpo.num_iterations=2", "--set", "grpo.epsilon_high=null"],
    "rate_6e-4": ["--grpo-learning-rate", "6e-4"],
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Job:
    """An arm to train: recipe `arm` of `rl_arms.py`, `more` its options."""

    name: str
    start: str
    arm: str
    seed: int = 0
    minutes: float | None = None
    more: tuple[str, ...] = ()
    reported: bool = True

    def folder(self, out: Path) -> Path:
        """Where the arm is trained."""
        return out / "arms" / f"{self.start}-{self.name}-{self.seed}"


@dataclass
class Campaign:
    """What runs where. Every command is a process of its own, with a limit of time and a log."""

    options: argparse.Namespace
    out: Path
    readings: list[object] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def note(self, text: str) -> None:
        """Add a line to the log."""
        line = f"{time.monotonic() - self.began:7.1f} s  {text}"
        print(line, flush=True)
        with (self.out / "campaign.log").open("a") as log:
            log.write(line + "\n")

    def command(self, name: str, words: Sequence[object], seconds: float, cpus: str = "") -> bool:
        """Run a script beside this one; whether it ended well."""
        prefix = ["taskset", "-c", cpus] if cpus and shutil.which("taskset") else []
        line = [*prefix, sys.executable, *map(str, words)]
        line[len(prefix) + 1] = str(HERE / line[len(prefix) + 1])
        log = self.out / "logs" / f"{name}.txt"
        log.parent.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        with log.open("w") as stream:
            environment = {**os.environ, "OMP_NUM_THREADS": "2", "TEXLENS_THREADS": "2"}
            running = subprocess.Popen(
                line, stdout=stream, stderr=subprocess.STDOUT, env=environment
            )
            try:
                code: int | str = running.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()
                code = f"killed after {seconds:.0f} s"
        self.note(f"{name}: {'done' if code == 0 else code}, {time.monotonic() - began:.0f} s")
        return code == 0

    def is_out_of_memory(self, name: str) -> bool:
        """Whether a command ended because the GPU's memory was full."""
        return "out of memory" in (self.out / "logs" / f"{name}.txt").read_text(errors="replace")

    def model(self, start: str) -> Path:
        """The folder of a start."""
        return Path(self.options.strong if start == "strong" else self.options.early)

    def shared(self) -> list[object]:
        """The options of every step."""
        return ["--data", self.options.data, *(["--tiny"] if self.options.tiny else [])]

    def cpus(self, place: int, of: int) -> str:
        """The processors of one of several processes: the first two thirds of those for arms."""
        every = sorted(os.sched_getaffinity(0))[: self.options.cpus]
        each = len(every) // of
        return ",".join(map(str, every[place * each : (place + 1) * each])) if each else ""

    def arm_cpus(self, place: int) -> str:
        """The processors of an arm: four share two thirds."""
        return self.cpus(place, 6)

    def read(self, pool: ThreadPoolExecutor, name: str, model: Path, adapter: Path | None) -> None:
        """Let a model read the reported sets, beside what trains."""
        words: list[object] = ["rl_campaign_steps.py", "read", *self.shared(), "--model", model]
        words += ["--out", self.out / "reported" / name]
        words += [] if adapter is None else ["--adapter", adapter]
        place = 4 + len(self.readings) % 2
        self.readings.append(
            pool.submit(self.command, f"read-{name}", words, 400, self.cpus(place, 6))
        )

    def wave(self, jobs: Sequence[Job], pool: ThreadPoolExecutor) -> None:
        """Train arms, all at the same time."""

        def one(place: int, job: Job) -> None:
            folder = job.folder(self.out)
            minutes = job.minutes or self.options.minutes
            words = [
                "rl_campaign_steps.py",
                "arm",
                *self.shared(),
                "--model",
                self.model(job.start),
            ]
            words += ["--prompts-folder", self.out / f"prompts-{job.start}"]
            words += ["--arm", job.arm, "--seed", job.seed, "--minutes", minutes, "--out", folder]
            words += ["--", *job.more]
            limit, cpus = 60 * minutes + 240, self.arm_cpus(place)
            ended = self.command(folder.name, words, limit, cpus)
            if not ended and self.is_out_of_memory(folder.name):
                shutil.rmtree(folder / "run", ignore_errors=True)
                halved = [*words, "--set", "grpo.per_device_train_batch_size=64"]
                halved += ["--set", "grpo.gradient_accumulation_steps=16"]
                ended = self.command(f"{folder.name}-halved", halved, limit, cpus)
            if ended and job.reported:
                adapter = folder / "run" / "adapter"
                self.read(pool, folder.name, self.model(job.start), adapter)

        with ThreadPoolExecutor(len(jobs)) as waves:
            list(waves.map(one, range(len(jobs)), jobs))

    def dev(self, job: Job) -> tuple[float, ...]:
        """What decides between arms."""
        try:
            values = read_values(job.folder(self.out))["dev"]
        except SystemExit:
            return (-1.0,)
        return tuple(mean(values[key]) for key in CHOSEN_BY)

    def two_stages(self, seed: int, place: int) -> None:
        """Print, then a brief rehearsal of handwriting, from the strong start."""
        data, steps = self.options.data, ("2", "2") if self.options.tiny else ("400", "0")
        words: list[object] = ["two_stages.py", "--base", self.model("strong"), "--seed", seed]
        words += ["--steps", *steps, "--printed", f"{data}/im2latex_val.parquet", "--handwritten"]
        words += [f"{data}/crohme_2014.parquet", "--items", 8 if self.options.tiny else 0]
        for setting in (
            f"data.0.parquet={data}/im2latex_train.parquet", "dev=[]", "report_to=[]",
            "metric_for_best_model=null", "fit_to_memory=false", "dataloader_num_workers=3",
            "precision=auto", f"stage2.data.0.parquet={data}/crohme_half.parquet",
            f"stage2.data.1.parquet={data}/im2latex_train.parquet",
            "stage2.per_device_train_batch_size=4", "stage2.learning_rate=5e-5",
            "stage1.per_device_train_batch_size=64",
        ):  # fmt: skip
            words += ["--set", setting]
        words += ["--out", self.out / "stages" / str(seed)]
        self.command(f"two_stages-{seed}", words, 540, self.arm_cpus(place))


def first_waves() -> list[list[Job]]:
    """The arms with seed 0 that decide."""
    strong = {name: Job(name, "strong", name) for name in
              ("sft", "rft", "grpo_text", "grpo_drawn", "grpo_picture", "sft_prompts")}  # fmt: skip
    low = Job("sft_low_rate", "strong", "sft", more=("--set", "sft.learning_rate=5e-5"))
    return [
        [strong[name] for name in ("sft", "rft", "grpo_text", "grpo_drawn")],
        [strong["grpo_picture"], strong["sft_prompts"], low, Job("grpo_drawn", "early", "grpo_drawn")],
    ]  # fmt: skip


def later_waves(campaign: Campaign, done: Sequence[Job]) -> list[list[Job]]:
    """Seeds 1 and 2 of SFT at its better rate, of `grpo_drawn` and of the best other arm; early arms."""
    value: Mapping[Job, tuple[float, ...]] = {job: campaign.dev(job) for job in done}
    for job, found in value.items():
        campaign.note(f"dev {job.start} {job.name}: {', '.join(f'{v:.4f}' for v in found)}")
    strong = [job for job in done if job.start == "strong"]
    sft = max((j for j in strong if j.arm == "sft"), key=value.__getitem__)
    other = max((j for j in strong if j.arm not in ("sft", "grpo_drawn")), key=value.__getitem__)
    campaign.note(f"three seeds: {sft.name}, grpo_drawn, {other.name}")
    drawn = next(j for j in strong if j.name == "grpo_drawn")
    return [
        [*(Job(j.name, "strong", j.arm, seed, more=j.more) for j in (sft, drawn, other)),
         Job(arm, "early", arm)]
        for seed, arm in ((1, "sft"), (2, "rft"))
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--strong", type=Path, required=True)
    parser.add_argument("--early", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--cpus", type=int, default=24)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--parts", nargs="+", default=["step", "rates", "arms", "stages", "knobs"])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    options.data = options.data.resolve()
    campaign = Campaign(options, options.out.resolve())
    shared = campaign.shared()
    parts = set(options.parts)
    steps = "rl_campaign_steps.py"
    campaign.command("data", [steps, "data", *shared, "--labels", options.labels], 300)
    readers = ThreadPoolExecutor(2)
    everyone = ThreadPoolExecutor(4)

    if "step" in parts:
        sizes = (2, 4, 120, 4, 1) if options.tiny else (64, 16, 200, 256, 6)
        names = ("--prompts", "--answers", "--max-new-tokens", "--batch", "--steps")
        words = [word for pair in zip(names, sizes, strict=True) for word in pair]
        words += ["--data", options.data / "im2latex_train.parquet", "--model", options.strong]
        words += ["--sides", "TexLens", "--device", "cpu" if options.tiny else "cuda"]
        if not campaign.command("grpo_step", ["grpo_step.py", *words], 120):
            words[words.index("--batch") + 1] = sizes[3] // 2
            campaign.command("grpo_step-half", ["grpo_step.py", *words], 120)
    if "rates" in parts:

        def rates(place: int) -> bool:
            start = "early" if place == 3 else "strong"
            share = [0, 1] if place == 3 else [place, 3]
            words = [steps, "rates", *shared, "--model", campaign.model(start), "--share", *share]
            words += ["--out", campaign.out / f"prompts-{start}"]
            return campaign.command(f"rates-{start}-{place}", words, 300, campaign.arm_cpus(place))

        running = [everyone.submit(rates, place) for place in range(4)]
        for start in ("strong", "early"):
            campaign.read(readers, f"{start}-start-0", campaign.model(start), None)
        for ended in running:
            ended.result()
        for start in ("strong", "early"):
            folder = campaign.out / f"prompts-{start}"
            campaign.command(f"prompts-{start}", [steps, "prompts", *shared, "--out", folder], 120)
    if "arms" in parts:
        first = first_waves()
        for wave in first:
            campaign.wave(wave, readers)
        done = [job for wave in first for job in wave]
        for later in later_waves(campaign, done):
            campaign.wave(later, readers)
    if "stages" in parts:
        list(everyone.map(campaign.two_stages, range(3), range(3)))
    if "knobs" in parts:
        jobs = [
            Job(f"knob_{name}", "strong", "grpo_drawn", minutes=options.minutes / 2, more=tuple(more),
                reported=False)
            for name, more in KNOBS.items()
        ]  # fmt: skip
        for place in range(0, len(jobs), 4):
            campaign.wave(jobs[place : place + 4], readers)
    readers.shutdown()
    campaign.note("all done")


if __name__ == "__main__":
    main()

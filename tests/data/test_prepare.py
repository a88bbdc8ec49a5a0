"""The pipeline: every item accounted for, the same bytes for any worker, resumed after a kill."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import layouts
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from texlens.cli.data import data
from texlens.data.chunks import Chunks
from texlens.data.clean import Limits
from texlens.data.corpora import open_corpus
from texlens.data.corpora.base import Corpus, Locator
from texlens.data.items import Drop, RawItem
from texlens.data.parquet import read_examples
from texlens.data.prepare import Preparation, check_faults, prepare
from texlens.errors import InputError, TexlensError
from texlens.workers import LocalWorkers

CAPTIONS = [
    ("p0.png", r"$$x^2$$"),
    ("p1.png", r"\frac12"),
    ("p2.png", r"\frac{"),
    ("p3.png", r""),
    ("p4.png", r"x ^ { 2 }"),
    ("p5.png", r"a \ne b"),
    ("blank.png", "q"),
    ("text.png", "q"),
    ("narrow.png", "q"),
    ("twin.png", r"x^{2}"),
    ("p6.png", "x " * 600),
]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder of pictures with most of what can be wrong."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for n in range(7):
        (folder / f"p{n}.png").write_bytes(layouts.picture(n))
    (folder / "twin.png").write_bytes((folder / "p0.png").read_bytes())
    (folder / "text.png").write_text("no picture")
    import io

    from PIL import Image

    for name, size in (("blank.png", (50, 20)), ("narrow.png", (4000, 5))):
        buffer = io.BytesIO()
        Image.new("L", size, 255).save(buffer, "PNG")
        (folder / name).write_bytes(buffer.getvalue())
    lines = [json.dumps({"image": name, "latex": latex}) for name, latex in CAPTIONS]
    (folder / "captions.jsonl").write_text("\n".join(lines))
    return folder


def plan_for(corpus: Path, **settings: object) -> Preparation:
    source = open_corpus("folder", [corpus], captions=corpus / "captions.jsonl")
    return Preparation(source, (10, 0, 0), 3, Limits(verify="all"), **settings)  # type: ignore[arg-type]


def test_every_item_is_kept_or_named(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    document = prepare(plan_for(corpus), out, quiet=True)
    drops = {
        drop["id"]: (drop["step"], drop["reason"])
        for drop in map(json.loads, (out / "dropped.jsonl").read_text().splitlines())
    }
    kept = {
        example.id: example.latex_formula
        for split in document["counts"]
        for example in read_examples(out / f"{split}.parquet")
    }
    assert set(kept) | set(drops) == {name for name, _ in CAPTIONS}
    assert not set(kept) & set(drops)
    assert drops["p2.png"][0] == "valid"
    assert drops["p3.png"] == ("latex", "is empty")
    assert drops["p6.png"] == ("latex", "has more than 512 tokens")
    assert drops["blank.png"] == ("picture", "is blank")
    assert drops["narrow.png"][1].startswith("is too narrow")
    assert drops["text.png"][1].startswith("cannot be opened")
    assert drops["twin.png"][0] == "duplicate"
    assert kept["p1.png"] == r"\frac { 1 } { 2 }"
    assert kept["p0.png"] == kept["p4.png"] == "x ^ { 2 }"
    assert document["verified_by_picture"] == 4
    assert not (out / ".work").exists()


def test_a_finished_folder_is_not_overwritten(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(plan_for(corpus), out, quiet=True)
    with pytest.raises(InputError, match="--force"):
        prepare(plan_for(corpus), out, quiet=True)
    prepare(plan_for(corpus), out, force=True, quiet=True)


def test_an_unfinished_run_with_other_settings_is_not_mixed(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(plan_for(corpus), out, quiet=True)
    (out / "dataset.json").unlink()
    (out / ".work").mkdir()
    (out / ".work" / "settings.json").write_text("{}")
    with pytest.raises(InputError, match="unfinished run with another source"):
        prepare(plan_for(corpus), out, quiet=True)


def test_a_corpus_that_changed_since_the_kill_is_not_mixed(corpus: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    plan = plan_for(corpus)
    locators = [one for one in plan.corpus.locators() if isinstance(one, Locator)]
    work = Chunks(plan.corpus, plan.limits, out / ".work", locators)
    work.clean(range(len(locators)), workers=LocalWorkers(1), quiet=True)
    captions = corpus / "captions.jsonl"
    captions.write_text(captions.read_text().replace("neq", "leq").replace("ne b", "leq b"))
    assert prepare(plan, out, quiet=True) == prepare(plan, whole, quiet=True)
    assert files(out) == files(whole)


def test_ids_that_come_twice_are_numbered(tmp_path: Path) -> None:
    for n, name in enumerate(("a.parquet", "b.parquet", "c.parquet")):
        layouts.parquet(tmp_path / "in" / name, "text", 1, ids=True, first=n)
    tables = [pq.read_table(tmp_path / "in" / name) for name in ("a.parquet", "b.parquet")]
    for name, table, label in zip("ab", tables, ("x", "x"), strict=True):
        table = table.set_column(table.schema.get_field_index("id"), "id", pa.array([label]))
        pq.write_table(table, tmp_path / "in" / f"{name}.parquet")
    third = pq.read_table(tmp_path / "in" / "c.parquet")
    third = third.set_column(third.schema.get_field_index("id"), "id", pa.array(["x#1"]))
    pq.write_table(third, tmp_path / "in" / "c.parquet")
    plan = Preparation(open_corpus("im2latex", [tmp_path / "in"]), (9, 0, 0), 0, Limits())
    document = prepare(plan, tmp_path / "out", quiet=True)
    ids = [example.id for example in read_examples(tmp_path / "out" / "train.parquet")]
    assert sorted(ids) == ["x##1", "x##2", "x#1"]
    assert document["ids_made_unique"] == 1


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def large(tmp_path: Path) -> Path:
    folder = tmp_path / "large"
    folder.mkdir()
    for n in range(1300):
        (folder / f"p{n:05d}.png").write_bytes(layouts.picture(n))
        (folder / f"p{n:05d}.txt").write_text(rf"\frac {{ {n} }} {{ x _ {n % 10} }}")
    return folder


def command(large: Path, out: Path, workers: int) -> list[str]:
    return [
        *(sys.executable, "-m", "texlens", "data", "prepare", "folder", "--from", str(large)),
        *("--out", str(out), "--workers", str(workers), "--verify", "none", "--json"),
    ]


@pytest.mark.slow
def test_workers_and_kills_change_no_byte(large: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    subprocess.run(command(large, whole, 1), check=True, capture_output=True, timeout=300)
    two = tmp_path / "two"
    subprocess.run(command(large, two, 2), check=True, capture_output=True, timeout=300)
    assert files(two) == files(whole)

    killed = tmp_path / "killed"
    process = subprocess.Popen(command(large, killed, 1), start_new_session=True)
    deadline = time.monotonic() + 120
    while not list((killed / ".work").glob("chunk-0000200-*.parquet")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed / "dataset.json").exists()
    subprocess.run(command(large, killed, 2), check=True, capture_output=True, timeout=300)
    assert files(killed) == files(whole)


def _limit_file_size(size: int) -> Callable[[], None]:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


@pytest.mark.slow
def test_a_disk_that_fills_is_one_sentence_and_can_be_resumed(large: Path, tmp_path: Path) -> None:
    """A limit on file size makes `write` fail as a full disk does, in the last and largest file."""
    whole, out = tmp_path / "whole", tmp_path / "out"
    subprocess.run(command(large, whole, 1), check=True, capture_output=True, timeout=300)
    largest = max(len(content) for content in files(whole).values())
    result = subprocess.run(
        command(large, out, 1),
        preexec_fn=_limit_file_size(largest // 2),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1, result.stderr
    assert "Cannot write" in result.stderr
    assert not [name for name in files(out) if name.endswith(".part")]
    assert not (out / "dataset.json").exists()
    subprocess.run(command(large, out, 1), check=True, capture_output=True, timeout=300)
    assert files(out) == files(whole)
    shutil.rmtree(out)


@dataclass(frozen=True)
class _Deadly(Corpus):
    """A corpus of which one item ends the process that loads it."""

    name = "deadly"
    sizes = None
    origins = ()

    def locators(self) -> Iterator[Locator | Drop]:
        return iter([Locator(str(n), (n,)) for n in range(7)])

    def load(self, locators: Sequence[Locator]) -> Iterator[RawItem | Drop]:
        for locator in locators:
            if locator.id == "3":
                os.kill(os.getpid(), signal.SIGKILL)
            (n,) = locator.place
            yield RawItem(locator.id, layouts.picture(n), f"x_{n}", "printed", "deadly")


@pytest.mark.slow
def test_an_item_that_ends_its_process_is_dropped_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("texlens.data.corpora.open_corpus", lambda *_, **__: _Deadly())
    command = ["prepare", "folder", "--sizes", "6/0/0", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(data, command)
    assert done.stdout.startswith("train               6\n")
    (line,) = (tmp_path / "out" / "dropped.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "id": "3", "step": "fault", "reason": "the item ended its process (signal 9)",
    }  # fmt: skip
    assert isinstance(done.exception, TexlensError)  # exit status 1
    assert "missing because of faults of TexLens: 1." in str(done.exception)


def test_what_an_item_lacks_is_no_fault() -> None:
    check_faults({"dropped": {"picture": {"is blank": 3}}})


def test_relative_paths_hold_for_workers_that_were_started_elsewhere(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a notebook that changes its working directory between two calls."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        shutil.copytree(corpus, tmp_path / name / "corpus")
        monkeypatch.chdir(tmp_path / name)
        document = prepare(plan_for(Path("corpus")), Path("out"), quiet=True)
        assert document["counts"] == {"train": 4}
        assert (tmp_path / name / "out" / "train.parquet").is_file()

"""Models and adapters go to a hub and come back, with their cards, through its HTTP API."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import TOKEN, Hub, running_hub

from texlens import Reader
from texlens.model.load import EMBEDDED, load_model

CARD = '---\nlicense: apache-2.0\n---\n\n# A model\n\n`Reader("this folder")`\n'


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        yield hub


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(EMBEDDED, folder)
    (folder / "README.md").write_text(CARD)
    (folder / "optimizer.pt").write_bytes(b"a pickle")
    return folder


def run(hub: Hub, home: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """`texlens hub` in a process of its own."""
    return run_python(hub, home, "-m", "texlens", "hub", *arguments, **changes)


def run_python(
    hub: Hub, home: Path, *arguments: str, **changes: str
) -> subprocess.CompletedProcess[str]:
    """A process of its own that uses the hub: the client reads its settings when it is imported."""
    settings = {"HF_ENDPOINT": hub.address, "HF_HOME": str(home / "hf"), "HF_TOKEN": TOKEN}
    settings |= {"HF_HUB_DISABLE_XET": "1"}  # large files by git LFS, which needs no other server
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | settings | changes, cwd=home, capture_output=True, text=True, check=False,
    )  # fmt: skip


def sentences(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What a command has on standard error beside bars of progress. No traceback."""
    assert "Traceback" not in done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("texlens: ")]


def test_a_model_comes_back_as_it_was_pushed(hub: Hub, model: Path, tmp_path: Path) -> None:
    pushed = run(hub, tmp_path, "push", "model", "me/reader", "--private")
    assert pushed.returncode == 0, pushed.stderr
    assert pushed.stdout == f"Pushed: {hub.address}/me/reader/commit/" + (
        hub.repositories["me/reader"].branches["main"] + "\n"
    )
    assert hub.repositories["me/reader"].private
    assert len(hub.repositories["me/reader"].commits) == 2  # the first is the empty repository

    pulled = run(hub, tmp_path, "pull", "me/reader", "--out", "copy")
    assert pulled.returncode == 0, pulled.stderr
    copies = {path.name: path.read_bytes() for path in (tmp_path / "copy").iterdir()}
    originals = {path.name: path.read_bytes() for path in model.iterdir()}
    assert originals.pop("optimizer.pt")
    assert b'Reader("me/reader")' in copies["README.md"]
    assert copies | {"README.md": b""} == originals | {"README.md": b""}


def test_a_pushed_adapter_is_on_its_own_branch(hub: Hub, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (adapter / name).write_bytes(name.encode())
    (adapter / "README.md").write_text(CARD)
    pushed = run(hub, tmp_path, "push", "adapter", "me/adapter", "--revision", "trial")
    assert pushed.returncode == 0, pushed.stderr
    repository = hub.repositories["me/adapter"]
    assert repository.commits[repository.branches["main"]] == {}
    pulled = run(hub, tmp_path, "pull", "me/adapter", "--out", "copy", "--revision", "trial")
    assert pulled.returncode == 0, pulled.stderr
    assert len(list((tmp_path / "copy").iterdir())) == 3


def test_a_pull_that_was_cut_goes_on(hub: Hub, tmp_path: Path) -> None:
    hub.add("me/cut", {"config.json": b"{}", "model.safetensors": b"weights" * 100_000})
    hub.cut_after = 300_000
    cut = run(hub, tmp_path, "pull", "me/cut", "--out", "copy", HF_HUB_DOWNLOAD_TIMEOUT="2")
    assert (cut.returncode, len(sentences(cut))) == (1, 1)
    assert not (tmp_path / "copy").exists()
    hub.cut_after = None
    pulled = run(hub, tmp_path, "pull", "me/cut", "--out", "copy")
    assert pulled.returncode == 0, pulled.stderr
    assert (tmp_path / "copy" / "model.safetensors").read_bytes() == b"weights" * 100_000
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda folder: (folder / "README.md").unlink(), "has no card"),
        (
            lambda folder: (folder / "README.md").write_text(CARD + "Draft, written by x: y\n"),
            "is the draft of a card",
        ),
        (lambda folder: (folder / "model.safetensors").unlink(), "holds no model and no adapter"),
        (lambda folder: (folder / "README.md").write_text("# no metadata"), "could not be pushed"),
    ],
)
def test_what_must_not_be_pushed_is_refused(hub: Hub, model: Path, change, sentence: str) -> None:  # type: ignore[no-untyped-def]
    change(model)
    done = run(hub, model.parent, "push", "model", "me/never")
    assert done.returncode in (1, 2)
    (message,) = sentences(done)
    assert sentence in message
    never = hub.repositories.get("me/never")
    assert never is None or list(never.commits.values()) == [{}]


@pytest.mark.parametrize("token", ["", "hf_a_token_that_may_only_read"])
def test_pushing_without_the_right_is_refused(hub: Hub, model: Path, token: str) -> None:
    done = run(hub, model.parent, "push", "model", "me/other", HF_TOKEN=token)
    assert (done.returncode, len(sentences(done))) == (2, 1)
    assert "log in with `hf auth login`" in done.stderr


def test_what_cannot_be_pulled_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.add("me/pickled", {"config.json": b"{}", "pytorch_model.bin": b"a pickle"})
    hub.add("me/model", {"config.json": b"{}", "model.safetensors": b""})
    (tmp_path / "there").mkdir()
    for arguments, sentence in (
        (["me/absent"], "There is no model 'me/absent' on the hub"),
        (["no name at all/"], "There is no model 'no name at all/' on the hub"),
        (["me/pickled"], "holds no model with weights in safetensors"),
        (["me/model", "--revision", "v9"], "has no revision 'v9'"),
        (["me/model", "--out", "there"], "'there' exists"),
    ):
        done = run(hub, tmp_path, "pull", "--out", "copy", *arguments)
        assert (done.returncode, len(sentences(done))) == (2, 1), done.stderr
        assert sentence in done.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name != "hf"] == ["there"]


def test_a_hub_that_is_not_there_is_a_sentence(tmp_path: Path, hub: Hub) -> None:
    done = run(hub, tmp_path, "pull", "me/model", "--out", "copy", HF_ENDPOINT="http://127.0.0.1:9")
    assert (done.returncode, len(sentences(done))) == (1, 1)


BY_NAME = """
import json, sys
from texlens import Reader
from texlens.model.load import load_model
reading = Reader("me/reader").read(sys.argv[1])
prompt = load_model("me/tiny", "me/adapter").prompt_config.instruction
print(json.dumps([reading.latex, reading.confidence, prompt]))
"""


@pytest.mark.slow
def test_a_model_and_an_adapter_are_used_by_their_names(
    hub: Hub, tmp_path: Path, model_folder: Path
) -> None:
    """With their own prompts and calibration, which transformers knows nothing of."""
    from peft import LoraConfig, get_peft_model

    adapter = tmp_path / "adapter"
    network = load_model(model_folder, device="cpu").model
    get_peft_model(network, LoraConfig(target_modules=["q_proj"])).save_pretrained(adapter)
    settings = json.loads((model_folder / "texlens.json").read_text())
    (adapter / "texlens.json").write_text(json.dumps(settings | {"instruction": "Mine."}))
    for name, folder in (("reader", EMBEDDED), ("tiny", model_folder), ("adapter", adapter)):
        hub.add(f"me/{name}", {path.name: path.read_bytes() for path in folder.iterdir()})
    picture = EMBEDDED.parents[1] / "demo" / "02-euler.png"
    here = Reader().read(picture)
    for is_offline in "01":  # the second time out of the hub's cache
        done = run_python(hub, tmp_path, "-c", BY_NAME, str(picture), HF_HUB_OFFLINE=is_offline)
        latex, confidence, prompt = json.loads(done.stdout)
        assert latex == here.latex
        assert confidence == pytest.approx(here.confidence, abs=0.01)
        assert prompt == "Mine."
    read = ["-m", "texlens", "read", str(picture), "--model", "me/absent"]
    absent = run_python(hub, tmp_path, *read, HF_HUB_OFFLINE="1")
    assert absent.returncode == 1
    assert "the hub cannot be reached: give --model a local folder" in sentences(absent)[0]

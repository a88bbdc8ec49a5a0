"""The records of a GRPO run, what its log lines say, and the page to look at."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from texlens.train.grpo.completions import (
    CompletionLog,
    PromptRecord,
    dead_groups_warning,
    prompt_text,
)
from texlens.train.rewards.functions import RewardSettings, ScoredCompletion, score_completions

WEIGHTS = {"exact": 1.0, "no_loop": 0.5, "validity_similarity": 0.0}
PROMPT = [
    {"role": "system", "content": "Be exact."},
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Read it."}]},
]


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (40, 20), 200).save(buffer, "PNG")
    return buffer.getvalue()


def prompts(*ids: str) -> list[PromptRecord]:
    return [PromptRecord(id_, PROMPT, picture()) for id_ in ids]


def scored(texts: list[str], reference: str = "a+b") -> list[ScoredCompletion]:
    return score_completions(
        texts, [reference] * len(texts), rewards=WEIGHTS, settings=RewardSettings("plain")
    )


def records(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "rewards.jsonl").read_text().splitlines()]


def test_every_completion_is_a_line(tmp_path: Path) -> None:
    log = CompletionLog(tmp_path, WEIGHTS, page_steps=0)
    log.add(3, prompts("p/1", "p/1"), scored(["a+b", "a-{"]))
    first, second = records(tmp_path)
    assert first == {
        "step": 3, "id": "p/1", "prompt": "Be exact.\nRead it.", "response": "a+b",
        "answer": "a+b", "reference": "a+b",
        "rewards": {"exact": 1.0, "no_loop": 1.0, "validity_similarity": 2.0},
        "validity_bonus": 1.0, "similarity": 1.0, "total": 1.5, "exact": True, "tokens": 3,
        "finished": True, "error": None,
    }  # fmt: skip
    assert (second["total"], second["validity_bonus"], second["finished"]) == (0.5, 0.0, False)
    assert not (tmp_path / "completions").exists()


def test_a_step_is_summed_up(tmp_path: Path) -> None:
    log = CompletionLog(tmp_path, WEIGHTS)
    texts = ["a+b", "a+b", "a+b", "c"]  # the first group is dead, the second is not
    summary = log.add(1, prompts("p", "p", "q", "q"), scored(texts))
    assert summary == {
        "reward": 1.25, "reward_std": 0.25, "reward_exact": 0.75, "reward_no_loop": 1.0,
        "reward_validity_similarity": 1.75, "validity_bonus": 1.0, "similarity": 0.75,
        "exact": 0.75, "tokens": 2.5, "finished": 1.0, "answers": 4, "dead_groups": 0.5,
        "faults": 0,
    }  # fmt: skip
    assert log.add(2, [], []) == {}


def test_dead_groups_are_warned_of_once_with_what_to_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = CompletionLog(tmp_path, WEIGHTS)
    for step in range(1, 11):
        log.add(step, prompts("p", "p", "q", "q"), scored(["a+b", "a+b", "a", "a+b"]))
    assert capsys.readouterr().err == ""  # half of them
    for step in range(11, 16):
        log.add(step, prompts("p", "p", "q", "q"), scored(["a+b"] * 4))
    said = capsys.readouterr().err
    assert said.count("learnt nothing") == 1
    assert "harder prompts with --prefilter" in said
    assert "train longer by SFT" in dead_groups_warning(60, 100, 10)


def test_a_resumed_run_drops_what_it_will_make_again(tmp_path: Path) -> None:
    log = CompletionLog(tmp_path, WEIGHTS)
    for step in (1, 2, 3):
        log.add(step, prompts("p"), scored(["a+b"]))
    with (tmp_path / "rewards.jsonl").open("a") as file:
        file.write('{"step": 3, "id": "cut o')
    CompletionLog(tmp_path, WEIGHTS, resumed_after=2).add(3, prompts("q"), scored(["c"]))
    assert [(r["step"], r["id"]) for r in records(tmp_path)] == [(1, "p"), (2, "p"), (3, "q")]
    CompletionLog(tmp_path, WEIGHTS)  # as in the other processes of the run
    assert len(records(tmp_path)) == 3
    CompletionLog(tmp_path, WEIGHTS).add(1, prompts("r"), scored(["c"]))
    assert [r["id"] for r in records(tmp_path)] == ["r"]


def test_prompts_of_any_form_become_text() -> None:
    assert prompt_text("Read.") == "Read."
    assert prompt_text([{"role": "user", "content": "Read."}]) == "Read."
    assert prompt_text(PROMPT) == "Be exact.\nRead it."
    assert prompt_text(None) == ""


HOSTILE = [
    "<script>document.title='run'</script>",
    "</code></td><img src=x onerror=\"document.title='run'\">",
    "a' onmouseover='x' \"><svg onload=document.title='run'>",
    r"\href{javascript:document.title='run'}{a}",
    r"\text{</text><script>document.title='run'</script>}",
    "{{ 7 * 7 }} {% raw %} \ud800 \x00",
]


def hostile_page(folder: Path) -> Path:
    log = CompletionLog(folder, WEIGHTS, page_steps=2)
    questions = [PromptRecord(f"{text}-id", text, picture()) for text in HOSTILE]
    log.add(2, questions, [*scored(HOSTILE[:3], HOSTILE[3]), *scored(HOSTILE[3:], HOSTILE[4])])
    return folder / "completions" / "step-000002.html"


def test_the_page_escapes_and_allows_nothing(tmp_path: Path) -> None:
    html = hostile_page(tmp_path).read_text(encoding="utf-8")
    assert "default-src 'none'; img-src data:;" in html
    tags = set(re.findall(r"<([a-zA-Z]+)", html))
    assert not tags & {"script", "svg", "iframe", "object", "link", "base", "form"}
    assert not re.search(r"<[^>]*\son\w+=", html)
    assert all(src.startswith("data:image/") for src in re.findall(r'src="([^"]*)"', html))
    assert "{{ 7 * 7 }}" in html


def test_the_page_shows_groups_with_their_drawings(tmp_path: Path) -> None:
    log = CompletionLog(tmp_path, WEIGHTS, page_steps=1)
    ids = [f"p{i // 3}" for i in range(36)]
    log.add(1, prompts(*ids), scored(["a+b", r"\frac{a}{b}", "a+b"] * 12))
    html = (tmp_path / "completions" / "step-000001.html").read_text(encoding="utf-8")
    assert html.count("<article>") == 8
    assert "4 more groups are not shown." in html
    assert html.count("data:image/svg+xml") == 8 * 3
    assert html.count("data:image/png") == 8
    assert html.count("2 times") == 8


@pytest.mark.slow
def test_nothing_runs_in_a_browser(tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium here")
    page = hostile_page(tmp_path)
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/u",
         "--virtual-time-budget=3000", "--enable-logging=stderr", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "<title>Completions of step 2</title>" in done.stdout  # a script would have changed it
    assert "<script>" not in done.stdout.replace("&lt;script&gt;", "")
    assert "Refused to" not in done.stderr  # escaped, so that the policy has nothing to refuse
    assert "Content Security Policy" not in done.stderr

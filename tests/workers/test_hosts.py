"""The places from which TexLens is called: threads, event loops, forks, scripts, dying processes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

import texlens
from texlens import render

PAIR = (r"\frac{a}{b}+x^2", r"\frac{a}{c}+x^2")
posix = pytest.mark.skipif(os.name == "nt", reason="development data absent")


def everything() -> tuple[object, ...]:
    """What users call: check, score, render, read."""
    scores = texlens.score([PAIR], ["cdm", "layout", "rouge_l", "katex_valid"])
    picture = render.png("x^2 + 1")
    assert isinstance(picture, bytes)
    return (
        texlens.check(["a+b", r"\frac{"])[0].ok,
        *(score.value for score in scores.values()),
        picture,
        texlens.read(picture).latex,
    )


@pytest.fixture(scope="module")
def expected() -> tuple[object, ...]:
    found = everything()
    assert found[0] is True
    return found


def test_inside_a_running_event_loop(expected: tuple[object, ...]) -> None:
    async def handler() -> tuple[object, ...]:
        return everything()

    async def both() -> list[tuple[object, ...]]:
        return [await handler(), await asyncio.to_thread(everything)]

    assert asyncio.run(both()) == [expected, expected]


def test_from_several_threads_at_once(expected: tuple[object, ...]) -> None:
    found: list[tuple[object, ...]] = []
    threads = [threading.Thread(target=lambda: found.append(everything())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 6


def run(script: str, folder: Path, *, how: str = "file") -> subprocess.CompletedProcess[str]:
    """Run a script that has no `__main__` guard, in a folder of its own."""
    script = textwrap.dedent(script)
    arguments, given = ["-c", script], None
    if how == "-":
        arguments, given = ["-"], script
    elif how == "file":
        path = folder / "script.py"
        path.write_text(script)
        arguments = [str(path)]
    return subprocess.run(
        [sys.executable, *arguments], input=given, capture_output=True, text=True, timeout=120,
        cwd=folder, env=os.environ | {"TEXLENS_CACHE": str(folder / "cache")},
    )  # fmt: skip


SCRIPT = """
import sys
{path}
import texlens
pairs = [(f"a_{{i}}+b", f"a_{{i}}+c") for i in range(150)]
score = texlens.score(pairs, ["layout"], workers=2)["layout"]
print(score.n, 0 < score.value < 1)
"""


@pytest.mark.parametrize("how", ["file", "-c", "-"])
def test_a_script_needs_no_guard(how: str, tmp_path: Path) -> None:
    assert run(SCRIPT.format(path=""), tmp_path, how=how).stdout == "150 True\n"


def test_files_of_the_user_do_not_replace_modules_of_the_workers(tmp_path: Path) -> None:
    for name in ("struct", "queue", "traceback", "py_mini_racer", "scipy", "sqlite3"):
        (tmp_path / f"{name}.py").write_text("import os; os._exit(9)")
    # A script that itself would not work beside them imports from its folder last.
    script = SCRIPT.format(path="sys.path.append(sys.path.pop(0))")
    done = run(script, tmp_path)
    assert (done.stdout, done.stderr) == ("150 True\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="development data absent")
@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_forked_process_gets_workers_of_its_own(tmp_path: Path) -> None:
    script = """
        import os, texlens
        from texlens.workers import get_pool
        texlens.check(["a"])
        before = set(get_pool().pids)
        child = os.fork()
        answer = [c.ok for c in texlens.check(["a+b", r"\\\\frac{"])], bool(before & set(get_pool().pids))
        if child == 0:
            os._exit(0 if answer == ([True, False], False) else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), *answer)
    """.replace("\\\\\\\\", "\\\\")
    done = run(script, tmp_path)
    assert done.stdout == "0 [True, False] True\n", done.stderr


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped by its parent does not."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], stdout=subprocess.PIPE, text=True
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")


def wait_for_the_end_of(pids: list[int]) -> None:
    deadline = time.monotonic() + 30
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@posix
@pytest.mark.parametrize("end", ["", "os.kill(os.getpid(), 9)", "os._exit(3)", "1/0"])
def test_no_worker_outlives_its_parent(end: str, tmp_path: Path) -> None:
    script = f"""
        import os, texlens
        from texlens.workers import get_pool
        texlens.check(["a"])
        print(*get_pool().pids, flush=True)
        {end}
    """
    wait_for_the_end_of([int(pid) for pid in run(script, tmp_path).stdout.split()])


@posix
@pytest.mark.skipif(not hasattr(os, "fork"), reason="development data absent")
def test_no_busy_worker_outlives_a_parent_that_was_killed(tmp_path: Path) -> None:
    """Neither while MathJax works, nor where a forked process of the parent lives on."""
    script = """
        import os, sys, threading, time, texlens
        from texlens.engine import get_engine
        from texlens.workers import get_pool
        texlens.check(["a"])
        if os.fork() == 0:
            os.close(1)
            os.close(2)
            time.sleep(20)
            os._exit(0)
        slow = "".join(f"\\\\color{{red}}{{\\\\frac{{{i}}}{{2}}}}" for i in range(90)) * 8
        threading.Thread(target=lambda: [get_engine().draw([slow]) for _ in range(100)]).start()
        time.sleep(0.2)
        print(*get_pool().pids, flush=True)
        os.kill(os.getpid(), 9)
    """
    pids = [int(pid) for pid in run(script, tmp_path, how="-c").stdout.split()]
    assert pids
    wait_for_the_end_of(pids)


@posix
def test_ctrl_c_ends_the_wait_and_the_next_call_works(tmp_path: Path) -> None:
    script = """
        import functools, operator, os, signal, threading, time, texlens
        from texlens.workers import get_pool
        texlens.check(["a"])
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            get_pool().run(functools.partial(operator.methodcaller, "__call__", 60), time.sleep)
        except KeyboardInterrupt:
            print("interrupted", texlens.check(["a"])[0].ok)
    """
    assert run(script, tmp_path).stdout == "interrupted True\n"


@pytest.mark.slow
def test_in_a_notebook() -> None:
    """A real Jupyter kernel, whose cells run inside an event loop, some with `await`."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    cells = [
        "import asyncio, texlens; from texlens import render",
        "picture = render.png('x^2 + 1'); print(texlens.check('a+b').ok)",
        f"print(texlens.score([{PAIR!r}] * 100, ['layout', 'rouge_l'], workers=2)['layout'].n)",
        "print((await asyncio.to_thread(texlens.read, picture)).latex == texlens.read(picture).latex)",
        "import os; os.kill(__import__('texlens').workers.get_pool().pids[0], 9)",
        "print(texlens.check('a+b').ok)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    printed = "".join(
        output.text
        for cell in notebook.cells
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stdout"
    )
    assert printed == "True\n100\nTrue\nTrue\n"

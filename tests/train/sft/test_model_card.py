"""The recipe on the card of a full model: how other software is to be given its pictures."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import transformers

from texlens.latex import normalize
from texlens.model.load import EMBEDDED
from texlens.model.processor import load_processor
from texlens.reading import Reader
from texlens.train.sft.settings import SftConfig
from texlens.train.sft.train import train_sft

DEMO = EMBEDDED.parents[1] / "demo"


@pytest.fixture
def stock_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stock processor without its video part, which needs torchvision."""
    monkeypatch.setattr(
        transformers.AutoProcessor, "from_pretrained", lambda name, **_: load_processor(name)
    )


def recipes(card: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", card.read_text(), re.DOTALL)


@pytest.mark.usefixtures("stock_processor")
def test_the_recipe_for_transformers_reads_as_texlens_does(
    tuning: Callable[..., SftConfig], tmp_path: Path
) -> None:
    full = tuning(
        model=str(EMBEDDED),
        lora=None,
        trainable_modules=["merger"],
        max_steps=1,
        learning_rate=1e-9,
    )
    train_sft(full, tmp_path)
    model = tmp_path / "model"
    _, recipe = recipes(model / "README.md")
    reader = Reader(model, device="cpu", constrained=False, reread=False)
    for name in ("02-euler.png", "06-limit.webp"):
        code = recipe.replace("this folder", str(model)).replace("formula.png", str(DEMO / name))
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, {})
        assert normalize(printed.getvalue()) == reader.read(DEMO / name).normal


def test_an_adapter_has_no_such_recipe(tuning: Callable[..., SftConfig], tmp_path: Path) -> None:
    train_sft(tuning(max_steps=1), tmp_path)
    (own,) = recipes(tmp_path / "adapter" / "README.md")
    assert "Reader(" in own

"""A run's folder: resumed with the same settings only."""

from __future__ import annotations

from pathlib import Path

import pytest

from texlens.errors import InputError
from texlens.runs import begin_or_resume


def test_a_run_is_resumed_with_the_same_settings_only(tmp_path: Path) -> None:
    record = tmp_path / "out" / "settings.json"
    settings = {"seed": 1, "sizes": (1, 2), "model": "small"}
    begin_or_resume(record, settings)
    begin_or_resume(record, settings)
    with pytest.raises(InputError, match="another seed and model: give another --out"):
        begin_or_resume(record, {**settings, "seed": 2, "model": "large"})
    record.write_text("cut sho")
    with pytest.raises(InputError, match="unfinished run"):
        begin_or_resume(record, settings)

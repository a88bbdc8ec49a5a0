"""Fetching: only what is needed, at one commit, and one sentence for everything that can be wrong."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import layouts
import pytest
from fake_hub import COMMIT, FakeHub, fake_hub

from texlens.data.corpora import open_corpus
from texlens.data.corpora.base import Origin
from texlens.data.items import Drop
from texlens.errors import InputError, TexlensError

__all__ = ["fake_hub"]


def test_only_the_configuration_is_fetched_and_read(fake_hub: FakeHub, tmp_path: Path) -> None:
    layouts.latex_formulas(tmp_path / "repository")
    fake_hub.repositories["OleehyO/latex-formulas"] = tmp_path / "repository"
    corpus = open_corpus("latex-formulas", [])
    shards = [f"cleaned_formulas/train-0000{n}-of-00002.parquet" for n in (0, 1)]
    assert set(fake_hub.requested) == set(shards)
    assert corpus.origins == (Origin("OleehyO/latex-formulas", COMMIT),)
    # What another program has fetched from the same data set lies in the same folder.
    snapshot = tmp_path / "hub-cache/datasets--OleehyO--latex-formulas/snapshots" / COMMIT
    assert (snapshot / "cleaned_formulas").is_dir()
    shutil.copytree(tmp_path / "repository" / "raw_formulas", snapshot / "raw_formulas")
    assert len(list(open_corpus("latex-formulas", []).locators())) == 12
    # The cache itself as a local copy: the commit is known too.
    assert open_corpus("latex-formulas", [snapshot]).origins == corpus.origins


def test_zip_files_and_a_revision(fake_hub: FakeHub, tmp_path: Path) -> None:
    layouts.unimer_zip(tmp_path / "repository")
    fake_hub.repositories["wanderkid/UniMER_Dataset"] = tmp_path / "repository"
    corpus = open_corpus("unimer", [], subset="sce", revision="main")
    assert set(fake_hub.requested) == {"UniMER-Test.zip"}
    locators = [one for one in corpus.locators() if not isinstance(one, Drop)]
    assert len(locators) == 6
    assert corpus.origins[0].commit == COMMIT
    with pytest.raises(InputError, match="has no revision 'v9'"):
        open_corpus("unimer", [], subset="sce", revision="v9")
    with pytest.raises(InputError, match="--revision is for a corpus that is fetched"):
        open_corpus("unimer", [tmp_path], subset="sce", revision="v9")


def test_a_gated_a_misspelt_and_an_emptied_data_set(fake_hub: FakeHub, tmp_path: Path) -> None:
    fake_hub.gated.add("unsloth/LaTeX_OCR")
    with pytest.raises(InputError, match="'unsloth/LaTeX_OCR' is gated: accept its conditions"):
        open_corpus("unsloth-latex-ocr", [])
    with pytest.raises(InputError, match="no data set 'OleehyO/latex-formulas' on the hub"):
        open_corpus("latex-formulas", [])
    (tmp_path / "empty").mkdir()
    fake_hub.repositories["linxy/LaTeX_OCR"] = tmp_path / "empty"
    with pytest.raises(InputError, match=r"has no human_handwrite/\*\.parquet at commit a1b2"):
        open_corpus("crohme", [])


def test_a_full_disk_and_a_hub_out_of_reach(
    fake_hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layouts.unsloth(tmp_path / "repository")
    fake_hub.repositories["unsloth/LaTeX_OCR"] = tmp_path / "repository"

    def full(*args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("huggingface_hub.file_download.http_get", full)
        with pytest.raises(TexlensError, match="the disk of the hub's cache is full"):
            open_corpus("unsloth-latex-ocr", [])
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(TexlensError, match="cannot be reached: download it elsewhere"):
        open_corpus("latex-formulas", [])


def test_a_set_of_shards_with_a_gap_is_named(tmp_path: Path) -> None:
    layouts.latex_formulas(tmp_path)
    (tmp_path / "cleaned_formulas" / "train-00000-of-00002.parquet").unlink()
    with pytest.raises(InputError, match="has 1 of the 2 files train-"):
        list(open_corpus("latex-formulas", [tmp_path]).locators())

"""Every corpus in the layout of its authors, and on what can be wrong with it."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
from collections import Counter
from pathlib import Path

import layouts
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from texlens.data.corpora import open_corpus
from texlens.data.corpora.base import Corpus, Locator
from texlens.data.corpora.hme100k import load_array_pickle
from texlens.data.items import Drop, RawItem
from texlens.errors import InputError, TexlensError


def everything(corpus: Corpus) -> tuple[list[RawItem], dict[str, str]]:
    """All items, and the reason for every id that was not taken."""
    locators = list(corpus.locators())
    loaded = list(corpus.load([r for r in locators if not isinstance(r, Drop)]))
    drops = [one for one in [*locators, *loaded] if isinstance(one, Drop)]
    items = [one for one in loaded if isinstance(one, RawItem)]
    assert len(items) + len(drops) == len(locators)
    return items, {drop.id: drop.reason for drop in drops}


@pytest.mark.parametrize(
    ("name", "column", "kind"),
    [
        ("latex-formulas", "latex_formula", "printed"),
        ("unsloth-latex-ocr", "text", "printed"),
        ("crohme", "text", "handwritten"),
        ("im2latex", "latex_formula", "printed"),
    ],
)
def test_parquet_corpora(tmp_path: Path, name: str, column: str, kind: str) -> None:
    layouts.parquet(tmp_path / "train-00000-of-00001.parquet", column, 3, ids=name == "im2latex")
    layouts.parquet(tmp_path / "validation.parquet", column, 2, first=3)
    items, drops = everything(open_corpus(name, [tmp_path]))
    assert drops == {}
    assert [item.latex for item in items] == layouts.FORMULAS[:5]
    assert {item.kind for item in items} == {kind}
    if name != "latex-formulas":  # its authors made no splits
        assert [item.split for item in items] == ["train"] * 3 + ["validation"] * 2


def test_parquet_without_the_columns_is_one_sentence(tmp_path: Path) -> None:
    layouts.parquet(tmp_path / "a.parquet", "nonsense", 1)
    with pytest.raises(InputError, match="needs image and"):
        everything(open_corpus("unsloth-latex-ocr", [tmp_path]))
    (tmp_path / "a.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(InputError, match="not a readable Parquet"):
        everything(open_corpus("unsloth-latex-ocr", [tmp_path]))


@pytest.mark.parametrize("place", ["", "cleaned_formulas"])
def test_latex_formulas_beside_formulas_without_pictures(tmp_path: Path, place: str) -> None:
    layouts.latex_formulas(tmp_path)
    items, drops = everything(open_corpus("latex-formulas", [tmp_path / place]))
    assert drops == {}
    assert len(items) == 12
    assert items[0].id == "train-00000-of-00002-0-0"
    assert "align*" in items[0].latex


@pytest.mark.parametrize(
    ("name", "subset", "kind"),
    [
        ("crohme", None, "handwritten"),
        ("linxy-latex-ocr", None, "handwritten"),
        ("linxy-latex-ocr", "full", "printed"),
    ],
)
def test_linxy_is_read_by_folder(tmp_path: Path, name: str, subset: str | None, kind: str) -> None:
    layouts.linxy(tmp_path)
    items, drops = everything(open_corpus(name, [tmp_path], subset=subset))
    assert drops == {}
    assert Counter(item.split for item in items) == {"train": 8, "validation": 2, "test": 2}
    assert {item.kind for item in items} == {kind}
    first = 500 if subset else 0
    assert {item.latex for item in items} == {layouts.formula(first + n) for n in range(12)}


def test_the_hub_s_own_conversion_to_parquet(tmp_path: Path) -> None:
    """The branch refs/convert/parquet: CONFIGURATION/SPLIT/0000.parquet."""
    for split in ("train", "validation", "test"):
        layouts.parquet(tmp_path / "human_handwrite" / split / "0000.parquet", "text", 1)
    items, _ = everything(open_corpus("crohme", [tmp_path]))
    assert {item.id: item.split for item in items} == {
        "train/0000-0-0": "train", "validation/0000-0-0": "validation", "test/0000-0-0": "test",
    }  # fmt: skip


def test_mathwriting(tmp_path: Path) -> None:
    layouts.mathwriting(tmp_path / "mathwriting-2024")
    items, drops = everything(open_corpus("mathwriting", [tmp_path]))
    assert drops == {}
    assert [(item.split, item.latex) for item in items] == [
        ("train", layouts.FORMULAS[0]), ("train", layouts.FORMULAS[1]),
        ("validation", layouts.FORMULAS[2]), ("test", layouts.FORMULAS[3]),
    ]  # fmt: skip
    root = tmp_path / "mathwriting-2024"
    (symbol,) = everything(open_corpus("mathwriting", [root], subset="symbols"))[0]
    assert symbol.latex == f"{layouts.FORMULAS[5]} \\over q"
    assert symbol.split == "train"
    (tmp_path / "mathwriting-2024.tgz").write_bytes(b"")
    with pytest.raises(InputError, match="unpack it"):
        open_corpus("mathwriting", [tmp_path / "mathwriting-2024.tgz"])


def test_crohme_ink(tmp_path: Path) -> None:
    layouts.crohme(tmp_path)
    items, drops = everything(open_corpus("crohme", [tmp_path]))
    assert len(items) == len(layouts.FORMULAS) + 1
    assert [item.id for item in items if not item.latex] == ["TestEM2014/ink_2"]  # without truth
    assert {item.split for item in items} == {"train", "test"}
    assert "broken XML" in drops["TrainINKML/broken"]


def test_crohme_with_captions(tmp_path: Path) -> None:
    layouts.crohme(tmp_path / "crohme")
    captions = tmp_path / "captions.tsv"
    captions.write_text("TrainINKML/KAIST/ink_0.inkml\tq\nTrainINKML/KAIST/gone.inkml\tr\n")
    for folder in (tmp_path / "crohme", tmp_path / "crohme" / "TrainINKML"):
        items, drops = everything(open_corpus("crohme", [folder], captions=captions))
        assert [item.latex for item in items] == ["q"]
        assert drops["TrainINKML/KAIST/gone.inkml"] == "has a caption but no ink file"
        assert "has no line in the captions file" in drops.values()


@pytest.mark.parametrize("pickled", [False, True])
def test_hme100k(tmp_path: Path, pickled: bool) -> None:
    layouts.hme100k(tmp_path, pickled=pickled)
    items, drops = everything(open_corpus("hme100k", [tmp_path]))
    assert [item.latex for item in items] == layouts.FORMULAS[:5]
    assert [item.split for item in items] == ["train"] * 3 + ["test"] * 2
    assert drops["train/train_99.jpg"] == "is a caption without a picture"


def test_arrays_of_a_pickle_are_in_bgr(tmp_path: Path) -> None:
    """OpenCV's order of the channels, in which they were stored."""
    red = np.zeros((8, 9, 3), np.uint8)
    red[..., 2] = 255
    (tmp_path / "images.pkl").write_bytes(pickle.dumps({"a.b_0": red}))
    (tmp_path / "caption.txt").write_text("a.b_0.jpg x ^ 2\n")
    (item,), drops = everything(open_corpus("hme100k", [tmp_path]))
    assert drops == {}
    assert (item.id, item.latex, item.split) == ("a.b_0", "x ^ 2", None)
    with Image.open(io.BytesIO(item.image)) as picture:
        assert picture.getpixel((4, 4)) == (255, 0, 0)


def test_hme100k_as_distributed(tmp_path: Path) -> None:
    layouts.hme100k_as_distributed(tmp_path / "HME100K")
    items, drops = everything(open_corpus("hme100k", [tmp_path]))
    assert drops == {}
    assert [(item.id, item.latex) for item in items][2:4] == [
        ("train/train_2", layouts.formula(2)), ("test/test_3", layouts.formula(3)),
    ]  # fmt: skip
    assert [item.split for item in items] == ["train"] * 3 + ["test"] * 2


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch hacked",)


def test_a_hostile_pickle_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "images.pkl"
    for content in (pickle.dumps({"a": Hostile()}), b"cos\nsystem\n(S'touch hacked'\ntR.", b"\x80"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="not a pickle of arrays"):
            load_array_pickle(path)
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(InputError, match="not a dictionary of arrays"):
        load_array_pickle(path)
    assert not (tmp_path / "hacked").exists()


def test_hmer_mixes_both(tmp_path: Path) -> None:
    layouts.crohme(tmp_path / "crohme")
    layouts.hme100k(tmp_path / "hme", pickled=False)
    corpus = open_corpus("hmer", [tmp_path / "crohme", tmp_path / "hme"])
    items, _ = everything(corpus)
    assert {item.source for item in items} == {"crohme", "hme100k"}
    assert corpus.sizes == (2000, 100, 100)
    assert len({item.id for item in items}) == len(items)


def test_unimer_lines_are_picture_numbers(tmp_path: Path) -> None:
    layouts.unimer(tmp_path)
    items, drops = everything(open_corpus("unimer", [tmp_path], subset="sce"))
    assert [(item.id, item.latex) for item in items][:2] == [
        ("sce/0000000", layouts.FORMULAS[0]),
        ("sce/0000001", layouts.FORMULAS[1]),
    ]
    assert drops == {"sce/0000005.png": "is a caption without a picture"}
    assert {item.kind for item in items} == {"screen"}
    with pytest.raises(InputError, match="--subset"):
        open_corpus("unimer", [tmp_path])


@pytest.mark.parametrize("place", ["", "UniMER-Test.zip"])
def test_unimer_in_zip_files(tmp_path: Path, place: str) -> None:
    layouts.unimer_zip(tmp_path)
    items, drops = everything(open_corpus("unimer", [tmp_path / place], subset="spe"))
    assert drops == {}
    assert [(item.id, item.latex, item.split) for item in items][1:2] == [
        ("spe/0000001", layouts.formula(1001), "test")
    ]
    assert items[1].image == layouts.picture(1001)
    if not place:
        items, drops = everything(open_corpus("unimer", [tmp_path], subset="train"))
        assert [item.id for item in items] == ["train/0000000", "train/0000002", "train/0000003"]
        assert len(drops) == 3


def test_archives_that_are_cut_short_are_named(tmp_path: Path) -> None:
    layouts.unimer_zip(tmp_path)
    archive = tmp_path / "UniMER-Test.zip"
    archive.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(InputError, match="not a whole zip file"):
        open_corpus("unimer", [tmp_path], subset="spe")
    layouts.latex_formulas(tmp_path)
    last = tmp_path / "cleaned_formulas" / "train-00001-of-00002.parquet"
    last.write_bytes(last.read_bytes()[:-100])
    locators = open_corpus("latex-formulas", [tmp_path]).locators()
    with pytest.raises(InputError, match=r"00001-of-00002.parquet' is not a readable.*again"):
        next(iter(locators))  # before the first item is given


def test_a_damaged_row_group_is_named(tmp_path: Path) -> None:
    layouts.parquet(tmp_path / "train.parquet", "text", 4)
    content = bytearray((tmp_path / "train.parquet").read_bytes())
    content[40:400] = bytes(360)
    (tmp_path / "train.parquet").write_bytes(content)
    with pytest.raises(TexlensError, match="is damaged in row group 0"):
        everything(open_corpus("unsloth-latex-ocr", [tmp_path]))


@pytest.mark.parametrize("name", ["im2latex", "crohme", "unsloth-latex-ocr"])
def test_a_corpus_that_is_gone_drops_no_item(tmp_path: Path, name: str) -> None:
    """As on a node of a cluster where its folder is not mounted, or is an empty mount point."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    if name == "unsloth-latex-ocr":
        layouts.parquet(folder / "train.parquet", "text", 4)
    else:
        getattr(layouts, name)(folder)
    corpus = open_corpus(name, [folder])
    locators = [one for one in corpus.locators() if isinstance(one, Locator)]
    assert locators
    shutil.rmtree(folder)
    for _ in range(2):
        with pytest.raises(TexlensError, match=f"'{folder}"):
            list(corpus.load(locators))
        folder.mkdir(exist_ok=True)


def test_im2latex_lists(tmp_path: Path) -> None:
    layouts.im2latex(tmp_path)
    items, drops = everything(open_corpus("im2latex", [tmp_path]))
    assert drops == {}
    assert [item.split for item in items] == ["train", "train", "validation", "test", "test"]
    assert items[-1].latex == r"\mbox{é}"


def test_folder_with_captions_beside(tmp_path: Path) -> None:
    for n in range(3):
        (tmp_path / f"p{n}.png").write_bytes(layouts.picture(n))
    (tmp_path / "p0.txt").write_text("a\n")
    (tmp_path / "p1.tex").write_bytes(b"\xff\xfe")
    (tmp_path / "alone.txt").write_text("b")
    items, drops = everything(open_corpus("folder", [tmp_path]))
    assert [(item.id, item.latex) for item in items] == [("p0.png", "a")]
    assert drops == {
        "p1.png": "its caption 'p1.tex' is not UTF-8",
        "p2.png": "has no .txt or .tex beside it",
        "alone.txt": "is a caption without a picture",
    }


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_folder_with_a_table(tmp_path: Path, suffix: str) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for n in range(3):
        (pictures / f"p{n}.png").write_bytes(layouts.picture(n))
    rows = [
        ("p0.png", "a, b"),
        ("../secret.png", "c"),
        ("gone.png", "d"),
        ("p1.png", "e"),
        ("p1.png", "f"),
    ]
    table = tmp_path / f"captions{suffix}"
    match suffix:
        case ".jsonl":
            text = "".join(json.dumps({"image": p, "latex": t}) + "\n" for p, t in rows)
        case ".tsv":
            text = "image\tlatex\n" + "".join(f"{p}\t{t}\n" for p, t in rows)
        case _:
            text = "image,latex\r\n" + "".join(f'{p},"{t}"\r\n' for p, t in rows)
    table.write_bytes(text.encode())
    items, drops = everything(open_corpus("folder", [pictures], captions=table))
    assert [(item.id, item.latex) for item in items] == [("p0.png", "a, b")]
    assert drops["../secret.png"] == "its path leaves the folder"
    assert drops["gone.png"] == "is a caption without a picture"
    assert drops["p1.png"] == "has several captions"
    assert drops["p2.png"] == "has no caption"


def test_a_broken_table_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "p0.png").write_bytes(layouts.picture(0))
    table = tmp_path / "captions.jsonl"
    table.write_text('{"image": "p0.png", "latex": "a"}\n{"image": \n')
    with pytest.raises(InputError, match="line 2: this is not JSON"):
        everything(open_corpus("folder", [tmp_path], captions=table))
    table.write_bytes(b'{"image": "p0.png"}\n\xff')
    with pytest.raises(InputError, match="line 2: the text is not UTF-8"):
        everything(open_corpus("folder", [tmp_path], captions=table))


def test_unknown_names_and_a_hub_out_of_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="choose among"):
        open_corpus("imagenet", [tmp_path])
    with pytest.raises(InputError, match="There is no"):
        open_corpus("folder", [tmp_path / "gone"])
    with pytest.raises(InputError, match="--from"):
        open_corpus("hme100k", [])
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(TexlensError, match="--from"):
        open_corpus("latex-formulas", [])


@pytest.mark.slow
def test_crohme_real_inks(shared_data: Path, tmp_path: Path) -> None:
    import tarfile

    with tarfile.open(shared_data / "crohme_ink.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    train, drops = everything(open_corpus("crohme", [tmp_path / "crohme" / "TrainINKML"]))
    assert len(train) + len(drops) == 8836
    assert len(drops) == 2, drops
    test, drops = everything(open_corpus("crohme", [tmp_path / "crohme" / "TestEM2014GT"]))
    assert (len(test), drops) == (986, {})


def test_rows_of_a_large_group_can_be_read_in_any_order(tmp_path: Path) -> None:
    columns = {
        "image": [layouts.picture(0)] * 300,
        "text": [f"x _ {{ {n} }}" if n != 7 else None for n in range(300)],
    }
    pq.write_table(pa.table(columns), tmp_path / "train.parquet", row_group_size=300)
    corpus = open_corpus("unsloth-latex-ocr", [tmp_path])
    locators = list(corpus.locators())
    wanted = [locators[n] for n in (250, 3, 7, 299, 0)]
    loaded = list(corpus.load(wanted))
    texts = [one.latex if isinstance(one, RawItem) else one.reason for one in loaded]
    assert texts == ["x _ { 250 }", "x _ { 3 }", "has no LaTeX", "x _ { 299 }", "x _ { 0 }"]


def test_the_name_of_the_given_folder_determines_the_split_too(tmp_path: Path) -> None:
    layouts.crohme(tmp_path / "crohme")
    items, _ = everything(open_corpus("crohme", [tmp_path / "crohme" / "TestEM2014GT"]))
    assert {item.split for item in items} == {"test"}


def test_a_list_with_one_line_in_latin_1_keeps_the_others(tmp_path: Path) -> None:
    layouts.im2latex(tmp_path)
    formulas = tmp_path / "im2latex_formulas.lst"
    lines = formulas.read_bytes().split(b"\n")
    lines[0] = "\\mbox{für}".encode()
    formulas.write_bytes(b"\n".join(lines))
    items, _ = everything(open_corpus("im2latex", [tmp_path]))
    latex = {item.id: item.latex for item in items}
    assert latex["abc0"] == "\\mbox{für}"
    assert latex["abc6"] == "\\mbox{é}"

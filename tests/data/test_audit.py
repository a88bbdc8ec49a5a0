"""The audit: what it counts, which leaks it finds, and a page that a hostile set cannot take over."""

from __future__ import annotations

import io
import json
from html.parser import HTMLParser
from pathlib import Path

import layouts
import pytest
from PIL import Image

from texlens.data.audit import audit
from texlens.data.parquet import write_examples
from texlens.errors import InputError
from texlens.records import Example

HOSTILE = r"</figcaption><script>alert(1)</script><img src=x onerror=alert(2)>"


def example(name: str, picture: bytes, formula: str) -> Example:
    return Example(name, picture, formula, "ours", "printed")


def with_margin(picture: bytes, margin: int) -> bytes:
    """The same ink on a larger page, in another file format without loss."""
    with Image.open(io.BytesIO(picture)) as image:
        page = Image.new("L", (image.width + 2 * margin, image.height + margin), 255)
        page.paste(image, (margin, 0))
    buffer = io.BytesIO()
    page.save(buffer, "BMP")
    return buffer.getvalue()


@pytest.fixture
def two_sets(tmp_path: Path) -> tuple[Path, Path]:
    """Five items and four: one formula shared under another spelling, one picture with a margin."""
    a = [
        example("0", layouts.picture(0), r"\frac { 1 } { 2 }"),
        example("1", layouts.picture(1), "x"),
        example("2", layouts.picture(1), "x"),
        example("3", layouts.picture(3), "y + 1"),
        example("4", b"no picture", "z"),
    ]
    b = [
        example("0", layouts.picture(10), r"\frac12"),
        example("1", with_margin(layouts.picture(3), 7), "q"),
        example("2", layouts.picture(12), "w"),
        example(HOSTILE, layouts.picture(13), r"\text{<script>alert(3)</script>} " + HOSTILE),
    ]
    write_examples(tmp_path / "a.parquet", a)
    write_examples(tmp_path / "b.parquet", b)
    return tmp_path / "a.parquet", tmp_path / "b.parquet"


def test_counts_duplicates_and_leaks(two_sets: tuple[Path, Path], tmp_path: Path) -> None:
    document = audit(two_sets, tmp_path / "out")
    first, second = document["sets"]
    assert (first["count"], first["distinct_formulas"], first["repeated_formulas"]) == (5, 4, 1)
    assert (first["repeated_pictures"], first["unreadable_pictures"]) == (1, 1)
    assert second["count"] == 4
    assert first["commonest_tokens"]["x"] == 2
    assert first["tokens"]["p100"] == 7.0
    (leak,) = document["leaks"]
    assert (leak["of"], leak["also_in"], leak["items"]) == ("b", "a", 4)
    assert (leak["by_formula"], leak["by_picture"]) == (1, 1)
    assert leak["examples"] == [r"\frac { 1 } { 2 }"]
    assert json.loads((tmp_path / "out" / "audit.json").read_text()) == document
    assert Image.open(tmp_path / "out" / "histograms.png").size[0] > 500


def test_a_prepared_folder_is_one_set_a_split(two_sets: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "prepared"
    folder.mkdir()
    for path, split in zip(two_sets, ("train", "test"), strict=True):
        path.rename(folder / f"{split}.parquet")
    document = audit([folder], tmp_path / "out")
    assert [one["name"] for one in document["sets"]] == ["prepared/train", "prepared/test"]
    assert document["leaks"][0]["by_formula"] == 1


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))


def test_the_page_runs_nothing_and_fetches_nothing(
    two_sets: tuple[Path, Path], tmp_path: Path
) -> None:
    audit(two_sets, tmp_path / "out")
    text = (tmp_path / "out" / "index.html").read_text()
    page = _Page()
    page.feed(text)
    assert "&gt;alert(1)&lt;" in text  # the hostile id is shown, as text
    assert "script" not in {tag for tag, _ in page.tags}
    sources = [attributes["src"] or "" for tag, attributes in page.tags if tag == "img"]
    assert len(sources) == 9  # histograms and every picture that can be opened
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not [a for _, attributes in page.tags for a in attributes if a.startswith("on")]
    policies = [a["content"] or "" for tag, a in page.tags if a.get("http-equiv")]
    assert len(policies) == 1
    assert policies[0].startswith("default-src 'none'")


def test_a_wrong_set_leaves_nothing_behind(two_sets: tuple[Path, Path], tmp_path: Path) -> None:
    text = tmp_path / "text.parquet"
    text.write_text("no table")
    for wrong in (tmp_path / "gone.parquet", tmp_path / "empty", text):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(InputError):
            audit([two_sets[0], wrong], tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_a_finished_audit_is_not_overwritten(two_sets: tuple[Path, Path], tmp_path: Path) -> None:
    audit(two_sets[:1], tmp_path / "out")
    with pytest.raises(InputError, match="--force"):
        audit(two_sets, tmp_path / "out")
    assert len(audit(two_sets, tmp_path / "out", force=True)["sets"]) == 2


CORPORA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.slow
@pytest.mark.skipif(not CORPORA.is_dir(), reason="development data absent")
def test_thirty_captions_of_crohme_2014_are_in_its_training_set(tmp_path: Path) -> None:
    """With one small picture for every caption: the ink does not matter here."""
    for name, file in (("train", "train"), ("test", "test2014")):
        lines = (CORPORA / f"crohme_captions_{file}.tsv").read_text("utf-8").splitlines()
        captions = [line.split("\t", 1) for line in lines]
        write_examples(
            tmp_path / f"{name}.parquet",
            (example(path, layouts.picture(0), latex) for path, latex in captions),
        )
    document = audit([tmp_path / "train.parquet", tmp_path / "test.parquet"], tmp_path / "out")
    assert document["sets"][1]["count"] == 986
    assert document["leaks"][0]["by_formula"] == 30

"""Reading predictions: three formats, and one sentence for whatever is wrong with a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from texlens.errors import InputError
from texlens.metrics.predictions import read_predictions

GOOD = [{"id": f"a/b.{n}", "gt": "x", "pred": "y", "source": "s"} for n in range(20)]


def write_lines(path: Path, rows: list[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_json_lines_keep_further_fields(tmp_path: Path) -> None:
    predictions = read_predictions(write_lines(tmp_path / "p.jsonl", [*GOOD]))
    assert [p.id for p in predictions] == [row["id"] for row in GOOD]
    assert predictions[0].extra == {"source": "s"}


def test_the_official_cdm_input_is_read(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps([{"img_id": 7, "gt": "x", "pred": "y"}], indent=2))
    (prediction,) = read_predictions(path)
    assert (prediction.id, prediction.gt, prediction.pred) == ("7", "x", "y")


def test_tables_are_read(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text('id,gt,pred\n1,"x,\ny",z\n2,"a ""b""",c\n')
    assert [p.gt for p in read_predictions(path)] == ["x,\ny", 'a "b"']
    path = tmp_path / "p.tsv"
    path.write_bytes("\ufeffid\tgt\tpred\r\n1\tx\ty\r\n".encode())
    assert read_predictions(path)[0].pred == "y"


def test_what_json_allows_in_a_text_is_no_line_end(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": "1", "gt": "a\u2028b", "pred": "\\ud800\\u0000"}\n\n')
    (prediction,) = read_predictions(path)
    assert (prediction.gt, prediction.pred) == ("a\u2028b", "\ud800\0")


def test_a_limit_stops_reading(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "p.jsonl", [*GOOD[:3], {"broken": True}])
    assert len(read_predictions(path, limit=3)) == 3


def _broken(line: int, text: str) -> bytes:
    lines = [json.dumps(row) for row in GOOD]
    lines[line - 1] = text
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("name", "content", "message_part"),
    [
        ("p.jsonl", _broken(17, '{"id": "x", "gt": '), "line 17"),
        ("p.jsonl", _broken(17, "[" * 100_000), "line 17"),
        ("p.jsonl", _broken(3, '{"id": "x", "gt": "y"}'), "line 3: the key 'pred' is missing"),
        ("p.jsonl", _broken(3, '{"gt": "y", "pred": "y"}'), "line 3: the key 'id' is missing"),
        ("p.jsonl", _broken(3, '{"id": "x", "gt": null, "pred": ""}'), "line 3: 'gt' is not a text"),
        ("p.jsonl", _broken(3, '"x"'), "line 3: this is not an object with id"),
        ("p.jsonl", _broken(9, json.dumps(GOOD[1])), "line 9: the id 'a/b.1' was already used in line 2"),
        ("p.jsonl", b"\n \n", "there are no rows"),
        ("p.json", b"[]", "there are no rows"),
        ("p.json", b'[{"img_id": "1", "gt": "x"}]', "item 1: the key 'pred' is missing"),
        ("p.json", b'[{"img_id": "1",\n "gt": }]', "line 2"),
        ("p.csv", b"id,gt\n1,x\n", "line 2: the key 'pred' is missing"),
        ("p.csv", b"id,gt,pred\n1,x\n", "line 2: the key 'pred' is missing"),
        ("p.csv", b"id,gt,pred\n1,x,y,z\n", "line 2: there are more cells"),
        ("p.csv", b"id,gt,pred\n", "there are no rows"),
        ("p.jsonl", '{"id": "é"}\n'.encode("latin-1"), "line 1: the text is not UTF-8"),
        ("p.jsonl", "\ufeff{}".encode("utf-16"), "not UTF-8"),
    ],
)  # fmt: skip
def test_an_error_is_one_sentence_with_its_line(
    tmp_path: Path, name: str, content: bytes, message_part: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_predictions(path)
    message = str(caught.value)
    assert message_part in message
    assert str(path) in message
    assert "\n" not in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_predictions(tmp_path / "absent.jsonl")
    with pytest.raises(InputError, match="directory"):
        read_predictions(tmp_path)

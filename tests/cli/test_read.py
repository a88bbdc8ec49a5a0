"""`texlens read`, as a user runs it."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image, ImageDraw, ImageFont

from texlens.cli.read import read
from texlens.errors import TexlensError


def run(*arguments: str | Path, stdin: bytes = b"") -> tuple[int, str, str]:
    """Run the command in this process: exit status, standard output, standard error."""
    result = CliRunner().invoke(read, [str(argument) for argument in arguments], input=stdin)
    error = result.exception
    if isinstance(error, TexlensError):
        return error.exit_status, result.stdout, f"{result.stderr}texlens: {error}\n"
    assert error is None or isinstance(error, SystemExit), error
    return result.exit_code, result.stdout, result.stderr


def formula(size: int = 20) -> Image.Image:
    image = Image.new("RGB", (200, 60), "white")
    font = ImageFont.load_default(size=size)
    ImageDraw.Draw(image).text((10, 10), "x + y = 2", font=font, fill="black")
    return image


@pytest.fixture
def bad_folder(tmp_path: Path) -> Path:
    """One good picture among all the bad ones of the field."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    formula().save(folder / "good.png")
    formula().convert("CMYK").save(folder / "cmyk.jpg")
    formula().quantize(4).save(folder / "palette.png", transparency=0)
    formula().save(
        folder / "animated.gif", save_all=True, append_images=[Image.new("RGB", (200, 60), "red")]
    )
    Image.new("RGB", (200, 60), "white").save(folder / "blank.png")
    Image.new("RGB", (1, 1), "black").save(folder / "point.png")
    Image.new("RGB", (40_000, 3), "white").save(folder / "strip.png")
    (folder / "text.png").write_text("no picture, just text")
    (folder / "empty.png").write_bytes(b"")
    (folder / "cut.png").write_bytes((folder / "good.png").read_bytes()[:100])
    (folder / "dangling.png").symlink_to(tmp_path / "gone.png")

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(30_001 * 100), 9)
    bomb = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    (folder / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bomb)
    return folder


def test_each_bad_picture_is_one_record_and_the_rest_goes_on(
    model_folder: Path, bad_folder: Path
) -> None:
    status, output, errors = run(
        "--model", model_folder, "--json", bad_folder, bad_folder / "missing.png"
    )
    assert status == 1
    readings = {Path(record["path"]).name: record for record in json.loads(output)["readings"]}
    assert len(readings) == len(list(bad_folder.iterdir())) + 1
    failed = {name for name, record in readings.items() if "error" in record}
    assert failed == {
        "text.png", "empty.png", "cut.png", "dangling.png", "bomb.png", "missing.png",
    }  # fmt: skip
    for name in ("blank.png", "point.png", "strip.png"):
        assert readings[name]["warnings"] == ["no_formula"]
    for name in ("cmyk.jpg", "animated.gif"):
        assert readings[name]["latex"]
    assert errors == "texlens: 6 of 13 pictures could not be read.\n"


def test_one_picture_is_printed_alone(model_folder: Path, bad_folder: Path) -> None:
    status, alone, _ = run("--model", model_folder, bad_folder / "good.png")
    assert status == 0
    content = (bad_folder / "good.png").read_bytes()
    assert run("--model", model_folder, "-", stdin=content)[1] == alone
    _, several, _ = run("--model", model_folder, bad_folder / "good.png", bad_folder / "cmyk.jpg")
    lines = several.splitlines()
    assert len(lines) == 2
    path, confidence, latex = lines[0].split("\t")
    assert path == str(bad_folder / "good.png")
    assert 0 <= float(confidence) <= 1
    assert latex == alone.rstrip("\n")


@pytest.mark.slow
def test_decoding_is_constrained_by_default(model_folder: Path, bad_folder: Path) -> None:
    warnings = {}
    for options in ([], ["--best-of", "3"], ["--unconstrained", "--no-reread"]):
        status, output, _ = run(
            "--model", model_folder, *options, "--json", bad_folder / "good.png"
        )
        assert status == 0
        (reading,) = json.loads(output)["readings"]
        warnings[tuple(options)] = reading["warnings"]
    assert "does_not_parse" not in warnings[()] + warnings[("--best-of", "3")]
    assert "unfinished" in warnings[("--unconstrained", "--no-reread")]  # random weights


def test_a_hub_out_of_reach_is_one_sentence(
    bad_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    status, output, errors = run("--model", "nobody/nothing-7B", bad_folder)
    assert status == 1
    assert output == ""
    assert len(errors.strip().splitlines()) == 1
    assert "local folder" in errors

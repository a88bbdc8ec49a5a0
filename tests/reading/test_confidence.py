"""Calibrated confidence: fitting it, storing it, and its effect on readings."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from texlens.errors import InputError
from texlens.model.load import EMBEDDED
from texlens.reading import Reader
from texlens.reading.confidence import (
    CONFIDENCE_FILE,
    Calibration,
    Regression,
    answer_features,
    load_calibration,
    weights_sha256,
)
from texlens.records import Reading, Token


def fit(features: list[dict[str, float]], outcomes: list[bool]) -> Regression:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "regression.py"
    fitted: Regression = runpy.run_path(str(path))["fit"](features, outcomes)
    return fitted


def reading(*chances: float, end: float = 1.0, warnings: tuple[str, ...] = ()) -> Reading:
    """A reading whose tokens have these probabilities."""
    tokens = tuple(Token("x", float(np.log(chance))) for chance in chances)
    every = [*chances] if "unfinished" in warnings else [*chances, end]
    mean = float(np.exp(np.mean(np.log(every))))
    return Reading("a", "x" * len(chances), mean, tokens, warnings)


def constant(chance: float) -> Regression:
    return Regression(intercept=float(np.log(chance / (1 - chance))), weights={})


def calibration(right: float, formula: float) -> Calibration:
    return Calibration(
        right=constant(right), formula=constant(formula), formula_from=0.5, fitted_on="nothing",
    )  # fmt: skip


def test_a_regression_recovers_its_coefficients() -> None:
    random = np.random.default_rng(1)
    features = [{"a": float(a), "b": float(b)} for a, b in random.normal(3, 2, (20_000, 2))]
    reference = Regression(intercept=-1.0, weights={"a": 1.5, "b": -0.7})
    outcomes = [random.random() < reference.probability(row) for row in features]
    found = fit(features, outcomes)
    assert found.intercept == pytest.approx(-1.0, abs=0.15)
    assert found.weights["a"] == pytest.approx(1.5, abs=0.1)
    assert found.weights["b"] == pytest.approx(-0.7, abs=0.1)


def test_separable_outcomes_do_not_run_away() -> None:
    features = [{"a": float(value)} for value in range(20)]
    found = fit(features, [value >= 10 for value in range(20)])
    assert np.isfinite(found.intercept)
    assert found.probability({"a": 0.0}) < 0.2 < 0.8 < found.probability({"a": 19.0})
    assert Regression(intercept=0, weights={"a": 1.0}).probability({"a": -1e9}) < 1e-100


def test_features_of_an_answer() -> None:
    features = answer_features(reading(0.5, 0.25, end=0.5))
    assert np.exp(features["log_surprise"]) == pytest.approx(np.log(16), abs=0.01)
    assert np.exp(features["log_worst"]) == pytest.approx(np.log(4), abs=0.01)
    assert features["log_tokens"] == pytest.approx(np.log(3))
    assert features["faulty"] == 0
    cut = answer_features(reading(0.5, 0.25, warnings=("unfinished",)))
    assert np.exp(cut["log_surprise"]) == pytest.approx(np.log(8), abs=0.01)
    assert cut["faulty"] == 1
    nothing = answer_features(Reading("a", "", 0.0, warnings=("no_formula",)))
    assert all(np.isfinite(value) for value in nothing.values())


def test_a_calibration_comes_back_from_its_file(tmp_path: Path) -> None:
    assert load_calibration(tmp_path) is None
    assert load_calibration(None) is None
    made = calibration(0.9, 0.8)
    made.save(tmp_path)
    found = load_calibration(tmp_path)
    assert found is not None
    assert found == made.model_copy(update={"fingerprint": weights_sha256(tmp_path)})
    (tmp_path / CONFIDENCE_FILE).write_text('{"right": 1}')
    with pytest.raises(InputError, match="not a calibration"):
        load_calibration(tmp_path)


def word(text: str) -> Image.Image:
    image = Image.new("L", (200, 50), 255)
    ImageDraw.Draw(image).text((10, 10), text, font=ImageFont.load_default(size=20), fill=0)
    return image


def test_the_reader_reports_the_calibrated_confidence(model_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    pictures = [word("a+b"), Image.new("L", (90, 50), 255)]
    plain = list(Reader(folder, device="cpu").read_many(pictures))
    calibration(right=0.75, formula=0.9).save(folder)
    sure, blank = Reader(folder, device="cpu").read_many(pictures)
    assert sure.latex == plain[0].latex
    assert sure.confidence == pytest.approx(0.75)
    assert "no_formula" not in sure.warnings
    assert (blank.confidence, blank.warnings) == (0.0, ("no_formula",))


def test_a_calibration_of_other_weights_is_not_used(model_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    calibration(right=0.75, formula=0.9).save(folder)
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.warns(UserWarning, match="fitted to other weights"):
        reader = Reader(folder, device="cpu")
    assert reader.calibration is None
    plain = Reader(model_folder, device="cpu").read(word("a+b"))
    assert reader.read(word("a+b")).confidence == pytest.approx(plain.confidence, abs=0.01)


def test_a_picture_without_formula_is_read_once(model_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    calibration(right=0.75, formula=0.1).save(folder)
    reader = Reader(folder, device="cpu")
    once = Reader(model_folder, device="cpu", reread=False).read(word("a+b"))
    found = reader.read(word("a+b"))
    assert "no_formula" in found.warnings
    assert found.confidence == 0.0
    assert found.latex == once.latex


def test_the_embedded_calibration_belongs_to_the_embedded_weights() -> None:
    made = load_calibration(EMBEDDED)
    assert made is not None
    assert made.fingerprint == weights_sha256(EMBEDDED), (
        "the weights have changed: run  python benchmarks/calibration.py fit"
    )


def test_the_embedded_model_tells_a_formula_from_a_paragraph() -> None:
    reader = Reader(backend="onnx")
    demo = Path(__file__).resolve().parents[2] / "src" / "texlens" / "demo"
    assert "no_formula" not in reader.read(demo / "01-quadratic.png").warnings
    text = "\n".join(["the quick brown fox jumps over the lazy dog and on"] * 5)
    page = Image.new("L", (520, 140), 255)
    font = ImageFont.load_default(size=18)
    ImageDraw.Draw(page).multiline_text((10, 8), text, font=font, fill=0)
    assert "no_formula" in reader.read(page).warnings

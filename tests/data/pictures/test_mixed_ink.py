"""Mixed ink: the ink and its LaTeX stay the same formula."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from texlens.data.corpora.crohme import Crohme
from texlens.data.pictures.ink import Ink, parse_inkml
from texlens.data.pictures.mixed_ink import InkMixer, InkShards, Mixing, ink_picture
from texlens.data.pictures.renderers import FormulaPicture
from texlens.data.pictures.shards import write_shards
from texlens.errors import InputError

ALWAYS = Mixing(swap=1.0, rename=1.0, untouched=0.0, turn=0.0, stretch=1.0)


def inkml(names: list[str], height: float, reference: str) -> str:
    """Each symbol is a stroke of its own shape: a slanted line of `height`, 20 apart."""
    traces = "".join(
        f'<trace id="{n}">{20 * n} 0, {20 * n + 9} {height}</trace>' for n in range(len(names))
    )
    groups = "".join(
        f'<traceGroup><annotation type="truth">{name}</annotation>'
        f'<traceView traceDataRef="{n}"/></traceGroup>'
        for n, name in enumerate(names)
    )
    return (
        f'<ink xmlns="http://www.w3.org/2003/InkML"><annotation type="truth">{reference}</annotation>'
        f'{traces}<traceGroup><annotation type="truth">Segmentation</annotation>{groups}'
        "</traceGroup></ink>"
    )


def written(names: list[str], height: float = 10.0) -> Ink:
    return parse_inkml(inkml(names, height, " ".join(names)).encode())


def test_strokes_are_grouped_to_symbols() -> None:
    assert written(["a", "+", "b"]).symbols == (("a", (0,)), ("+", (1,)), ("b", (2,)))


def test_a_name_changes_everywhere_or_nowhere_and_keeps_its_kind() -> None:
    mixer = InkMixer([written(["a", "+", "a", "3"]), written(["n", "7"])], ALWAYS)
    rng = np.random.default_rng(0)
    found = {mixer.mix(rng)[1] for _ in range(60)}
    assert found == {"n + n 7", "a 3"}


def test_names_that_ink_and_formula_do_not_share_stay() -> None:
    ink = replace(written(["a", "a"]), reference="a ^ { a } a")
    mixer = InkMixer([ink, written(["n"])], ALWAYS)
    rng = np.random.default_rng(0)
    assert {mixer.mix(rng)[1] for _ in range(40)} == {"a ^ { a } a", "a"}


def test_strokes_of_another_writer_come_in_the_size_and_place_of_the_old() -> None:
    small, large = written(["x", "+"], 10.0), written(["x"], 80.0)
    swapping = Mixing(swap=1.0, rename=0.0, untouched=0.0, turn=0.0, stretch=1.0)
    mixer = InkMixer([small, large], swapping)
    rng = np.random.default_rng(1)
    shapes = set()
    for _ in range(40):
        strokes, formula = mixer.mix(rng)
        if formula == "x +":
            x = strokes[0]
            assert np.ptp(x[:, 1]) == pytest.approx(10.0)
            assert x.mean(axis=0) == pytest.approx([4.5, 5.0])
            shapes.add(round(float(np.ptp(x[:, 0])), 3))
            np.testing.assert_allclose(strokes[1], small.strokes[1])
    assert len(shapes) == 2  # one's own and the other's


def test_pictures_have_ink_and_a_size_of_type() -> None:
    picture = ink_picture(written(["x", "y"]).strokes, "x y", np.random.default_rng(0))
    assert isinstance(picture, FormulaPicture)
    assert picture.grey.min() < 100
    assert 4 < picture.pixels_per_em < 200


def test_shards_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "ink").mkdir()
    for n in range(3):
        text = inkml(["x", "+", "y"], 10.0 + n, "$x+y$")
        (tmp_path / "ink" / f"{n}.inkml").write_text(text)
    crohme = Crohme(tmp_path / "ink")
    assert [ink.reference for ink in crohme.inks()] == ["x + y"] * 3
    assert len(crohme.inks({"0", "2", "absent"})) == 2
    list(write_shards(InkShards(crohme.inks(), 3), tmp_path / "out", 2))
    shards = sorted((tmp_path / "out").glob("*.npz"))
    assert [shard.name for shard in shards] == ["shard-00000.npz", "shard-00001.npz"]
    with np.load(shards[0]) as arrays:
        assert arrays["formulas"].tobytes().decode().count("\n") == 2


def test_a_folder_without_ink_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no \.inkml"):
        Crohme(tmp_path).inks()
    (tmp_path / "a.inkml").write_text("<ink></ink>")
    with pytest.raises(InputError, match="No ink"):
        Crohme(tmp_path).inks()

"""The LaTeX inside a response."""

from __future__ import annotations

from texlens.reading.answers import parse_answer


def test_a_control_space_at_the_end_keeps_its_space() -> None:
    assert parse_answer(" a \\ ", "plain") == "a \\ "
    assert parse_answer("<answer> a \\ </answer>", "think_answer") == "a \\ "


def test_space_around_an_answer_goes() -> None:
    assert parse_answer("\n x \\\\ \n", "plain") == "x \\\\"
    assert parse_answer("<answer>\n x </ANSWER> ", "think_answer") == "x"
    assert parse_answer("x", "think_answer") is None

from __future__ import annotations

import pytest

from texlens.latex import Check, braces_balanced, check, katex_valid


@pytest.mark.parametrize(
    ("text", "balanced"),
    [
        ("{a}{b{c}}", True),
        ("abc", True),
        ("", False),
        (None, False),
        (7, False),
        ("{a", False),
        ("}{", False),
        (r"\{", True),
        (r"\\{", False),
        (r"\\{}", True),
        ("a % {", True),
        ("a % {\n}", False),
        ("{ % {\n}", True),
        (r"\% {", False),
        (r"\\% {", True),
        ("\\\n{}", True),
        ("\\\n{", False),
        ("a\\", True),
        ("   ", True),
    ],
)
def test_the_published_brace_heuristic(text: object, balanced: bool) -> None:
    assert braces_balanced(text) is balanced


def test_check_tells_what_is_wrong_and_where() -> None:
    assert check([r"$ \frac{1}{2} $"]) == [Check(True, True, True)]
    wrong, doubled, empty, comment = check([r"$ x + \foo $", "x^2^3", "  ", "x % {"])
    assert (wrong.ok, wrong.braces, wrong.katex, wrong.position) == (False, True, False, 6)
    assert "foo" in wrong.message
    assert (doubled.position, doubled.braces) == (3, True)
    assert (empty.ok, empty.braces, empty.katex) == (False, True, False)
    assert comment.ok


def test_the_position_counts_characters_not_utf16_units() -> None:
    assert check(["\U0001f600\U0001f600 \\foo"])[0].position in (0, 3)  # or the first character
    assert check([r"\text{" + "\U00020000" + r"}\foo"])[0].position == 8


def test_hostile_input_is_answered() -> None:
    hostile = [
        "{" * 10_000, "x" * 1_000_000, "\x00", "\ud800", "\u202ex", r"\def\a{\a\a}\a",
        r"\input{/etc/passwd}", r"\write18{ls}", r"\href{javascript:alert(1)}{x}",
    ]  # fmt: skip
    results = katex_valid([*hostile, "x"])
    assert len(results) == len(hostile) + 1
    assert results[-1] is True
    assert results[0] is results[1] is False

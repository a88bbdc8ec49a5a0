from __future__ import annotations

import pytest
from formulas_strategy import texts
from hypothesis import given

from texlens.latex import unwrap


@pytest.mark.parametrize(
    ("wrapped", "inner"),
    [
        ("$x$", "x"),
        ("$$ x $$", "x"),
        (r"\(x\)", "x"),
        (r"\[ x \]", "x"),
        (r"$$\[x\]$$", "x"),
        (r"\begin{equation*} x \end{equation*}", "x"),
        (r"\begin{displaymath}x\end{displaymath}", "x"),
        (r"\begin{math}x\end{math}", "x"),
        (r"\begin{align} x = 1 \\ \end{align}", "x = 1"),
        (r"\begin{gather*}x\end{gather*}", "x"),
        (r"$\text{a $x$}$", r"\text{a $x$}"),
        # These stay.
        (r"\begin{align} x &= 1 \end{align}", r"\begin{align} x &= 1 \end{align}"),
        (r"\begin{gather}x\\y\end{gather}", r"\begin{gather}x\\y\end{gather}"),
        ("$a$ and $b$", "$a$ and $b$"),
        (r"$x\$", r"$x\$"),
        (r"\[a\]+\[b\]", r"\[a\]+\[b\]"),
        ("$", "$"),
        ("$$", ""),
        ("", ""),
    ],
)
def test_wrappers_come_off_where_they_span_the_text(wrapped: str, inner: str) -> None:
    assert unwrap(wrapped) == inner


def test_a_control_space_at_the_end_keeps_its_space() -> None:
    assert unwrap("$a\\ $") == "a\\ "
    assert unwrap(" a\\\\ ") == "a\\\\"


@given(texts)
def test_what_is_unwrapped_has_no_wrapper_left(text: str) -> None:
    once = unwrap(text)
    assert unwrap(once) == once

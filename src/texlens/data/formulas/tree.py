"""LaTeX in normal form as a tree of slots: what recombination cuts and joins.

A formula is a list of items. An item is a token (`str`) or a `Group`: the tokens between two
braces, fences or environment marks, together with the name of the slot it fills (``"_"``, ``"^"``,
``"\\frac"``, ``"fence"``, ``"\\begin{array}"``, ...). Contents of like slots can be exchanged and
the formula still parses, and still looks like mathematics.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from texlens.latex import detokenize, tokenize

_ONE_ARGUMENT = r"""\hat \bar \tilde \vec \dot \ddot \check \breve \acute \grave \widehat \widetilde
\overline \underline \overrightarrow \overleftarrow \overbrace \underbrace
\mathrm \mathbf \mathcal \mathbb \mathit \mathsf \mathtt \mathfrak \mathscr \boldsymbol
\bm \text \textrm \textbf \textit \mathop \mathbin \mathrel \pmod \phantom"""
# Commands and scripts by the number of braced arguments they take.
ARGUMENTS = {
    "_": 1, "^": 1,
    r"\frac": 2, r"\dfrac": 2, r"\tfrac": 2, r"\binom": 2, r"\stackrel": 2, r"\overset": 2,
    r"\underset": 2, r"\sqrt": 1, r"\operatorname": 1, r"\operatorname*": 1,
    **dict.fromkeys(_ONE_ARGUMENT.split(), 1),
}  # fmt: skip


@dataclass(slots=True)
class Group:
    """Items that fill one slot, and the tokens that open and close it."""

    slot: str
    items: list[Item] = field(default_factory=list)
    opening: str = "{"
    closing: str = "}"


Item = str | Group


class Unparsable(ValueError):
    """The text is not a well-nested formula."""


def parse(latex: str) -> list[Item]:
    """Parse LaTeX into items; arguments and scripts without braces get them.

    Raises:
        Unparsable: braces, fences or environments do not nest.
    """
    tokens = tokenize(latex)
    items, end = _sequence(tokens, 0, None)
    if end != len(tokens):
        raise Unparsable(f"unexpected {tokens[end]}")
    return items


def _sequence(tokens: list[str], at: int, closing: str | None) -> tuple[list[Item], int]:
    """Items up to a closing token of the given kind; returns the index of that token."""
    items: list[Item] = []
    while at < len(tokens):
        token = tokens[at]
        if token == "}" or _is_side(token, r"\right") or token.startswith(r"\end{"):
            if closing is None or not token.startswith(closing):
                raise Unparsable(f"unexpected {token}")
            return items, at
        if token == r"\sqrt" and tokens[at + 1 : at + 2] == ["["]:
            end = tokens.index("]", at) if "]" in tokens[at:] else len(tokens)
            items += tokens[at : end + 1]
            argument, at = _argument(tokens, end + 1, token)
            items.append(argument)
        elif token in ARGUMENTS:
            command, at = _command(tokens, at)
            items += command
        else:
            item, at = _item(tokens, at)
            items.append(item)
    if closing is not None:
        raise Unparsable(f"missing {closing}")
    return items, at


def _command(tokens: list[str], at: int) -> tuple[list[Item], int]:
    """A command with its arguments; returns the index of the token after them."""
    token = tokens[at]
    items: list[Item] = [token]
    at += 1
    for _ in range(ARGUMENTS[token]):
        argument, at = _argument(tokens, at, token)
        items.append(argument)
    return items, at


def _is_side(token: str, side: str) -> bool:
    return token.startswith(side) and not token[len(side) : len(side) + 1].isalpha()


def _item(tokens: list[str], at: int) -> tuple[Item, int]:
    token = tokens[at]
    if token == "{":
        items, end = _sequence(tokens, at + 1, "}")
        return Group("{}", items), end + 1
    if _is_side(token, r"\left"):
        items, end = _sequence(tokens, at + 1, r"\right")
        return Group("fence", items, token, tokens[end]), end + 1
    if token.startswith(r"\begin"):
        head: list[Item] = []
        if token == r"\begin{array}" and tokens[at + 1 : at + 2] == ["{"]:
            columns, at = _sequence(tokens, at + 2, "}")
            head.append(Group("columns", columns))
        rest, end = _sequence(tokens, at + 1, r"\end{")
        if tokens[end] != token.replace("begin", "end", 1):
            raise Unparsable(f"{token} ended by {tokens[end]}")
        return Group(token, head + rest, token, tokens[end]), end + 1
    return token, at + 1


def _argument(tokens: list[str], at: int, slot: str) -> tuple[Group, int]:
    if at >= len(tokens) or tokens[at] in ("}", "&", r"\\", "^", "_"):
        raise Unparsable(f"{slot} lacks its argument")
    token = tokens[at]
    if token == "{":
        items, end = _sequence(tokens, at + 1, "}")
        return Group(slot, items), end + 1
    if token in ARGUMENTS:
        command, at = _command(tokens, at)
        return Group(slot, command), at
    item, at = _item(tokens, at)
    return Group(slot, [item]), at


def tokens_of(items: list[Item]) -> Iterator[str]:
    """The tokens of a tree, in order."""
    for item in items:
        if isinstance(item, str):
            yield item
        else:
            yield item.opening
            yield from tokens_of(item.items)
            yield item.closing


def text_of(items: list[Item]) -> str:
    """The tree as LaTeX, tokens separated by single spaces."""
    return detokenize(list(tokens_of(items)))


def groups(items: list[Item]) -> Iterator[Group]:
    """Every group of a tree, outermost first."""
    for item in items:
        if isinstance(item, Group):
            yield item
            yield from groups(item.items)

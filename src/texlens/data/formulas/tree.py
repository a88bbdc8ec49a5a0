"""LaTeX in normal form as a tree of slots: what recombination cuts and joins.

A formula is a list of items. An item is a token (`str`) or a `Group`: the tokens between two
braces, fences or environment marks, together with the name of the slot it fills (``"_"``, ``"^"``,
``"\\frac"``, ``"fence"``, ``"\\begin{array}"``, ...). Contents of like slots can be exchanged and
the formula still parses, and still looks like mathematics.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

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
    return _Parser(tokenize(latex)).sequence("")


class _Parser:
    """Takes items from the front of a list of tokens."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def next(self) -> str:
        """The next token; empty at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def take(self) -> str:
        """The next token, which is taken."""
        token = self.next
        self._at += 1
        return token

    def sequence(self, closing: str) -> list[Item]:
        """The items before a token that begins with `closing`; all of them where it is empty."""
        items: list[Item] = []
        while token := self.next:
            if token == "}" or _is_side(token, r"\right") or token.startswith(r"\end{"):
                if not closing or not token.startswith(closing):
                    raise Unparsable(f"unexpected {token}")
                return items
            items += self.command() if token in ARGUMENTS else [self.item()]
        if closing:
            raise Unparsable(f"missing {closing}")
        return items

    def command(self) -> list[Item]:
        """A command or a script with its arguments."""
        token = self.take()
        items: list[Item] = [token]
        if token == r"\sqrt" and self.next == "[":
            while self.next not in ("", "]"):
                items.append(self.take())
            items.append(self.take())
        return [*items, *(self.argument(token) for _ in range(ARGUMENTS[token]))]

    def item(self) -> Item:
        """A token, or the group that it opens."""
        token = self.take()
        if token == "{":
            return self.group("{}")
        if _is_side(token, r"\left"):
            return self.group("fence", token, r"\right")
        if not token.startswith(r"\begin"):
            return token
        columns = []
        if token == r"\begin{array}" and self.next == "{":
            self.take()
            columns.append(self.group("columns"))
        group = self.group(token, token, r"\end{")
        if group.closing != token.replace("begin", "end", 1):
            raise Unparsable(f"{token} ended by {group.closing}")
        return replace(group, items=[*columns, *group.items])

    def group(self, slot: str, opening: str = "{", closing: str = "}") -> Group:
        """The group whose opening token was taken last."""
        return Group(slot, self.sequence(closing), opening, self.take())

    def argument(self, slot: str) -> Group:
        """One argument as a group, with braces or without."""
        if self.next in ("", "}", "&", r"\\", "^", "_"):
            raise Unparsable(f"{slot} lacks its argument")
        if self.next == "{":
            self.take()
            return self.group(slot)
        return Group(slot, self.command() if self.next in ARGUMENTS else [self.item()])


def _is_side(token: str, side: str) -> bool:
    return token.startswith(side) and not token[len(side) : len(side) + 1].isalpha()


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

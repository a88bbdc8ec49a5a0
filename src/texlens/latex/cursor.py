"""A position in the tokens of a formula, and what is copied from there as it is."""

from __future__ import annotations

from collections.abc import Sequence

from texlens.latex.tokens import end_of_text

AFTER_ATOM = frozenset(["_", "^", "'", "\\sb", "\\sp", "\\limits", "\\nolimits", "\\displaylimits"])
# Where these occur and are not expected, the formula is broken.
MISPLACED = frozenset(["", "}", "&", "$", "#", "\\left", "\\right", "\\middle"]) | AFTER_ATOM


class Unparsable(Exception):
    """Not LaTeX that the parser of the normal form understands: the formula stays as it is."""


class Cursor:
    """Reads tokens from left to right."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = [*tokens, ""]  # "" is the end
        self.position = 0

    def raw_token(self, out: list[str]) -> None:
        """Copy an argument that the tokeniser kept whole, and options before it."""
        while (token := self.tokens[self.position])[:1] == "[" and len(token) > 1:
            out.append(token)
            self.position += 1
        if len(token) < 2 or token[0] == "\\":
            raise Unparsable
        self.copy_token(out)

    def copy_token(self, out: list[str]) -> None:
        """Copy the next token."""
        out.append(self.tokens[self.position])
        self.position += 1

    def drop_argument(self) -> None:
        """Skip a group or a token."""
        if self.tokens[self.position][:1] == "{":
            self.verbatim_group([])
        elif self.tokens[self.position] in MISPLACED:
            raise Unparsable
        else:
            self.position += 1

    def text_group(self) -> Sequence[str]:
        """Take a group of text or chemistry; return what is between its braces."""
        start = self.position
        if self.tokens[start] != "{":
            raise Unparsable
        self.position = end_of_text(self.tokens, start)
        if not self.tokens[self.position - 1]:
            raise Unparsable
        return self.tokens[start + 1 : self.position - 1]

    def verbatim_group(self, out: list[str]) -> None:
        """Copy a group in braces as it is."""
        token = self.tokens[self.position]
        if token[:1] != "{":
            raise Unparsable
        self.position += 1
        out.append(token)
        if token == "{":
            self.verbatim(out, "{", "}")

    def verbatim(self, out: list[str], opening: str, closing: str) -> None:
        """Copy tokens as they are, up to the one that closes the opening before them."""
        depth = 1
        while depth:
            token = self.tokens[self.position]
            if not token:
                raise Unparsable
            self.position += 1
            out.append(token)
            depth += (token == opening) - (token == closing)

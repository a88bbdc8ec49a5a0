"""The words of a formula as the grammar reads them, one at a time."""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left
from typing import Final

_WHITE_SPACE: Final = re.compile(r"[ \r\n\t]+")
_TOKEN: Final = re.compile(
    " |---?|[!-\\[\\]-\u2027\u202a-\ud7ff\uf900-\uffff\U00010000-\U0010ffff]"
    r"|\\(?:[a-zA-Z]+|[^a-zA-Z])"
)
_SIZE: Final = re.compile(r"\s*(-?)\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]{2})")
END: Final = "EOF"


class Refused(Exception):
    """The grammar does not accept the formula."""


class Words:
    """A position in the words of a formula; `next` is the word there."""

    def __init__(self, latex: str) -> None:
        self.latex = _WHITE_SPACE.sub(" ", latex)
        self.words: list[str] = _TOKEN.findall(self.latex)
        if sum(map(len, self.words)) != len(self.latex):
            raise Refused
        self.words.append(END)
        self.index = -1
        self.text = False  # text mode: white space prints, scripts do not exist
        self.next = ""
        self.advance()

    def advance(self) -> None:
        """Step to the next word, over white space in math."""
        index = self.index + 1
        word = self.words[index]
        if word == " " and not self.text:
            index += 1
            word = self.words[index]
        self.index = index
        self.next = word

    def reread(self) -> None:
        """Back in the outer mode: skip white space that does not count there."""
        if self.next == " " and not self.text:
            self.advance()

    def expect(self, word: str) -> None:
        """Step over this very word."""
        if self.next != word:
            raise Refused
        self.advance()

    def size(self, opening: str, closing: str) -> str:
        """A length between brackets or braces, as it prints."""
        if self.next != opening:
            raise Refused
        starts = list(itertools.accumulate(map(len, self.words), initial=0))
        match = _SIZE.match(self.latex, starts[self.index + 1])
        if match is None:
            raise Refused
        self.index = bisect_left(starts, match.end()) - 1
        self.advance()
        self.expect(closing)
        sign, digits, unit = match.groups()
        return f"{float(sign + digits):g} {unit}"

r"""Decoding that cannot leave the language: which tokens a model may write next.

A `Guard` walks `latex.grammar` with a model's tokens. It fits tokenisers whose tokens are pieces of
LaTeX, as those of `model.tokenizer` are (one token a command, a delimiter or a character, with the
space before it; anything else letter by letter). Tokens that reach over several pieces, as those of
large language models do, cannot be judged one by one: such a model is read unguarded, and its
answer is checked afterwards.

A token is allowed if the formula can go on with it and still be closed within the limit: near the
limit everything closes. Needs nothing but numpy, and knows nothing of the decoder.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from texlens.latex.grammar import Grammar, State, kind, pieces

Bools = npt.NDArray[np.bool_]

_SHARE_OF_PIECES = 0.9  # of a tokeniser's entries, for a guard to fit
_NEVER = np.int16(np.iinfo(np.int16).max)
_OUT_OF_REACH = 10_000  # the price of what cannot be written with these tokens
_MOST_TOKENS = 20_000  # a tokeniser that knows more does not have LaTeX alone in mind
_MAX_CACHED = 4_000_000  # entries of two bytes, in lists of all tokens


class Place(NamedTuple):
    r"""Where one answer stands.

    `state` is the grammar's; `begun` the beginning of a piece that is written letter by letter
    (`" \fra"`, or a lone space before what follows); `left` how many tokens may still be written,
    the end token among them.
    """

    state: State
    begun: str
    left: int


class Guard:
    """The language in the tokens of one model.

    `texts`: the text of every token, in the order of their numbers, empty for special tokens;
    `end_tokens`: those that end an answer.
    """

    def __init__(self, texts: Sequence[str], end_tokens: Sequence[int]) -> None:
        self._texts = texts
        self._end_tokens = frozenset(end_tokens)
        self._known = {text.removeprefix(" ") for text in texts if text}
        self.grammar = Grammar(self._price)
        self._beginnings = self._all_beginnings()
        self._changes: dict[tuple[object, str], npt.NDArray[np.int16]] = {}
        alike: dict[object, list[int]] = defaultdict(list)
        for token, text in enumerate(texts):
            if text:
                piece = text.removeprefix(" ")
                alike[(piece != text, len(text) == 1 and text, piece and kind(piece))].append(token)
        self._alike = [np.array(tokens) for tokens in alike.values()]

    @staticmethod
    def fits(texts: Sequence[str]) -> bool:
        """Whether these tokens are pieces of LaTeX, each with at most the space before it."""
        known = pieces()
        judged = [text.removeprefix(" ") for text in texts if text and text.isprintable()]
        are_pieces = [len(text) <= 1 or text in known or text[0] == "\\" for text in judged]
        return bool(judged) and sum(are_pieces) >= _SHARE_OF_PIECES * len(judged)

    def start(self, max_new_tokens: int) -> Place:
        """The place of an answer before its first token."""
        return Place(self.grammar.start, "", max_new_tokens)

    def allowed(self, places: Sequence[Place]) -> Bools:
        """The tokens that may come next, as (places, tokens). At least one may at every place."""
        allowed = np.stack([self._allowed(place) for place in places])
        for stuck in np.flatnonzero(~allowed.any(axis=1)):  # the limit was too small from the start
            allowed[stuck, list(self._end_tokens)] = True
        return allowed

    def advance(self, place: Place, token: int) -> Place | None:
        """The place after this token; None if it may not come there. An end token changes nothing."""
        if token in self._end_tokens:
            return place if self._may_end(place.state, place.begun) else None
        text = self._texts[token] if token < len(self._texts) else ""
        after = self._follow(place.state, place.begun, text) if text else None
        if after is None or self._price_to_end(*after) > place.left - 2:
            return None
        return Place(*after, place.left - 1)

    def hurried(self, place: Place) -> Place:
        """The same place with just enough tokens left to close what is open."""
        return place._replace(
            left=min(place.left, self._price_to_end(place.state, place.begun) + 1)
        )

    def is_short(self, place: Place) -> bool:
        """Whether nothing but closing is allowed any more."""
        return place.left <= self._price_to_end(place.state, place.begun) + 1

    def _allowed(self, place: Place) -> Bools:
        slack = place.left - 2 - self.grammar.price_to_end(place.state)
        allowed: Bools = self._price_changes(place.state, place.begun) <= min(
            slack, int(_NEVER) - 1
        )
        return allowed

    def _price_changes(self, state: State, begun: str) -> npt.NDArray[np.int16]:
        """By how much each token changes the price of ending after `state`."""
        key = (state.signature, begun)
        changes = self._changes.get(key)
        if changes is None:
            if len(self._changes) * len(self._texts) > _MAX_CACHED:
                self._changes.clear()
            price = self.grammar.price_to_end(state)
            changes = np.full(len(self._texts), _NEVER, dtype=np.int16)
            for tokens in self._alike:
                text = self._texts[tokens[0]]
                if text and (after := self._follow(state, begun, text)) is not None:
                    changes[tokens] = min(self._price_to_end(*after) - price, int(_NEVER))
            if self._may_end(state, begun):
                changes[list(self._end_tokens)] = np.iinfo(np.int16).min
            self._changes[key] = changes
        return changes

    def _follow(self, state: State, begun: str, text: str) -> tuple[State, str] | None:
        """Where a token with this text leads."""
        if not begun or begun == " ":
            spaced = bool(begun) or text[0] == " "
            if (begun and text[0] == " ") or (spaced and not state.takes_space):
                return None
            piece = text.removeprefix(" ")
            if not piece:
                return state, " "
            if piece == "\\":
                begun = " \\" if spaced else piece
                return (state, begun) if self._endings(state, begun) else None
            after = self.grammar.step(state, piece, spaced)
            return None if after is None else (after, "")
        longer = begun + text
        if len(text) == 1 and self._endings(state, longer):
            after = self._finished(state, longer)
            is_final = after is not None and len(self._beginnings[longer.removeprefix(" ")]) == 1
            return (after, "") if is_final and after is not None else (state, longer)
        after = self._finished(state, begun)
        return None if after is None else self._follow(after, "", text)

    def _finished(self, state: State, begun: str) -> State | None:
        """The state when the piece that was written letter by letter is taken as complete."""
        return self.grammar.step(state, begun.removeprefix(" "), begun[0] == " ")

    def _endings(self, state: State, begun: str) -> list[int]:
        """The prices to the end by way of each allowed piece that begins so."""
        name = begun.removeprefix(" ")
        prices = []
        for piece in self._beginnings.get(name, ()):
            if after := self.grammar.step(state, piece, begun[0] == " "):
                prices.append(len(piece) - len(name) + self.grammar.price_to_end(after))
        return prices

    def _price_to_end(self, state: State, begun: str) -> int:
        if begun in ("", " "):
            return self.grammar.price_to_end(state)
        return min(self._endings(state, begun), default=_OUT_OF_REACH)

    def _may_end(self, state: State, begun: str) -> bool:
        if begun not in ("", " "):
            after = self._finished(state, begun)
            return after is not None and self.grammar.accepts(after)
        return self.grammar.accepts(state)

    def _all_beginnings(self) -> dict[str, list[str]]:
        """The pieces that can be written letter by letter, under each of their beginnings.

        Of each kind the shortest that goes on, beside the one that is complete.
        """
        found: dict[str, dict[object, str]] = defaultdict(dict)
        for piece in sorted(pieces(), key=len):
            if self._known.issuperset(piece):
                found[piece][piece] = piece
                alike = kind(piece)
                for length in range(1, len(piece)):
                    found[piece[:length]].setdefault(alike, piece)
        return {name: list(alike.values()) for name, alike in found.items()}

    def _price(self, piece: str) -> int:
        """How many tokens it takes to write a piece."""
        if piece in self._known or not piece:
            return 1
        return len(piece) if self._known.issuperset(piece) else _OUT_OF_REACH


def guard_for(
    text: Callable[[Sequence[int]], str], vocabulary: int, end_tokens: Sequence[int]
) -> Guard | None:
    """The guard of a model with so many tokens, whose text (`` if special) `text` gives.

    None where a guard does not fit.
    """
    if vocabulary > _MOST_TOKENS:
        return None
    texts = [text([token]) for token in range(vocabulary)]
    return Guard(texts, end_tokens) if Guard.fits(texts) else None

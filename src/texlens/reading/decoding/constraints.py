"""Constrained decoding: a model's answer can only be LaTeX that parses.

llguidance follows `latex.grammar` through a model's tokens. The limit on an answer's length is kept
here: a token is allowed only if the formula can still be closed within the limit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt
from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

from texlens.latex.grammar import ENVIRONMENTS, lark_grammar, words
from texlens.model.small import MOST_TOKENS

# What closes an open formula, in the order in which it is tried: an end; the beginning of an
# argument; what completes a length, a delimiter or an empty formula.
_ENDS = ("}", "\\right.")
_COMPLETIONS = ("]", "{", *"mentx1(")
_MOST_OWED = 24  # more than one token can add to the tokens that close the formula


class Constraint:
    """The grammar in the tokens of one model.

    Args:
        texts: the text of every token, in the order of their ids; empty for special tokens.
        end_tokens: the tokens that end an answer.
    """

    def __init__(self, texts: Sequence[str], end_tokens: Sequence[int]) -> None:
        self.texts, self.end_tokens = tuple(texts), tuple(end_tokens)
        known = frozenset().union(*words().values())
        # Commands outside the language must not become the beginnings of longer names.
        self.unknown = frozenset(
            token
            for token, text in enumerate(texts)
            if re.fullmatch(r" ?\\[a-zA-Z]+", text) and text.strip() not in known
        )
        vocabulary = TokenizerWrapper(_Vocabulary(texts, end_tokens[0]))
        tokenizer = LLTokenizer(vocabulary, eos_token=list(end_tokens))
        self._matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_lark(lark_grammar()))

        def spelt(pieces: Iterable[str]) -> list[list[int]]:
            texts = [space + piece for piece in pieces for space in (" ", "")]
            tokens = map(tokenizer.greedy_tokenize, texts)
            return [
                ids
                for ids, text in zip(tokens, texts, strict=True)
                if tokenizer.decode_str(ids) == text
            ]

        self.ends, self.completions = spelt(_ENDS), spelt(_COMPLETIONS)
        self.environment_ends = spelt(f"\\end{{{name}}}" for name in ENVIRONMENTS)
        self.any_environment_end = tokenizer.greedy_tokenize("\\end{")

    def parse(self, tokens: Sequence[int]) -> tuple[int, bool]:
        """How many of these tokens the grammar accepts, and whether they are a whole formula."""
        unknown = (place for place, token in enumerate(tokens) if token in self.unknown)
        known = next(unknown, len(tokens))
        matcher = self._matcher.deep_copy()
        count = matcher.try_consume_tokens(list(tokens[:known]))
        return count, count == len(tokens) and matcher.is_accepting()

    def closing(self, tokens: Sequence[int]) -> list[int]:
        """Tokens after which these, the beginning of a formula, are a whole one."""
        matcher = self._matcher.deep_copy()
        matcher.consume_tokens(list(tokens))
        return ConstrainedAnswer(self, matcher, MOST_TOKENS)._close()

    def begin(self, max_new_tokens: int) -> ConstrainedAnswer:
        """An empty answer; `max_new_tokens` counts the end token."""
        return ConstrainedAnswer(self, self._matcher.deep_copy(), max_new_tokens)


class _Vocabulary:
    """A tokenizer in the form that llguidance takes."""

    bos_token_id = None

    def __init__(self, texts: Sequence[str], end_token: int) -> None:
        self.eos_token_id = end_token
        self.tokens = [text.encode() for text in texts]
        self.special_token_ids = [token for token, text in enumerate(texts) if not text]
        self._ids = {text: token for token, text in enumerate(self.tokens)}

    def __call__(self, text: bytes) -> list[int]:
        """The tokens of a text, the longest first, up to where none fits."""
        tokens: list[int] = []
        while text:
            known = next((n for n in range(len(text), 0, -1) if text[:n] in self._ids), 0)
            if not known:
                break
            tokens.append(self._ids[text[:known]])
            text = text[known:]
        return tokens


class ConstrainedAnswer:
    """The state of one answer in the grammar, and the tokens that it may still have."""

    def __init__(self, constraint: Constraint, matcher: LLMatcher, max_new_tokens: int) -> None:
        self._constraint, self._matcher = constraint, matcher
        self._left = max_new_tokens
        self._closing: list[int] | None = None  # tokens that close the formula, if known
        self._owed = _MOST_OWED  # an upper bound of their number

    @property
    def must_close(self) -> bool:
        """Whether nothing but closing is allowed any more."""
        return not self._has_room_for(self._left)

    def advance(self, token: int) -> bool:
        """Append a token if it is allowed. Returns whether it is."""
        if token in self._constraint.end_tokens:
            return bool(self._matcher.is_accepting())
        if token in self._constraint.unknown or not self._matcher.try_consume_tokens([token]):
            return False
        before = self._closing, self._owed
        self._closing, self._owed = None, self._owed + _MOST_OWED
        if self._has_room_for(self._left):
            self._left -= 1
            return True
        self._matcher.rollback(1)
        self._closing, self._owed = before
        return False

    def advance_to_best(self, scores: npt.NDArray[np.float64]) -> int:
        """Append the allowed token with the highest score (vocabulary), and return it."""
        for token in np.argsort(-scores, kind="stable").tolist():
            if self.advance(token):  # one of the first, as a rule: faster than a mask
                return int(token)
        return self._forced_token()

    def close_now(self) -> None:
        """Leave just enough tokens to close what is open."""
        self._left = min(self._left, len(self._close()) + 1)

    def _has_room_for(self, left: int) -> bool:
        return self._owed < left - 1 or len(self._close()) < left - 1

    def _close(self) -> list[int]:
        """Tokens after which the formula may end."""
        if self._closing is None:
            closing: list[int] = []
            while not self._matcher.is_accepting():
                closing += self._closer()
            self._matcher.rollback(len(closing))
            self._closing, self._owed = closing, len(closing)
        return self._closing

    def _closer(self) -> list[int]:
        """Append some tokens that lead nearer to an end, and return them."""
        constraint, environment_ends = self._constraint, []
        if self._consume(constraint.any_environment_end):  # one attempt instead of thirty
            self._matcher.rollback(len(constraint.any_environment_end))
            environment_ends = constraint.environment_ends
        for tokens in (*constraint.ends, *environment_ends, *constraint.completions):
            if self._consume(tokens):
                return tokens
        # The name of a command is being spelt letter by letter: any of them will do.
        mask = np.frombuffer(self._matcher.compute_logit_bias(), dtype=np.uint8)
        token = int(mask.argmax())
        if token in constraint.end_tokens or not self._matcher.consume_token(token):
            raise RuntimeError(f"llguidance failed: {self._matcher.get_error()[:500]}")
        return [token]

    def _consume(self, tokens: list[int]) -> bool:
        """Append all of these tokens, or none of them."""
        count = self._matcher.try_consume_tokens(tokens)
        if count == len(tokens):
            return True
        if count:
            self._matcher.rollback(count)
        return False

    def _forced_token(self) -> int:
        """Append the next token of those that close the formula, and return it."""
        token, *rest = self._close() or self._constraint.end_tokens
        if token in self._constraint.end_tokens or len(rest) + 1 >= self._left:
            return self._constraint.end_tokens[0]  # the limit was too small from the start
        self._matcher.consume_token(token)
        self._closing, self._owed = rest, len(rest)
        self._left -= 1
        return token


def constraint_for(
    text: Callable[[Sequence[int]], str], vocabulary: int, end_tokens: Sequence[int]
) -> Constraint | None:
    """The constraint for a model, or None where its tokenizer was not made for LaTeX.

    Args:
        text: gives the text of tokens, without special ones.
        vocabulary: the number of tokens.
        end_tokens: the tokens that end an answer.
    """
    if vocabulary > MOST_TOKENS:
        return None
    return Constraint([text([token]) for token in range(vocabulary)], end_tokens)

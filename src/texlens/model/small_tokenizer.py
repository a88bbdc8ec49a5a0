"""The tokeniser of a small model, read from its `tokenizer.json`: no library is needed to use it.

Only the form that `model.tokenizer` builds: entries are whole pre-tokens, without merges, and what is
no entry is encoded as bytes. The results are those of the library `tokenizers`, which reads the same
file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from texlens.errors import InputError
from texlens.runs import read_json


class SmallTokenizer:
    """Texts to token ids and back.

    Attributes:
        size: the number of tokens, with the added ones.
    """

    def __init__(self, definition: dict[str, Any]) -> None:
        """From the content of a `tokenizer.json`. Raises ValueError where it has another form."""
        model, added = definition["model"], definition["added_tokens"]
        split, to_bytes = definition["pre_tokenizer"]["pretokenizers"]
        if model["type"] != "BPE" or model["merges"] or not model["ignore_merges"]:
            raise ValueError("It has merges.")
        if (split["type"], to_bytes["type"]) != ("Split", "ByteLevel") or definition["normalizer"]:
            raise ValueError("It splits texts in another way.")
        self._ids: dict[str, int] = model["vocab"]
        self._added = {token["content"]: token["id"] for token in added}
        longest_first = sorted(self._added, key=len, reverse=True)
        self._added_pattern = re.compile("|".join(map(re.escape, longest_first)))
        self._piece = re.compile(split["pattern"]["Regex"])
        contents = {id_: _bytes_of(token) for token, id_ in self._ids.items()}
        contents |= {token["id"]: token["content"].encode() for token in added}
        contents |= {token["id"]: b"" for token in added if token["special"]}
        self.size = len(contents)
        self._contents = contents

    @classmethod
    def from_folder(cls, folder: Path) -> SmallTokenizer:
        """The tokeniser in a model's folder. Raises InputError where it has another form."""
        path = folder / "tokenizer.json"
        try:
            return cls(read_json(path))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"'{path}' is not a tokeniser of a small model: run  pip install 'texlens[model]'  "
                "and read with torch."
            ) from error

    def encode(self, text: str) -> list[int]:
        """The token ids of a text."""
        ids: list[int] = []
        place = 0
        for added in self._added_pattern.finditer(text):
            ids += self._encode_plain(text[place : added.start()])
            ids.append(self._added[added[0]])
            place = added.end()
        return ids + self._encode_plain(text[place:])

    def _encode_plain(self, text: str) -> list[int]:
        ids: list[int] = []
        for piece in self._piece.findall(text):
            token = "".join(_LETTERS[byte] for byte in piece.encode())
            known = self._ids.get(token)
            ids += [known] if known is not None else [self._ids[letter] for letter in token]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of tokens, without special ones."""
        return b"".join(self._contents[token] for token in ids).decode(errors="replace")


def _byte_letters() -> dict[int, str]:
    """A printable letter for each byte, as in GPT-2: itself, or one from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (byte for byte in range(256) if byte not in printable)
    return {byte: chr(byte) for byte in printable} | {
        byte: chr(0x100 + n) for n, byte in enumerate(others)
    }


_LETTERS = _byte_letters()
_BYTES = {letter: byte for byte, letter in _LETTERS.items()}


def _bytes_of(token: str) -> bytes:
    return bytes(_BYTES[letter] for letter in token)

"""The tokens of clients: one from the command line, or several named ones from a file of hashes.

A line of the file is a name and the SHA-256 of the token, `alice sha256:9f86...`. A token is 32 random
bytes, so nothing slower than SHA-256 is needed. The file is read again when it has changed: a line
that is deleted locks its client out at once.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
import time
from pathlib import Path

from texlens.errors import InputError
from texlens.inputs import read_text
from texlens.runs import write_text

DEFAULT_NAME = "token"
"""The client's name with the token of the command line."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_LINE = re.compile(rf"({_NAME.pattern})[ \t]+sha256:([0-9a-f]{{64}})")
_CHECKED_SECONDS = 1.0  # between looks at the file

_log = logging.getLogger("texlens.serve")


class Tokens:
    """Which token belongs to which client.

    Args:
        token: of one client, or None.
        path: a file of named tokens, or None.

    Raises InputError when a token cannot be sent in a header, or the file is wrong.
    """

    def __init__(self, token: str | None = None, path: Path | None = None) -> None:
        if token and not re.fullmatch("[!-~]+", token):
            raise InputError("The token must be printable ASCII without spaces.")
        self._own = {DEFAULT_NAME: _digest(token)} if token else {}
        self._path = path
        self._checked_at = time.monotonic()
        self._state = _state(path)
        self._named = read_tokens(path) if path else {}
        if path and not self._named:
            raise InputError(f"'{path}' has no tokens: add one with --add-token NAME.")

    def __bool__(self) -> bool:
        """Whether a token is needed."""
        return bool(self._own) or self._path is not None

    def client_of(self, authorization: str) -> str | None:
        """The name of the client with the token of an Authorization header; None: there is none."""
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        self._refresh()
        digest = _digest(given.strip())
        found = None
        for name, expected in {**self._named, **self._own}.items():
            if hmac.compare_digest(digest, expected):
                found = name
        return found

    def _refresh(self) -> None:
        """Read the file again if it has changed. One that is wrong changes nothing."""
        now = time.monotonic()
        if self._path is None or now < self._checked_at + _CHECKED_SECONDS:
            return
        self._checked_at = now
        state = _state(self._path)
        if state != self._state:
            self._state = state
            try:
                self._named = read_tokens(self._path)
                _log.info("The tokens were read again: %d clients.", len(self._named))
            except InputError as error:
                _log.error("%s The tokens from before stay.", error)


def read_tokens(path: Path) -> dict[str, str]:
    """The digests of a file's tokens by name. Raises InputError when a line is wrong."""
    tokens: dict[str, str] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise InputError(f"'{path}', line {number}: it must be 'NAME sha256:HASH'.")
        if match[1] in tokens:
            raise InputError(f"'{path}', line {number}: the name '{match[1]}' is there twice.")
        tokens[match[1]] = match[2]
    return tokens


def add_token(path: Path, name: str) -> str:
    """Add a new token to a file, which is made if necessary. Returns the token.

    Raises:
        InputError: the name is wrong or taken, or the file cannot be used.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"'{name}' cannot be the name of a token: use letters, digits, '.', '_', '@' and '-'."
        )
    text = read_text(path) if path.exists() else ""
    if path.exists() and name in read_tokens(path):
        raise InputError(f"'{path}' has a token with the name '{name}': delete its line first.")
    token = secrets.token_urlsafe(32)
    end = "" if not text or text.endswith("\n") else "\n"
    write_text(path, f"{text}{end}{name} sha256:{_digest(token)}\n")
    return token


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _state(path: Path | None) -> tuple[int, int] | None:
    """What changes with the file."""
    try:
        status = path.stat() if path else None
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size) if status else None

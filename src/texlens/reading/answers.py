"""The LaTeX inside a response, by the form in which the model was taught to answer."""

from __future__ import annotations

import re
from typing import Literal

_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.IGNORECASE | re.DOTALL)


def parse_answer(response: str, form: Literal["plain", "think_answer"]) -> str | None:
    """The answer in a response, stripped; None when the form asks for tags and they are missing.

    `think_answer`: the last `<answer>...</answer>`, whatever its case. `plain`: all of it.
    """
    if form == "plain":
        return response.strip()
    found: list[str] = _ANSWER.findall(response)
    return found[-1].strip() if found else None

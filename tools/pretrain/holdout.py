r"""Which formulas are kept out of training.

A formula's key ignores what changes little in its picture: spaces, braces, sizes of delimiters, and
the command that sets words upright. It is computed from the text as the list has it, so that it
stays when the normal form changes. Kept out are the formulas of the sets in `sets/`, of the corpora
that numbers are reported on, and one in a hundred keys, for dev pictures during a run.
"""

from __future__ import annotations

import csv
import hashlib
import re
from functools import cache
from pathlib import Path

SETS = Path(__file__).with_name("sets")
_INVISIBLE = re.compile(
    r"\\(?:[,;:!> ]|quad|qquad|left|right|[bB]igg?[lrm]?|displaystyle|textstyle|limits|nolimits)(?![A-Za-z])"
    r"|\\(?:mathrm|text|textrm|textnormal|mbox|operatorname|rm)(?![A-Za-z])|[\s~{}]"
)


def key(formula: str) -> str:
    """16 hexadecimal digits, the same for spellings that differ little."""
    return hashlib.sha256(_INVISIBLE.sub("", formula).encode()).hexdigest()[:16]


@cache
def kept_for_sets() -> frozenset[str]:
    """The keys of the formulas of all sets."""
    keys: set[str] = set()
    for path in sorted(SETS.glob("*.tsv")):
        with path.open(encoding="utf-8", newline="") as file:
            keys.update(row["key"] for row in csv.DictReader(file, delimiter="\t"))
    return frozenset(keys)


def is_dev(formula_key: str) -> bool:
    """Whether the formula is one of the hundredth that no training run may use."""
    return int(formula_key[:8], 16) % 100 == 0

r"""How upright words are spelled in the normal form, whatever command set them.

`\text{ for }`, `\mbox{ for }`, `\textrm{ for }` and `\mathrm{~for~}` look the same, as do `\sin(x)` and
`\mathrm{sin}(x)`, and `a\,\mathrm{Tr}\,b` and `a\operatorname{Tr} b`. One of the spellings stays:

- a word is `\mathrm { f o r }`, with `~` between words, and with the spaces around it outside;
- the name of an operator that TeX has a command for is that command;
- other operators are words too, with the thin spaces around them written out.

Where the spellings differ in the picture, by a space or by what limits do, nothing changes.
"""

from __future__ import annotations

from collections.abc import Sequence

from texlens.latex import symbols
from texlens.latex.cursor import AFTER_ATOM
from texlens.latex.spelling import part_delimiter
from texlens.latex.symbols import commands

SPACE = "~"

# Text commands, and the font command that draws letters and digits in the same way.
_FONT_OF_TEXT = {
    **dict.fromkeys(commands("text textrm textnormal textup textmd mbox hbox"), "\\mathrm"),
    "\\textbf": "\\mathbf",
    "\\textsf": "\\mathsf",
    "\\texttt": "\\mathtt",
}
# Text in these does not get smaller in a script.
OF_TEXT_SIZE = commands("mbox hbox")
_TEXT_SPACES = frozenset([" ", "~", "\\ "])
# What a font command draws as text does: the others have space around them, or another glyph.
_SIMPLE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./()[]!?@ ")


def spelled_text(
    command: str, tokens: Sequence[str], *, has_script: bool, has_accent: bool
) -> list[str] | None:
    r"""Spell text in one way: `\text { for }` with a space at each end is `~ \mathrm { f o r } ~`.

    `tokens` are those between the braces. None: the text stays as it is.
    """
    font = _FONT_OF_TEXT.get(command, "")
    words = [" " if token in _TEXT_SPACES else token for token in tokens]
    if not font or (font != "\\mathrm" and " " in words):
        return None
    start, end = 0, len(words)
    while start < end and words[start] == " ":
        start += 1
    if start == end:
        return None
    while end > start and words[end - 1] == " " and not has_script:
        end -= 1
    words = words[start:end]
    # Scripts and accents of a letter are placed by its font, and those of a box by its height.
    is_base = (has_script or has_accent) and len(words) == 1
    if _SIMPLE.issuperset(words) and not is_base and words != ["f"]:
        text = [font, "{", *(SPACE if token == " " else token for token in words), "}"]
    else:
        text = ["\\text" if font == "\\mathrm" else command, "{", *tokens[start:end], "}"]
    return [SPACE] * start + text + [SPACE] * (len(tokens) - end)


def put_spaces_outside(tokens: list[str], start: int, *, following: str = "") -> bool:
    r"""Move spaces at the ends of the last atom, `\mathrm` with its argument, outside.

    `following` is the token after the atom. Returns whether there were any to move.
    """
    has_script = following in AFTER_ATOM
    first, last = start + 2, len(tokens) - 1
    while first < last and tokens[first] in symbols.SPACES:
        first += 1
    while first < last and not has_script and tokens[last - 1] in symbols.SPACES:
        last -= 1
    before, word, after = tokens[start + 2 : first], tokens[first:last], tokens[last:-1]
    # See `spelled_text`; and a group in braces would stand alone, which its braces may depend on.
    if (has_script and len(word) < 2) or word[:1] == ["{"]:
        return False
    # Without the empty atom a sign that follows may be spaced differently; a sign alone is spaced as a
    # sign, not as text; and a space in another size is wider.
    ordinary = word if len(word) == 1 else [following] if not word else []
    if not symbols.ORDINARY.issuperset(ordinary) or not _SIZES.isdisjoint(word):
        return False
    tokens[start:] = [*before, *([tokens[start], "{", *word, "}"] if word else []), *after]
    return bool(before or after)


_SIZES = commands("tiny scriptsize footnotesize small normalsize large Large LARGE huge Huge")

# What is next to a word: nothing, or an atom that leaves the same space beside an operator as beside
# a letter; an atom that leaves a thin space beside an operator and none beside a letter.
_SAME, _THIN, _INNER, _UNKNOWN = range(4)
_SKIPPED = symbols.SPACES - {SPACE}
_OPENING = frozenset("([") | commands("{ langle lceil lfloor lvert lVert lgroup lmoustache")
_CLOSING = frozenset(")]") | commands("} rangle rceil rfloor rvert rVert rgroup rmoustache")
_LIKE_NOTHING = (
    frozenset(",;") | symbols.RELATIONS | symbols.LARGE_OPERATORS | symbols.NAMED_OPERATORS
)
_BEFORE = {
    **dict.fromkeys(_LIKE_NOTHING | _OPENING, _SAME),
    **dict.fromkeys(symbols.ORDINARY | _CLOSING, _THIN),
}
_AFTER = {
    **dict.fromkeys(_LIKE_NOTHING | _OPENING | _CLOSING | symbols.OPERATORS, _SAME),
    **dict.fromkeys(symbols.ORDINARY | symbols.BOXES | {"\\text"}, _THIN),
}
_LEFT_SIZED = frozenset(name for name in symbols.SIZED_DELIMITERS if name[-1] in "lr")
WORDS = commands("mathrm operatorname operatorname*")
_KNOWN = {name: f"\\{name}" for names in symbols.OPERATOR_NAMES.values() for name in names}
_WITH_LIMITS = frozenset(symbols.OPERATOR_NAMES["\\operatorname*"])


def spell_words(tokens: list[str], *, edges: bool, full_size: bool) -> bool:
    r"""Spell words, if the picture shows no difference, as operators or in `\mathrm`.

    `tokens` are a whole list of atoms, changed here; words in groups are left alone. If `edges`, nothing
    stands before and after the list; if `full_size`, it is not in a script, where MathJax makes `\,`
    narrower than the space beside an operator. Returns whether a word has changed.
    """
    edge = _SAME if edges else _UNKNOWN
    changed = False
    depth = position = 0
    while position < len(tokens):
        token = tokens[position]
        if (
            token in WORDS
            and not depth
            and _spell_word(tokens, position, edge, full_size=full_size)
        ):
            changed = True
            continue
        depth += _opens(token)
        position += 1
    return changed


def _opens(token: str) -> int:
    """1 for a token that opens a group, -1 for one that closes one."""
    if token in _BRACKETS:
        return _BRACKETS[token]
    if token[:4] in ("\\lef", "\\rig"):
        return {"\\left": 1, "\\right": -1}.get(part_delimiter(token)[0], 0)
    return (token[:7] == "\\begin{") - (token[:5] == "\\end{")


_BRACKETS = {"{": 1, "}": -1}


def _spell_word(tokens: list[str], start: int, edge: int, *, full_size: bool) -> bool:
    command = tokens[start]
    end = start + 2
    while len(tokens[end]) == 1 and tokens[end].isascii() and tokens[end].isalpha():
        end += 1
    letters = tokens[start + 2 : end]
    if tokens[end] != "}" or len(letters) < 2:
        return False
    scripts = end + 1
    after = _end_of_scripts(tokens, scripts)
    name = "".join(letters)
    known = _KNOWN.get(name, "") if after == scripts or name not in _WITH_LIMITS else ""
    if known and command != "\\mathrm":
        tokens[start:scripts] = [known]
        return True
    before = _neighbour_before(tokens, start, edge)
    behind = _neighbour_after(tokens, after, edge)
    if before == _INNER:  # in a script there is no space between it and a letter
        before = _SAME if full_size else _UNKNOWN
    if _UNKNOWN in (before, behind) or (_THIN in (before, behind) and not full_size):
        return False
    if command != "\\mathrm":
        if command == "\\operatorname*" and after > scripts:
            return False
        tokens[after:after] = ["\\,"] * (behind == _THIN)
        tokens[start : start + 1] = [*["\\,"] * (before == _THIN), "\\mathrm"]
    elif known:
        if before == _THIN and tokens[start - 1] != "\\,":
            return False
        if behind == _THIN and tokens[after] != "\\,":
            return False
        del tokens[after : after + (behind == _THIN)]
        tokens[start - (before == _THIN) : scripts] = [known]
    else:
        return False
    return True


def _end_of_scripts(tokens: list[str], position: int) -> int:
    while tokens[position : position + 1] in (["_"], ["^"]):
        position = _end_of_group(tokens, position + 1)
    return position


def _end_of_group(tokens: list[str], position: int) -> int:
    depth = 0
    while True:
        depth += _opens(tokens[position])
        position += 1
        if not depth:
            return position


def _neighbour_before(tokens: list[str], position: int, edge: int) -> int:
    while position and tokens[position - 1] in _SKIPPED:
        position -= 1
    if not position:
        return edge
    token = tokens[position - 1]
    previous = tokens[position - 2] if position > 1 else ""
    if previous in symbols.SIZED_DELIMITERS or previous == "\\not":
        return _UNKNOWN
    if part_delimiter(token)[0] == "\\right":
        return _INNER
    if token in symbols.BINARIES:
        # A sign with nothing before it is an ordinary symbol.
        left = _neighbour_before(tokens, position - 1, edge)
        return {_SAME: _THIN, _THIN: _SAME, _INNER: _SAME}.get(left, _UNKNOWN)
    return _BEFORE.get(token, _UNKNOWN)


def _neighbour_after(tokens: list[str], position: int, edge: int) -> int:
    while position < len(tokens) and tokens[position] in _SKIPPED:
        position += 1
    if position == len(tokens):
        return edge
    token = tokens[position]
    if token in _LEFT_SIZED:
        return _SAME
    if part_delimiter(token)[0] == "\\left":
        # MathJax spaces delimiters with scripts differently.
        end = _end_of_group(tokens, position)
        return _SAME if tokens[end : end + 1] not in (["_"], ["^"]) else _UNKNOWN
    return _AFTER.get(token, _UNKNOWN)

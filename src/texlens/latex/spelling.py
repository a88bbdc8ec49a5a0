"""How delimiters, named operators and alignments are spelled in the normal form."""

from __future__ import annotations

from texlens.latex import symbols

# If the left side of an alignment mark consists of these, the mark makes no difference.
_PLAIN = symbols.ORDINARY | symbols.BOXES | frozenset(["{", "}", "_", "^", "(", ")"])


def part_delimiter(token: str) -> tuple[str, str]:
    r"""`\\left(` as `\\left` and `(`; two empty strings if the token is no such thing."""
    for side in ("\\left", "\\right", "\\middle"):
        delimiter = token[len(side) :]
        if delimiter and token.startswith(side) and not delimiter[0].isalpha():
            return side, delimiter
    return "", ""


def spelled_delimiter(delimiter: str) -> str:
    r"""Spell what follows `\left`, `\big` and similar commands in one way."""
    delimiter = symbols.UNICODE.get(delimiter, delimiter)
    delimiter = symbols.SYNONYMS.get(delimiter, delimiter)
    return symbols.DELIMITERS.get(delimiter, delimiter)


def upright_operator(tokens: list[str]) -> list[str]:
    r"""The letters of `\mathop { \mathrm { H o m } }` or `\mathop { \rm H o m }`, if it is one."""
    if tokens[:4] == ["\\mathop", "{", "\\mathrm", "{"]:
        letters = tokens[4:-2]
    elif tokens[:3] == ["\\mathop", "{", "\\rm"]:
        letters = tokens[3:-1]
    else:
        return []
    # One letter alone would be centred on the axis.
    return letters if len(letters) > 1 and all(map(_is_letter, letters)) else []


def _is_letter(token: str) -> bool:
    return len(token) == 1 and token.isascii() and token.isalpha()


def spelled_operator(tokens: list[str]) -> list[str]:
    r"""Spell `\operatorname { s i n }` as `\sin`; other tokens come back as they are."""
    name = "".join(tokens[2:-1])
    return ["\\" + name] if name in symbols.OPERATOR_NAMES.get(tokens[0], ()) else tokens


def spelled_display(name: str, columns: int, tokens: list[str], is_formula: bool) -> list[str]:
    r"""Spell an alignment in one way: environments that number lines or fill a display, as those that
    do not.

    `tokens` are those of the whole environment, which is the whole formula if `is_formula`.
    """
    body = tokens[1:-1]
    if is_formula and body[-1:] == ["\\\\"] and body[-2:-1] and body[-2][:2] != "\\\\":
        body.pop()  # a line break at the end raises the lines a little against their neighbours
    if "\\tag" in body or "\\tag*" in body:
        return [tokens[0], *body, tokens[-1]]
    if is_formula and columns == 2 and name in ("align", "align*") and body.count("&") == 1:
        # One line `a & = b`: the mark makes no difference before a relation.
        mark = body.index("&")
        left, right = body[:mark], body[mark + 1 :]
        if left and right and right[0] in symbols.RELATIONS and _PLAIN.issuperset(left):
            return [*left, *right]
    if name == "split" or (is_formula and columns <= 2):
        name = symbols.DISPLAYS.get(name, name)
    name += "*" if name in ("align", "gather", "multline", "eqnarray", "alignat") else ""
    return [f"\\begin{{{name}}}", *body, f"\\end{{{name}}}"]


def spell_spaced_arrow(tokens: list[str]) -> None:
    r"""Spell `\; \Longrightarrow \;` at the end of the tokens as the `\implies` that it is."""
    if tokens[-3:-2] == ["\\;"] and tokens[-4:-3] != ["\\dots"]:
        name = symbols.SPACED_ARROWS.get(tokens[-2])
        if name:
            tokens[-3:] = [name]


_MAX_COLUMNS = 100


def spelled_columns(tokens: list[str]) -> list[str]:
    r"""Write out repeated columns of an array: `* { 2 } { r c }` is `r c r c`."""
    while "*" in tokens:
        star = tokens.index("*")
        count_end = _end_of_braces(tokens, star + 1)
        end = _end_of_braces(tokens, count_end)
        digits = "".join(tokens[star + 2 : count_end - 1])
        if not end or not digits.isdecimal() or int(digits) * (end - count_end) > _MAX_COLUMNS:
            break
        tokens = [*tokens[:star], *tokens[count_end + 1 : end - 1] * int(digits), *tokens[end:]]
    return tokens


def _end_of_braces(tokens: list[str], start: int) -> int:
    """The place after the group that starts here; 0 if none does."""
    depth = 0
    for place in range(start, len(tokens)):
        depth += (tokens[place] == "{") - (tokens[place] == "}")
        if not depth:
            return place + 1 if place > start else 0
    return 0

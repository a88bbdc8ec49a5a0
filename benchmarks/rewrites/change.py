"""Rules that change the picture at one place, chosen at random."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from rewrites.places import (
    ACCENTS,
    FUNCTIONS,
    GREEK,
    WIDE,
    change_command,
    change_token,
    commands,
    groups_after,
    has_ink,
    inked,
    letters,
    lines_at_relations,
    one_of,
    plain_brackets,
    plain_letters,
    spliced,
)
from rewrites.rule import Tokens, rule
from texlens.latex import detokenize


@rule(keeps=False)
def digit_changed(tokens: Tokens, rng: Random) -> Tokens | None:
    i = one_of(rng, [i for i in inked(tokens) if tokens[i].isascii() and tokens[i].isdigit()])
    if i is None:
        return None
    return spliced(tokens, i, i + 1, [rng.choice([d for d in "0123456789" if d != tokens[i]])])


@rule(keeps=False)
def letter_changed(tokens: Tokens, rng: Random) -> Tokens | None:
    i = one_of(rng, plain_letters(tokens))
    if i is None:
        return None
    return spliced(
        tokens, i, i + 1, [rng.choice([c for c in "abcdefghkmnpqrstuvwxyz" if c != tokens[i]])]
    )


@rule(keeps=False)
def case_changed(tokens: Tokens, rng: Random) -> Tokens | None:
    i = one_of(rng, plain_letters(tokens))
    return None if i is None else spliced(tokens, i, i + 1, [tokens[i].swapcase()])


@rule(keeps=False)
def greek_letter_changed(tokens: Tokens, rng: Random) -> Tokens | None:
    i = one_of(rng, commands(tokens, list(GREEK)))
    if i is None:
        return None
    return spliced(tokens, i, i + 1, [rng.choice([g for g in GREEK if g != tokens[i]])])


@rule(keeps=False)
def greek_variant(tokens: Tokens, rng: Random) -> Tokens | None:
    pairs = [
        ("\\phi", "\\varphi"),
        ("\\epsilon", "\\varepsilon"),
        ("\\theta", "\\vartheta"),
        ("\\rho", "\\varrho"),
    ]
    return change_token(tokens, rng, {a: [b] for a, b in pairs} | {b: [a] for a, b in pairs})


@rule(keeps=False)
def letter_lost(tokens: Tokens, rng: Random) -> Tokens | None:
    places = [
        i
        for i in plain_letters(tokens)
        if tokens[i - 1 : i] != ["{"] or tokens[i + 1 : i + 2] != ["}"]
    ]
    i = one_of(rng, [i for i in places if tokens[i + 1 : i + 2] not in (["^"], ["_"])])
    return None if i is None else spliced(tokens, i, i + 1, [])


@rule(keeps=False)
def letter_twice(tokens: Tokens, rng: Random) -> Tokens | None:
    i = one_of(rng, plain_letters(tokens))
    return None if i is None else spliced(tokens, i, i, [tokens[i]])


@rule(keeps=False)
def neighbours_swapped(tokens: Tokens, rng: Random) -> Tokens | None:
    places = set(plain_letters(tokens))
    i = one_of(
        rng,
        [
            i for i in places
            if i + 1 in places and tokens[i] != tokens[i + 1] and tokens[i + 2 : i + 3] not in (["^"], ["_"])
        ],
    )  # fmt: skip
    return None if i is None else spliced(tokens, i, i + 2, [tokens[i + 1], tokens[i]])


@rule(keeps=False)
def sign_lost(tokens: Tokens, rng: Random) -> Tokens | None:
    i = one_of(rng, [i for i in inked(tokens) if tokens[i] in ("+", "-")])
    return None if i is None else spliced(tokens, i, i + 1, [])


@rule(keeps=False)
def sign_flipped(tokens: Tokens, rng: Random) -> Tokens | None:
    return change_token(tokens, rng, {"+": ["-"], "-": ["+"], "\\pm": ["\\mp"]})


@rule(keeps=False)
def relation_changed(tokens: Tokens, rng: Random) -> Tokens | None:
    return change_token(
        tokens,
        rng,
        {
            "=": ["\\equiv"],
            "<": ["\\leq"],
            ">": ["\\geq"],
            "\\leq": ["<"],
            "\\geq": [">"],
            "\\neq": ["="],
        },
    )


@rule(keeps=False)
def arrow_turned(tokens: Tokens, rng: Random) -> Tokens | None:
    return change_token(
        tokens,
        rng,
        {
            "\\rightarrow": ["\\leftarrow"],
            "\\to": ["\\leftarrow"],
            "\\Rightarrow": ["\\rightarrow"],
        },
    )


def _single_scripts(tokens: Tokens) -> list[tuple[int, int]]:
    """Scripts that have no other script beside them, as (index of ^ or _, index after)."""
    found = []
    for i in commands(tokens, ["^", "_"]):
        spans = groups_after(tokens, i + 1, 1)
        if not spans or i == 0 or not has_ink(tokens[spans[0][0] : spans[0][1]]):
            continue
        after = spans[0][1] + 1
        beside = tokens[after : after + 1] in (["^"], ["_"], ["'"])
        base = i - 1
        if tokens[base] == "}":
            depth = 0
            for j in range(base, -1, -1):
                depth += {"}": 1, "{": -1}.get(tokens[j], 0)
                if depth == 0:
                    base = j
                    break
            beside = beside or tokens[base - 1 : base] in (["^"], ["_"])
        if not beside and tokens[i - 1] != "'":
            found.append((i, after))
    return found


@rule(keeps=False)
def script_to_other_side(tokens: Tokens, rng: Random) -> Tokens | None:
    places = [i for i, _ in _single_scripts(tokens)]
    i = one_of(rng, places)
    return None if i is None else spliced(tokens, i, i + 1, ["_" if tokens[i] == "^" else "^"])


@rule(keeps=False)
def script_lost(tokens: Tokens, rng: Random) -> Tokens | None:
    scripts = _single_scripts(tokens)
    if not scripts:
        return None
    start, end = rng.choice(scripts)
    return spliced(tokens, start, end, [])


@rule(keeps=False)
def script_on_the_line(tokens: Tokens, rng: Random) -> Tokens | None:
    scripts = [(a, b) for a, b in _single_scripts(tokens) if "\\prime" not in tokens[a:b]]
    if not scripts:
        return None
    start, end = rng.choice(scripts)
    return spliced(tokens, start, end, tokens[start + 2 : end - 1])


@rule(keeps=False)
def script_grown_by_a_letter(tokens: Tokens, rng: Random) -> Tokens | None:
    places = set(plain_letters(tokens))
    scripts = [
        (a, b) for a, b in _single_scripts(tokens)
        if b in places and tokens[b + 1 : b + 2] not in (["^"], ["_"], ["'"])
    ]  # fmt: skip
    if not scripts:
        return None
    _, end = rng.choice(scripts)
    return spliced(tokens, end - 1, end + 1, [tokens[end], "}"])


@rule(keeps=False)
def script_moved_to_neighbour(tokens: Tokens, rng: Random) -> Tokens | None:
    places = set(plain_letters(tokens))
    scripts = [
        (a, b) for a, b in _single_scripts(tokens)
        if b in places and tokens[b + 1 : b + 2] not in (["^"], ["_"], ["'"])
        and tokens[a - 1] != tokens[b]
    ]  # fmt: skip
    if not scripts:
        return None
    start, end = rng.choice(scripts)
    return spliced(tokens, start, end + 1, [tokens[end], *tokens[start:end]])


@rule(keeps=False)
def prime_lost(tokens: Tokens, rng: Random) -> Tokens | None:
    i = one_of(rng, [i for i, t in enumerate(tokens) if t == "\\prime"])
    return None if i is None else spliced(tokens, i, i + 1, [])


@rule(keeps=False)
def fraction_inverted(tokens: Tokens, rng: Random) -> Tokens | None:
    return change_command(
        tokens, rng, ["\\frac"], 2,
        lambda name, a, b: [name, "{", *b, "}", "{", *a, "}"] if a != b else None,
    )  # fmt: skip


@rule(keeps=False)
def fraction_flattened(tokens: Tokens, rng: Random) -> Tokens | None:
    return change_command(tokens, rng, ["\\frac"], 2, lambda _, a, b: ["{", *a, "}", "{", *b, "}"])


@rule(keeps=False)
def fraction_bar_lost(tokens: Tokens, rng: Random) -> Tokens | None:
    return change_command(
        tokens, rng, ["\\frac"], 2, lambda _, a, b: ["{", "{", *a, "}", "\\atop", "{", *b, "}", "}"]
    )


@rule(keeps=False)
def factor_out_of_fraction(tokens: Tokens, rng: Random) -> Tokens | None:
    def build(name: str, a: Tokens, b: Tokens) -> Tokens | None:
        if len(a) < 2 or not (a[0].isalnum() or a[0] in GREEK) or a[1] in ("^", "_", "'"):
            return None
        return [a[0], name, "{", *a[1:], "}", "{", *b, "}"] if has_ink(a[1:]) else None

    return change_command(tokens, rng, ["\\frac"], 2, build)


@rule(keeps=False)
def root_lost(tokens: Tokens, rng: Random) -> Tokens | None:
    return change_command(tokens, rng, ["\\sqrt"], 1, lambda _, a: ["{", *a, "}"])


@rule(keeps=False)
def accent_lost(tokens: Tokens, rng: Random) -> Tokens | None:
    return change_command(
        tokens, rng, ACCENTS + WIDE, 1, lambda _, a: ["{", *a, "}"] if has_ink(a) else None
    )


@rule(keeps=False)
def accent_changed(tokens: Tokens, rng: Random) -> Tokens | None:
    return change_command(
        tokens, rng, ACCENTS, 1,
        lambda name, a: [ACCENTS[ACCENTS.index(name) - 1], "{", *a, "}"],
    )  # fmt: skip


@rule(keeps=False)
def overline_as_underline(tokens: Tokens, rng: Random) -> Tokens | None:
    return change_command(
        tokens, rng, ["\\overline", "\\bar"], 1,
        lambda _, a: ["\\underline", "{", *a, "}"] if has_ink(a) else None,
    )  # fmt: skip


@rule(keeps=False)
def bracket_lost(tokens: Tokens, rng: Random) -> Tokens | None:
    places = plain_brackets(tokens)
    i = one_of(rng, [i for i in places if tokens[i + 1 : i + 2] not in (["^"], ["_"])])
    return None if i is None else spliced(tokens, i, i + 1, [])


@rule(keeps=False)
def bracket_changed(tokens: Tokens, rng: Random) -> Tokens | None:
    square = {"(": ["["], ")": ["]"], "\\left(": ["\\left["], "\\right)": ["\\right]"]}
    return change_token(tokens, rng, square)


@rule(keeps=False)
def bracket_grown(tokens: Tokens, rng: Random) -> Tokens | None:
    i = one_of(rng, plain_brackets(tokens))
    return None if i is None else spliced(tokens, i, i, ["\\Big"])


@rule(keeps=False)
def letter_in_bold(tokens: Tokens, rng: Random) -> Tokens | None:
    i = one_of(rng, plain_letters(tokens))
    return (
        None
        if i is None
        else spliced(tokens, i, i + 1, ["{", "\\mathbf", "{", tokens[i], "}", "}"])
    )


@rule(keeps=False)
def letter_double_struck(tokens: Tokens, rng: Random) -> Tokens | None:
    i = one_of(rng, [i for i in plain_letters(tokens) if tokens[i].isupper()])
    return (
        None
        if i is None
        else spliced(tokens, i, i + 1, ["{", "\\mathbb", "{", tokens[i], "}", "}"])
    )


@rule(keeps=False)
def letter_upright(tokens: Tokens, rng: Random) -> Tokens | None:
    i = one_of(rng, plain_letters(tokens))
    return (
        None
        if i is None
        else spliced(tokens, i, i + 1, ["{", "\\mathrm", "{", tokens[i], "}", "}"])
    )


@rule(keeps=False)
def font_lost(tokens: Tokens, rng: Random) -> Tokens | None:
    return change_command(
        tokens, rng, ["\\mathbf", "\\mathcal", "\\mathbb", "\\mathrm"], 1,
        lambda _, a: ["{", *a, "}"] if letters(a) else None,
    )  # fmt: skip


@rule(keeps=False)
def function_in_italics(tokens: Tokens, rng: Random) -> Tokens | None:
    return change_token(tokens, rng, {f: tuple(f[1:]) for f in FUNCTIONS})


@rule(keeps=False)
def operator_changed(tokens: Tokens, rng: Random) -> Tokens | None:
    swaps = {
        "\\sum": "\\prod",
        "\\prod": "\\sum",
        "\\int": "\\oint",
        "\\oint": "\\int",
        "\\bigcup": "\\bigcap",
    }
    return change_token(tokens, rng, {a: [b] for a, b in swaps.items()})


@rule(keeps=False)
def sign_mistaken(tokens: Tokens, rng: Random) -> Tokens | None:
    swaps = {
        "\\partial": "d",
        "\\times": "x",
        "\\infty": "\\alpha",
        "\\cdot": ".",
        "\\otimes": "\\oplus",
    }
    return change_token(tokens, rng, {a: [b] for a, b in swaps.items()})


@rule(keeps=False)
def dots_lowered(tokens: Tokens, rng: Random) -> Tokens | None:
    return change_token(tokens, rng, {"\\cdots": ["\\ldots"], "\\ldots": ["\\cdots"]})


@rule(keeps=False)
def sides_swapped(tokens: Tokens, rng: Random) -> Tokens | None:
    lines = lines_at_relations(tokens)
    if lines is None:
        return None
    left, right = lines[0], lines[1][1:]
    last = right[-1:] if right and right[-1] in (".", ",") else []
    right = right[: len(right) - len(last)]
    if left == right or not (has_ink(left) and has_ink(right)):
        return None
    return [*right, lines[1][0], *left, *last, *(token for line in lines[2:] for token in line)]


@rule(keeps=False)
def lines_swapped(tokens: Tokens, rng: Random) -> str | None:
    lines = lines_at_relations(tokens)
    if lines is None or len(lines) < 3 or lines[1] == lines[2]:
        return None
    lines[1], lines[2] = lines[2], lines[1]
    first, *rest = (detokenize(line) for line in lines)
    return f"\\begin{{aligned}} {first} & " + " \\\\ & ".join(rest) + " \\end{aligned}"


def _table(tokens: Tokens) -> tuple[int, int, list[list[Tokens]]] | None:
    """The first table without tables or rules inside: its span and its cells by row."""
    for i, token in enumerate(tokens):
        if not token.startswith("\\begin{"):
            continue
        end = next(
            (j for j in range(i, len(tokens)) if tokens[j] == token.replace("begin", "end")), None
        )
        start = i + 1
        if end is None or any(t.startswith("\\begin{") for t in tokens[start:end]):
            continue
        if token == "\\begin{array}":
            spans = groups_after(tokens, start, 1)
            if spans is None:
                continue
            start = spans[0][1] + 1
        rows: list[list[Tokens]] = [[[]]]
        depth = 0
        for t in tokens[start:end]:
            depth += {"{": 1, "}": -1}.get(t, 0)
            if t == "\\\\" and depth == 0:
                rows.append([[]])
            elif t == "&" and depth == 0:
                rows[-1].append([])
            else:
                rows[-1][-1].append(t)
        rows = [row for row in rows if any(has_ink(cell) for cell in row)]
        if len(rows) > 1:
            return start, end, rows
    return None


def _table_tokens(rows: Sequence[Sequence[Tokens]]) -> Tokens:
    lines: Tokens = []
    for i, row in enumerate(rows):
        lines += ["\\\\"] * (i > 0)
        for j, cell in enumerate(row):
            lines += ["&"] * (j > 0) + cell
    return lines


@rule(keeps=False)
def rows_swapped(tokens: Tokens, rng: Random) -> Tokens | None:
    table = _table(tokens)
    if table is None or table[2][0] == table[2][1]:
        return None
    start, end, rows = table
    return spliced(tokens, start, end, _table_tokens([rows[1], rows[0], *rows[2:]]))


@rule(keeps=False)
def columns_swapped(tokens: Tokens, rng: Random) -> Tokens | None:
    table = _table(tokens)
    if table is None or any(len(row) < 2 or row[0] == row[1] for row in table[2]):
        return None
    start, end, rows = table
    return spliced(tokens, start, end, _table_tokens([[row[1], row[0], *row[2:]] for row in rows]))


@rule(keeps=False)
def rule_between_rows(tokens: Tokens, rng: Random) -> Tokens | None:
    table = _table(tokens)
    if table is None or not any("\\begin{array}" in t for t in tokens):
        return None
    start, end, rows = table
    if "\\begin{array}" not in tokens[:start]:
        return None
    rows[1][0] = ["\\hline", *rows[1][0]]
    return spliced(tokens, start, end, _table_tokens(rows))


@rule(keeps=False)
def quad_lost(tokens: Tokens, rng: Random) -> Tokens | None:
    """White between two formulas; where a comma, a word or an arrow separates, it is no loss."""
    if any(t in tokens for t in ("\\mathrm", "\\text", "\\textup")):
        return None
    i = one_of(
        rng,
        [
            i
            for i in commands(tokens, ["\\quad", "\\qquad"])
            if 0 < i < len(tokens) - 1
            and all(
                len(t) == 1 and (t.isalnum() or t in "()}") for t in (tokens[i - 1], tokens[i + 1])
            )
        ],
    )
    return None if i is None else spliced(tokens, i, i + 1, [])


@rule(keeps=False)
def bracket_in_next_size(tokens: Tokens, rng: Random) -> Tokens | None:
    r"""Parentheses around a single letter or digit, a step of TeX's sizes larger."""
    i = one_of(
        rng,
        [
            i
            for i in range(len(tokens) - 2)
            if tokens[i] == "(" and tokens[i + 1].isalnum() and tokens[i + 2] == ")"
        ],
    )
    if i is None:
        return None
    return spliced(tokens, i, i + 3, ["\\bigl", "(", tokens[i + 1], "\\bigr", ")"])


@rule(keeps=False)
def limit_lost(tokens: Tokens, rng: Random) -> Tokens | None:
    places = [
        i
        for i in commands(tokens, ["\\sum", "\\prod", "\\int", "\\lim"])
        if tokens[i + 1 : i + 2] == ["_"]
    ]
    i = one_of(rng, places)
    spans = groups_after(tokens, i + 2, 1) if i is not None else None
    if i is None or not spans or not has_ink(tokens[spans[0][0] : spans[0][1]]):
        return None
    return spliced(tokens, i + 1, spans[0][1] + 1, [])


@rule(keeps=False)
def framed(tokens: Tokens, rng: Random) -> str | None:
    if "&" in tokens or "\\\\" in tokens:
        return None
    return f"\\boxed{{ {detokenize(tokens)} }}"

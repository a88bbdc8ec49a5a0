"""Rules that keep the picture: other spellings, other spacing, other line breaks."""

from __future__ import annotations

from random import Random

from rewrites.places import (
    ACCENTS,
    FUNCTIONS,
    GREEK,
    LIMIT_FUNCTIONS,
    RELATIONS,
    SIGNS,
    commands,
    everywhere,
    groups_after,
    lines_at_relations,
    outside_fonts,
    plain_letters,
    rewrite_commands,
    spliced,
    top_level,
)
from rewrites.rule import Tokens, rule
from texlens.latex import detokenize


@rule(keeps=True)
def extra_braces(tokens: Tokens, rng: Random) -> Tokens:
    places = set(plain_letters(tokens))
    return [n for i, t in enumerate(tokens) for n in (("{", t, "}") if i in places else (t,))]


@rule(keeps=True)
def spaces_around_relations(tokens: Tokens, rng: Random) -> Tokens:
    return everywhere(tokens, {r: ("\\;", r, "\\,") for r in RELATIONS})


@rule(keeps=True)
def quad_after_comma(tokens: Tokens, rng: Random) -> Tokens:
    places = {i for i in top_level(tokens) if tokens[i] == ","}
    return [n for i, t in enumerate(tokens) for n in ((t, "\\quad") if i in places else (t,))]


@rule(keeps=True)
def space_commands_dropped(tokens: Tokens, rng: Random) -> Tokens:
    return [t for t in tokens if t not in ("\\,", "\\;", "\\:", "\\!")]


@rule(keeps=True)
def invisible_strut(tokens: Tokens, rng: Random) -> Tokens:
    return ["\\vphantom", "{", "X", "}", *tokens]


@rule(keeps=True)
def synonyms_of_relations(tokens: Tokens, rng: Random) -> Tokens:
    return everywhere(
        tokens,
        {
            "\\neq": ["\\ne"], "\\ne": ["\\neq"], "\\leq": ["\\le"], "\\le": ["\\leq"],
            "\\geq": ["\\ge"], "\\ge": ["\\geq"], "\\rightarrow": ["\\to"], "\\to": ["\\rightarrow"],
            "\\leftarrow": ["\\gets"], "\\ni": ["\\owns"], "\\parallel": ["\\Vert"],
        },
    )  # fmt: skip


@rule(keeps=True)
def synonyms_of_operators(tokens: Tokens, rng: Random) -> Tokens:
    return everywhere(
        tokens,
        {
            "\\wedge": ["\\land"], "\\vee": ["\\lor"], "\\neg": ["\\lnot"], "\\ast": ["*"],
            "*": ["\\ast"], "\\dagger": ["\\dag"], "\\dag": ["\\dagger"],
            "\\setminus": ["\\backslash"], "\\colon": [":"],
        },
    )  # fmt: skip


@rule(keeps=True)
def synonyms_of_delimiters(tokens: Tokens, rng: Random) -> Tokens:
    return everywhere(
        tokens,
        {
            "\\{": ["\\lbrace"], "\\}": ["\\rbrace"], "\\|": ["\\Vert"], "|": ["\\vert"],
            "\\vert": ["|"], "\\mid": ["|"],
        },
    )  # fmt: skip


@rule(keeps=True)
def negation_by_not(tokens: Tokens, rng: Random) -> Tokens:
    return everywhere(tokens, {"\\neq": ("\\not", "="), "\\notin": ("\\not", "\\in")})


@rule(keeps=True)
def unicode_greek(tokens: Tokens, rng: Random) -> Tokens:
    return [GREEK.get(token, token) for token in tokens]


@rule(keeps=True)
def unicode_signs(tokens: Tokens, rng: Random) -> Tokens:
    places = set(outside_fonts(tokens))
    return [SIGNS.get(token, token) if i in places else token for i, token in enumerate(tokens)]


@rule(keeps=True)
def primes_as_apostrophes(tokens: Tokens, rng: Random) -> Tokens:
    for i in reversed(commands(tokens, ["^"])):
        spans = groups_after(tokens, i + 1, 1)
        if spans:
            inner = tokens[spans[0][0] + 1 : spans[0][1]]
            if inner and set(inner) == {"\\prime"} and i > 0 and tokens[i - 1] != "}":
                tokens = spliced(tokens, i, spans[0][1] + 1, ["'"] * len(inner))
    return tokens


@rule(keeps=True)
def fraction_by_over(tokens: Tokens, rng: Random) -> Tokens:
    return rewrite_commands(
        tokens, ["\\frac"], 2, lambda _, a, b: ["{", "{", *a, "}", "\\over", "{", *b, "}", "}"]
    )


@rule(keeps=True)
def fraction_without_braces(tokens: Tokens, rng: Random) -> Tokens:
    def build(name: str, a: Tokens, b: Tokens) -> Tokens | None:
        return (
            [name, *a, *b]
            if len(a) == len(b) == 1 and (a + b)[0].isalnum() and b[0].isalnum()
            else None
        )

    return rewrite_commands(tokens, ["\\frac"], 2, build)


@rule(keeps=True)
def display_fraction(tokens: Tokens, rng: Random) -> Tokens:
    places = {i for i in top_level(tokens) if tokens[i] == "\\frac"}
    return ["\\dfrac" if i in places else t for i, t in enumerate(tokens)]


@rule(keeps=True)
def functions_as_operatorname(tokens: Tokens, rng: Random) -> Tokens:
    mapping = {f: ("\\operatorname", "{", *f[1:], "}") for f in FUNCTIONS}
    mapping |= {f: ("\\operatorname*", "{", *f[1:], "}") for f in LIMIT_FUNCTIONS}
    return everywhere(tokens, mapping)


@rule(keeps=True)
def functions_as_upright_letters(tokens: Tokens, rng: Random) -> Tokens:
    return everywhere(tokens, {f: ("\\mathrm", "{", *f[1:], "}") for f in FUNCTIONS})


@rule(keeps=True)
def upright_letters_as_text(tokens: Tokens, rng: Random) -> Tokens:
    def build(_: str, inner: Tokens) -> Tokens | None:
        if not all(len(t) == 1 and t.isascii() and t.isalnum() for t in inner):
            return None
        return ["\\text", "{", *inner, "}"]

    result = rewrite_commands(tokens, ["\\mathrm"], 1, build)
    return result


@rule(keeps=True)
def fonts_by_old_switches(tokens: Tokens, rng: Random) -> Tokens:
    old = {"\\mathrm": "\\rm", "\\mathbf": "\\bf", "\\mathcal": "\\cal", "\\mathit": "\\it"}

    def build(name: str, inner: Tokens) -> Tokens | None:
        plain = all(len(t) == 1 and t.isascii() and t.isalnum() for t in inner)
        return ["{", old[name], *inner, "}"] if plain else None

    return rewrite_commands(tokens, list(old), 1, build)


@rule(keeps=True)
def superscript_before_subscript(tokens: Tokens, rng: Random) -> Tokens:
    for i in reversed(commands(tokens, ["_"])):
        if (low := groups_after(tokens, i + 1, 1)) is None:
            continue
        after = low[0][1] + 1
        if (
            after < len(tokens)
            and tokens[after] == "^"
            and (high := groups_after(tokens, after + 1, 1))
        ):
            end = high[0][1] + 1
            tokens = spliced(tokens, i, end, tokens[after:end] + tokens[i:after])
    return tokens


@rule(keeps=True)
def scripts_without_braces(tokens: Tokens, rng: Random) -> Tokens:
    for i in reversed(commands(tokens, ["^", "_"])):
        spans = groups_after(tokens, i + 1, 1)
        if spans and spans[0][1] == spans[0][0] + 2:
            inner = tokens[spans[0][0] + 1]
            if inner.isalnum() or inner in GREEK:
                tokens = spliced(tokens, i + 1, spans[0][1] + 1, [inner])
    return tokens


@rule(keeps=True)
def accents_without_braces(tokens: Tokens, rng: Random) -> Tokens:
    def build(name: str, inner: Tokens) -> Tokens | None:
        return (
            [name, *inner]
            if len(inner) == 1 and (inner[0].isalnum() or inner[0] in GREEK)
            else None
        )

    return rewrite_commands(tokens, ACCENTS, 1, build)


@rule(keeps=True)
def in_double_dollars(tokens: Tokens, rng: Random) -> str:
    return f"$$ {detokenize(tokens)} $$"


@rule(keeps=True)
def in_display_brackets(tokens: Tokens, rng: Random) -> str:
    return f"\\[{detokenize(tokens)}\\]"


@rule(keeps=True)
def in_an_equation(tokens: Tokens, rng: Random) -> str:
    return f"\\begin{{equation}}\n{detokenize(tokens)}\n\\end{{equation}}"


@rule(keeps=True)
def in_align(tokens: Tokens, rng: Random) -> str | None:
    if "&" in tokens or "\\\\" in tokens:
        return None
    return f"\\begin{{align*}}\n{detokenize(tokens)}\n\\end{{align*}}"


@rule(keeps=True)
def in_gathered(tokens: Tokens, rng: Random) -> str:
    return f"\\begin{{gathered}} {detokenize(tokens)} \\end{{gathered}}"


@rule(keeps=True)
def in_display_style(tokens: Tokens, rng: Random) -> str:
    return "\\displaystyle " + detokenize(tokens)


@rule(keeps=True)
def broken_as_aligned(tokens: Tokens, rng: Random) -> str | None:
    lines = lines_at_relations(tokens)
    if lines is None:
        return None
    first, *rest = (detokenize(line) for line in lines)
    body = f"{first} & " + " \\\\ & ".join(rest)
    return f"\\begin{{aligned}} {body} \\end{{aligned}}"


@rule(keeps=True)
def broken_as_gathered(tokens: Tokens, rng: Random) -> str | None:
    lines = lines_at_relations(tokens)
    if lines is None:
        return None
    body = " \\\\ ".join(detokenize(line) for line in lines)
    return f"\\begin{{gathered}} {body} \\end{{gathered}}"


@rule(keeps=True)
def broken_as_array(tokens: Tokens, rng: Random) -> str | None:
    lines = lines_at_relations(tokens)
    if lines is None:
        return None
    body = " \\\\ ".join(f"{{\\displaystyle {detokenize(line)}}}" for line in lines)
    return f"\\begin{{array}}{{l}} {body} \\end{{array}}"


@rule(keeps=True)
def broken_as_formulas(tokens: Tokens, rng: Random) -> str | None:
    lines = lines_at_relations(tokens)
    return None if lines is None else "\n".join(f"${detokenize(line)}$" for line in lines)


@rule(keeps=True)
def small_parentheses_by_left_right(tokens: Tokens, rng: Random) -> Tokens:
    start = None
    pairs = []
    for i, token in enumerate(tokens):
        if token == "(":
            start = i
        elif token == ")" and start is not None:
            pairs.append((start, i))
            start = None
        elif not (token.isalnum() or token in GREEK or token in (",", "+", "-", "=")):
            start = None
    for a, b in pairs:
        tokens[a], tokens[b] = "\\left(", "\\right)"
    return tokens


@rule(keeps=True)
def array_as_matrix(tokens: Tokens, rng: Random) -> Tokens:
    fences = {
        ("\\left(", "\\right)"): "p",
        ("\\left[", "\\right]"): "b",
        ("\\left|", "\\right|"): "v",
    }
    for i in reversed(commands(tokens, ["\\begin{array}"])):
        spans = groups_after(tokens, i + 1, 1)
        end = next((j for j in range(i, len(tokens)) if tokens[j] == "\\end{array}"), None)
        if not spans or end is None or end + 1 >= len(tokens) or i == 0:
            continue
        inner = tokens[spans[0][1] + 1 : end]
        kind = fences.get((tokens[i - 1], tokens[end + 1]))
        spec = tokens[spans[0][0] + 1 : spans[0][1]]
        if kind and set(spec) <= set("lcr") and "\\begin{array}" not in inner:
            new = [f"\\begin{{{kind}matrix}}", *inner, f"\\end{{{kind}matrix}}"]
            tokens = spliced(tokens, i - 1, end + 2, new)
    return tokens


@rule(keeps=True)
def limits_said_aloud(tokens: Tokens, rng: Random) -> Tokens:
    places = {
        i for i in top_level(tokens)[:-1]
        if tokens[i] in ("\\sum", "\\prod") and tokens[i + 1 : i + 2] in (["_"], ["^"])
    }  # fmt: skip
    return [n for i, t in enumerate(tokens) for n in ((t, "\\limits") if i in places else (t,))]


@rule(keeps=True)
def dots_one_by_one(tokens: Tokens, rng: Random) -> Tokens:
    return everywhere(tokens, {"\\ldots": (".", ".", ".")})


@rule(keeps=True)
def label_and_no_number(tokens: Tokens, rng: Random) -> str:
    return detokenize(tokens) + " \\nonumber \\label{eq:one}"


@rule(keeps=True)
def comment_and_new_lines(tokens: Tokens, rng: Random) -> str:
    return " % the formula\n".join(detokenize(tokens).split(" "))


@rule(keeps=True)
def empty_groups(tokens: Tokens, rng: Random) -> Tokens:
    return everywhere(tokens, {r: ("{", "}", r, "{", "}") for r in RELATIONS | {"+"}})


@rule(keeps=True)
def root_by_plain_tex(tokens: Tokens, rng: Random) -> Tokens:
    for i in reversed(commands(tokens, ["\\sqrt"])):
        if tokens[i + 1 : i + 2] == ["["] and "]" in tokens[i:]:
            end = tokens.index("]", i)
            spans = groups_after(tokens, end + 1, 1)
            if spans:
                body = tokens[spans[0][0] : spans[0][1] + 1]
                new = ["\\root", "{", *tokens[i + 2 : end], "}", "\\of", *body]
                tokens = spliced(tokens, i, spans[0][1] + 1, new)
    return tokens

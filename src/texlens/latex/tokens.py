r"""LaTeX text as a list of tokens, and back.

The token definition, used by the normal form, by the metrics over tokens and by the small model:

- a command is one token: `\alpha`, `\,`, `\\`, with the star of `\operatorname*`;
- `\begin{array}` and `\end{array}` are one token each;
- so is `\left`, `\right` or `\middle` with its delimiter: `\left(`, `\right\rangle`, as the
  normalised corpora of the field and the official CDM write them;
- any other character is one token, together with combining marks that follow it;
- space in math is invisible and not a token, and neither is a comment;
- in text mode (the argument of `\text`, `\mbox`, ...) space is visible: a run of it is the
  token `" "`, and everything else is one token a character, as in math;
- in chemistry (the argument of mhchem's `\ce` and `\pu`) the same holds, and an arrow such as `->` or
  `<=>` is one token;
- an argument that is not a formula (a length, a colour, a label) is one token with its braces:
  `\hspace {1em}` is `\hspace`, `{1em}`; so is the length after `\kern`, and `\\[2pt]`;
- so is a parameter in a definition: `#1`.

`tokenize` loses nothing but space and comments, and `tokenize(detokenize(tokens)) == tokens`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

# Not `\s`: TeX typesets a no-break space or an ideographic space.
_SPACES = " \t\r\n\f\v"
_WS = r"[ \t\r\n\f\v]"


# How the arguments of a command are read where they are not formulas, one letter an argument:
# T text, C chemistry, L a length in braces, l a length that needs no braces, n a number, N a name or other raw text in braces,
# o an optional one in brackets, * a star that belongs to the command.
_ARGUMENTS: dict[str, str] = {
    name: letters
    for letters, names in (
        (
            "T",
            "text textrm textsf texttt textnormal textbf textmd textit textup textsl textsc emph",
        ),
        ("T", "mbox hbox vbox fbox llap rlap clap intertext shortintertext reflectbox angl sout"),
        ("C", "ce pu"),
        ("ooT", "makebox framebox"),
        ("l", "kern mkern hskip mskip vskip raise lower moveleft moveright above"),
        ("L", "mspace"),
        ("*L", "hspace vspace"),
        ("oN", "color textcolor mathcolor arrayrulecolor label ref eqref cite url href cline"),
        ("oN", "htmlClass htmlId htmlStyle htmlData class style cssId unicode includegraphics"),
        ("N", "skew enclose"),
        ("NNNN", "genfrac"),
        ("n", "char"),
        ("oNT", "colorbox"),
        ("oNNT", "fcolorbox"),
        ("NNN", "definecolor"),
        ("LooT", "raisebox"),
        ("oLL", "rule"),
        ("*", "operatorname"),
        ("*T", "tag"),
    )
    for name in names.split()
}
TEXT_COMMANDS = frozenset(
    f"\\{name}{star}"
    for name, letters in _ARGUMENTS.items()
    for star in ("", "*")
    if letters.endswith("T") and (not star or letters.startswith("*"))
)
# Commands whose argument is chemistry in the language of mhchem, which sees every space.
CHEMISTRY = frozenset(["\\ce", "\\pu"])
VERBATIM_COMMANDS = TEXT_COMMANDS | CHEMISTRY
"""Commands whose argument `detokenize` writes as it is, without spaces between the tokens."""

_TOKEN = re.compile(
    r"\\(?:begin|end)\{[A-Za-z]+\*?\}"
    r"|\\(?:left|right|middle)(?:\\[A-Za-z]+|\\[^A-Za-z]|[^ \t\r\n\f\v\\{}A-Za-z])"
    r"|\\[A-Za-z]+"
    r"|\\[^A-Za-z]"
    r"|#[1-9]"
    r"|[^ \t\r\n\f\v\\][\u0300-\u036f]*"
    r"|\\"
)
# What `_TOKEN` does not cover. The start skips escaped backslashes: `\\text` is not `\text`.
_SPECIAL = re.compile(
    r"(?<!\\)(?:\\\\)*(?P<special>"
    r"(?P<comment>%[^\n]*\n?[ \t]*)"
    rf"|\\(?P<command>{'|'.join(sorted(_ARGUMENTS, reverse=True))})(?![A-Za-z])"
    rf"|\\(?P<edge>begin|end){_WS}+\{{(?P<environment>[A-Za-z]+\*?)\}}"
    rf"|\\(?P<side>left|right|middle){_WS}+(?P<delimiter>\\(?:[A-Za-z]+|[^A-Za-z])|[^ \t\r\n\f\v\\{{}}A-Za-z])"
    rf"|\\begin{_WS}*+\{{(?P<columns>(?:alignat\*?|alignedat))\}}{_WS}*+\{{{_WS}*+(?P<count>[0-9]+){_WS}*+\}}"
    r"|(?P<newline>\\\\\*?)(?=\[|(?<=\*))"
    r"|(?P<control_space>\\(?:[\t\r\n\f\v]|\Z))"
    r")"
)
_DIGITS = rf"(?:[0-9]{_WS}*+)"
_UNITS = ["em", "ex", "mu", "pt", "pc", "in", "cm", "mm", "bp", "dd", "cc", "sp"]
_UNIT = rf"(?:{'|'.join(rf'{unit[0]}{_WS}*+{unit[1]}' for unit in _UNITS)})"
_LENGTH = rf"{_WS}*+(?:[-+]{_WS}*+)?(?:{_DIGITS}++(?:[.,]{_WS}*+{_DIGITS}*+)?|[.,]{_WS}*+{_DIGITS}++){_UNIT}"
_ARGUMENT = {
    "L": re.compile(rf"{_WS}*+(\{{{_LENGTH}{_WS}*+\}})"),
    "l": re.compile(rf"({_LENGTH}|{_WS}*+\{{{_LENGTH}{_WS}*+\}})"),
    "n": re.compile(rf"{_WS}*+(\"[0-9A-F]+|'[0-7]+|[0-9]+|`\\?.)"),
    "N": re.compile(rf"{_WS}*+(\{{(?:[^{{}}\\]++|\\.)*+\}})", re.DOTALL),
    "o": re.compile(rf"{_WS}*+(\[[^][{{}}\\]*\])"),
    "*": re.compile(rf"{_WS}*+(\*)"),
    **dict.fromkeys("TC", re.compile(rf"{_WS}*+(\{{)")),
}
_GAP = re.compile(rf"(\[{_LENGTH}{_WS}*+\])")
_SPACE_RUN = re.compile(rf"{_WS}+")

_TEXT_TOKEN = re.compile(
    rf"\\[A-Za-z]+|\\{_WS}|\\[^A-Za-z]|{_WS}+|[^ \t\r\n\f\v\\][\u0300-\u036f]*|\\"
)
_CHEMISTRY_TOKEN = re.compile(rf"<-->|<=>>|<<=>|<->|<=>|->|<-|{_TEXT_TOKEN.pattern}")
_BETWEEN_BRACES = re.compile(r"(?:[^{}\\%]++|\\.|\\\Z|%[^\n]*+)*+", re.DOTALL)
_COMMENT_IN_TEXT = re.compile(r"(?<!\\)((?:\\\\)*+)%[^\n]*\n?[ \t]*")
_MATH_IN_TEXT = re.compile(r"(?<!\\)(?:\\\\)*+(?P<math>\$(?:[^$\\]++|\\.)*+\$)", re.DOTALL)


def tokenize(latex: str) -> list[str]:
    """Split LaTeX into tokens, as the module's description defines them.

    Any string is accepted, valid LaTeX or not; the work grows linearly with its length.
    Raises TypeError for what is no text.
    """
    if not isinstance(latex, str):
        raise TypeError(f"latex must be a text, not {type(latex).__name__}.")
    tokens: list[str] = []
    position = 0
    while special := _SPECIAL.search(latex, position):
        tokens += _TOKEN.findall(latex, position, special.start("special"))
        position = special.end()
        if command := special["command"]:
            position = _arguments(latex, position, command, tokens)
        elif special["columns"]:
            tokens += (f"\\begin{{{special['columns']}}}", f"{{{special['count']}}}")
        elif special["edge"]:
            tokens.append(f"\\{special['edge']}{{{special['environment']}}}")
        elif special["side"]:
            tokens.append(f"\\{special['side']}{special['delimiter']}")
        elif special["newline"]:
            gap = _GAP.match(latex, position)
            tokens.append(special["newline"] + (_SPACE_RUN.sub("", gap[1]) if gap else ""))
            position = gap.end() if gap else position
        elif special["control_space"]:
            tokens.append("\\ ")
    tokens += _TOKEN.findall(latex, position)
    return tokens


def _arguments(latex: str, position: int, command: str, tokens: list[str]) -> int:
    """Append a command and its arguments that are not formulas; return where they end."""
    tokens.append("\\" + command)
    for letter in _ARGUMENTS[command]:
        argument = _ARGUMENT[letter].match(latex, position)
        if argument is None:
            if letter in "o*":
                continue
            return position
        position = argument.end()
        if letter == "*":
            tokens[-1] += "*"
        elif letter in "TC":
            end = _end_of_group(latex, position)
            tokens.append("{")
            split = _text_tokens if letter == "T" else chemistry_tokens
            tokens += split(latex[position:end])
            tokens += latex[end : end + 1]
            position = end + 1
        else:
            # A tokenised corpus writes `{ 1 e m }`, which has one sensible reading.
            tokens.append(_SPACE_RUN.sub("" if letter in "Ll" else " ", argument[1]))
    return position


def _end_of_group(latex: str, position: int) -> int:
    """Where the group that is open at `position` closes; the end of the text if nowhere."""
    depth = 1
    while True:
        between = _BETWEEN_BRACES.match(latex, position)
        position = between.end() if between else position
        if position >= len(latex):
            return len(latex)
        depth += 1 if latex[position] == "{" else -1
        if depth == 0:
            return position
        position += 1


def _text_tokens(text: str) -> list[str]:
    """The tokens of text mode; `$...$` inside is math."""
    text = _COMMENT_IN_TEXT.sub(r"\1", text)
    tokens: list[str] = []
    position = 0
    while math := _MATH_IN_TEXT.search(text, position):
        tokens += _plain_text_tokens(text[position : math.start("math")])
        tokens += ["$", *tokenize(math["math"][1:-1]), "$"]
        position = math.end()
    return tokens + _plain_text_tokens(text[position:])


def _plain_text_tokens(text: str) -> list[str]:
    tokens: list[str] = []
    for token in _TEXT_TOKEN.findall(text):
        if token[0] in _SPACES:
            # TeX itself skips the space after a control word and after a control space.
            if not (tokens and (_is_word(tokens[-1]) or tokens[-1] == "\\ ")):
                tokens.append(" ")
        elif token[0] == "\\" and token[1:2] in _SPACES:
            tokens.append("\\ ")
        else:
            tokens.append(token)
    return tokens


def chemistry_tokens(text: str) -> list[str]:
    """The tokens of chemistry. Space counts after a command too: mhchem reads it."""
    found = _CHEMISTRY_TOKEN.findall(_COMMENT_IN_TEXT.sub(r"\1", text))
    return [_SPACE_RUN.sub(" ", token) for token in found]


def _is_word(token: str) -> bool:
    return token[0] == "\\" and token[-1].isascii() and token[-1].isalpha()


def detokenize(tokens: Sequence[str]) -> str:
    """Join tokens to LaTeX: single spaces between them in math, none in text mode."""
    return " ".join(spaced_words(tokens))


def spaced_words(tokens: Sequence[str]) -> list[str]:
    r"""The words that single spaces join to LaTeX: tokens, and the groups of text as a whole.

    Of `\ ` only the backslash is there: its space is the one that follows.
    """
    words: list[str] = []
    position = 0
    while position < len(tokens):
        token = tokens[position]
        words.append("\\" if token == "\\ " else token)
        position += 1
        if token in VERBATIM_COMMANDS:
            while position < len(tokens) and is_raw_argument(tokens[position]):
                words.append(tokens[position])
                position += 1
            if tokens[position : position + 1] == ["{"]:
                end = end_of_text(tokens, position)
                text = tokens[position:end]
                words.append("".join(text) if token in CHEMISTRY else _text(text))
                position = end
    if words and words[-1] == "\\":
        words.append("")
    return words


def is_raw_argument(token: str) -> bool:
    """Whether a token is a whole argument in brackets or braces."""
    return token[:1] == "[" or (token[:1] == "{" and len(token) > 1)


def end_of_text(tokens: Sequence[str], start: int) -> int:
    """The position after the group whose `{` is at `start`; the end if it is not closed."""
    depth = 0
    for position in range(start, len(tokens)):
        depth += (tokens[position] == "{") - (tokens[position] == "}")
        if not depth:
            return position + 1
    return len(tokens)


def formulas_in_text(tokens: Sequence[str]) -> Iterator[tuple[bool, Sequence[str]]]:
    """Split the tokens of text into those between two dollars and the others, without the dollars."""
    position = 0
    while True:
        try:
            opening = tokens.index("$", position)
            closing = tokens.index("$", opening + 1)
        except ValueError:
            yield False, tokens[position:]
            return
        yield False, tokens[position:opening]
        yield True, tokens[opening + 1 : closing]
        position = closing + 1


def _text(tokens: Sequence[str]) -> str:
    pieces: list[str] = []
    for is_formula, part in formulas_in_text(tokens):
        if is_formula:
            pieces.append(f"${detokenize(part)}$")
            continue
        for token in part:
            if pieces and _is_word(pieces[-1]) and token[0].isascii() and token[0].isalpha():
                pieces.append(" ")
            pieces.append(token)
    return "".join(pieces)

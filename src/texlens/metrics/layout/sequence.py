"""A rendered formula as a sequence of signs and marks in reading order.

A rendering is a set of inked boxes, each with its place in the layout (which numerator, which
superscript, which cell). Here it becomes a list of `Item`s: the signs in reading order, and
between them marks for stacked, raised, lowered, enclosed or ruled parts. What is not visible on the
page is not in the sequence: how a command was spelled, braces, alignment points, and line breaks. So
two spellings of one picture give one sequence.

Items also carry what a careful reader sees besides the signs: sizes, colour, wide white space, the
reach of limits and the place of cells in their columns (`spacing`). The alignment compares these only
where the signs are the same.

Marks are `open` ... `close` pairs (scripts, fractions, roots, stacks, enclosures, accents) with a
`separator` where two parts meet (the fraction bar, rows and cells of a stack).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from texlens.metrics.layout import glyphs, spacing
from texlens.metrics.layout.glyphs import COLUMN_GAP
from texlens.metrics.layout.items import (
    BEHIND,
    BESIDE,
    FINE_STEP,
    FULL,
    SIZE_STEP,
    SMALL,
    STACKED,
    Item,
    Symbol,
    joined,
    sign_symbol,
)

if TYPE_CHECKING:
    from texlens.engine import Box, Drawing

MAX_DEPTH = 60
"""Depth of nested structures beyond which signs are taken one after another."""
TALL_FENCE = 1.3
"""Height (em) from which a delimiter that faces both ways is taken to enclose a table."""
SAME_BASELINE = 0.05
"""Distance (em) within which two scripts have the same baseline."""
OVERHANG = 0.25
"""How far (em) a script may reach under its operator without being a limit under it."""
HAIRLINE = 0.15
"""Thickness (em) up to which a box of a line is a straight line across or down."""
SCRIPTED = frozenset(("msub", "msup", "msubsup"))
Roles = dict[str, list[int]]


class _Script(NamedTuple):
    """A script just read: its items are `items[start:end]`."""

    name: str
    start: int
    end: int
    boxes: list[int]


def reading_sequence(drawing: Drawing) -> list[Item]:
    """The items of a drawing in reading order."""
    reader = _Reader(drawing.boxes)
    reader.row(range(len(drawing.boxes)), 0, free=True)
    return reader.items


class _Reader:
    """Walks the boxes of one rendering and fills `items`.

    `places` holds the steps of each box's place as (structure, part), outermost first.
    """

    def __init__(self, boxes: Sequence[Box]) -> None:
        self.boxes = boxes
        steps: dict[str, list[tuple[str, str]]] = {"": []}
        for box in boxes:
            if box.place not in steps:
                named = [step.partition(":") for step in box.place.split("/")]
                steps[box.place] = [(name, part) for name, _, part in named]
        self.places = [steps[box.place] for box in boxes]
        self.items: list[Item] = []
        self.last_script: _Script | None = None
        self.tables = 0  # tables around the current place
        # For the next item: the white before it, and the side of the cell that it begins.
        self.white = spacing.UNKNOWN
        self.side = ""
        self.structures: dict[str, Callable[[Roles, int], None]] = {
            "mfrac": self.fraction,
            "menclose": self.enclosure,
            **dict.fromkeys(("msqrt", "mroot"), self.root),
            **dict.fromkeys((*SCRIPTED, "mmultiscripts"), self.scripted),
            **dict.fromkeys(("munder", "mover", "munderover"), self.limited),
        }

    # -- walking -----------------------------------------------------------------------------

    def row(self, members: Sequence[int], depth: int, *, free: bool = False) -> None:
        """Read the boxes `members`, side by side at `depth` of the layout.

        `free` is for the outermost level, where lines may be broken anywhere.
        """
        parts = self.parts(members, depth)
        loose: frozenset[int] = frozenset()
        if len(parts) > 1:
            inks = [[self.boxes[box] for box in boxes] for _, boxes in parts]
            loose = self.loose_fences(parts, inks)
            whites = spacing.whites(inks)
        for position, (name, boxes) in enumerate(parts):
            if position:
                self.white = whites[position]
            if not name:
                self.glyph(boxes[0], FINE_STEP if position in loose else SIZE_STEP)
                if position and self.boxes[boxes[0]].char in glyphs.BACKSLASHES:
                    self.backslash(inks[position - 1 : position + 2])
                continue
            roles: Roles = {}
            for box in boxes:
                roles.setdefault(self.places[box][depth][1], []).append(box)
            kind = name.partition("#")[0]
            if kind == "mtable":
                self.table(roles, depth + 1, free=free and not self.fenced(parts, position))
            else:
                self.structures[kind](roles, depth + 1)

    def parts(self, members: Sequence[int], depth: int) -> list[tuple[str, list[int]]]:
        """Consecutive boxes of one structure, with its name; a bare glyph has the name ''."""
        parts: list[tuple[str, list[int]]] = []
        last = ""
        for box in members:
            place = self.places[box]
            name = place[depth][0] if depth < min(len(place), MAX_DEPTH) else ""
            if name and name == last:
                parts[-1][1].append(box)
            else:
                parts.append((name, [box]))
            last = name
        return parts

    def loose_fences(
        self, parts: Sequence[tuple[str, list[int]]], inks: Sequence[Sequence[Box]]
    ) -> frozenset[int]:
        """The positions of delimiters that are larger than what they enclose needs."""
        limit = spacing.PLAIN_FENCE
        tall = (ink[0] for ink in inks if ink[0].y1 - ink[0].y0 > limit * ink[0].scale)
        if not any(box.char in glyphs.FENCES for box in tall):
            return frozenset()
        return spacing.loose_fences(inks, [self.fence(name, boxes) for name, boxes in parts])

    def fence(self, name: str, boxes: list[int]) -> Box | None:
        """The delimiter that one part of a line is, with scripts or without."""
        ink = self.boxes[boxes[0]]
        if ink.char not in glyphs.FENCES or (name and name.partition("#")[0] not in SCRIPTED):
            return None
        return ink

    def backslash(self, around: Sequence[Sequence[Box]]) -> None:
        """Mark a backslash just read, with white on both sides, as an operator (a set difference)."""
        whites = [spacing.gap(a, b) / b[0].scale for a, b in pairwise(around)]
        if len(whites) == 2 and min(whites) >= spacing.OPERATOR_SPACE:
            symbol = self.items[-1].symbol._replace(face="operator")
            self.items[-1] = self.items[-1]._replace(symbol=symbol)

    def fenced(self, parts: Sequence[tuple[str, list[int]]], position: int) -> bool:
        """Whether a delimiter before or after one of the parts encloses it."""
        for neighbour, facing in ((position - 1, glyphs.OPENING), (position + 1, glyphs.CLOSING)):
            if 0 <= neighbour < len(parts) and not parts[neighbour][0]:
                ink = self.boxes[parts[neighbour][1][0]]
                tall = ink.y1 - ink.y0 > TALL_FENCE * ink.scale
                if ink.char in facing or (tall and ink.char in glyphs.FENCES):
                    return True
        return False

    def put(
        self,
        kind: str,
        name: str = "",
        boxes: Sequence[int] = (),
        size: float = 0.0,
        reach: float = 0.0,
    ) -> None:
        """Add a mark."""
        color = self.boxes[boxes[0]].color if boxes else ""
        self.add(Symbol(kind, name), tuple(boxes), size, color, SIZE_STEP, reach)

    def add(
        self,
        symbol: Symbol,
        boxes: tuple[int, ...],
        size: float,
        color: str,
        step: float,
        reach: float = 0.0,
    ) -> None:
        """Add an item."""
        self.items.append(Item(symbol, boxes, size, color, step, self.white, reach, self.side))
        self.white, self.side = spacing.UNKNOWN, ""

    def group(
        self,
        name: str,
        members: Sequence[int],
        depth: int,
        ink: Sequence[int] = (),
        size: float = 0.0,
        reach: float = 0.0,
    ) -> None:
        """An opening mark with its ink, what it encloses, and the closing mark."""
        self.put("open", name, ink, size, reach)
        self.row(members, depth)
        self.put("close")

    # -- structures: `roles` holds the boxes of each part, `depth` is that of the parts ---------

    def fraction(self, roles: Roles, depth: int) -> None:
        """Numerator over denominator; without a bar a stack of two rows, as a binomial."""
        bar, above, below = (roles.get(part, []) for part in ("-", "0", "1"))
        size = 0.0
        if bar:
            scale = max((self.boxes[box].scale for box in above + below), default=1.0)
            size = self.style(FULL if scale > 0.9 * self.boxes[bar[0]].scale else SMALL)
        self.put("open", "fraction" if bar else "stack", (), size)
        self.row(above, depth)
        self.put("separator", "bar" if bar else "row", bar)
        self.row(below, depth)
        self.put("close")

    def root(self, roles: Roles, depth: int) -> None:
        """The index, if any, then the radicand under its sign."""
        if "1" in roles:
            self.group("index", roles["1"], depth)
        self.group("root", roles.get("0", []), depth, roles.get("-", ()))

    def enclosure(self, roles: Roles, depth: int) -> None:
        """A frame around, or strokes through, a part of the formula."""
        lines, inside = roles.get("-", []), roles.get("0", [])
        if len(lines) < 4 and inside and all(map(self.is_hairline, lines)):
            before = [line for line in lines if self.lies_before(line, inside)]
            after = [line for line in lines if self.lies_before(line, inside, after=True)]
            if len(before) + len(after) == len(lines):  # the outer rules of an array
                for line in before:
                    self.glyph(line)
                self.row(inside, depth)
                for line in after:
                    self.glyph(line)
                return
        struck = len(lines) == 1 or any(not self.is_hairline(line) for line in lines)
        self.group("strike" if struck else "frame", inside, depth, lines)

    def lies_before(self, line: int, inside: list[int], *, after: bool = False) -> bool:
        """Whether a straight line is left of or above some ink; with `after`, right or below."""
        x0, y0, x1, y1 = self.extent([line])
        left, top, right, bottom = self.extent(inside)
        if self.is_flat(line):
            return y0 >= bottom if after else y1 <= top
        return x0 >= right if after else x1 <= left

    def extent(self, boxes: Sequence[int]) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of some ink."""
        inks = [self.boxes[box] for box in boxes]
        return (
            min(ink.x0 for ink in inks),
            min(ink.y0 for ink in inks),
            max(ink.x1 for ink in inks),
            max(ink.y1 for ink in inks),
        )

    def style(self, size: float) -> float:
        """A size that depends on display or text style; not compared in tables.

        The same lines can be in text style (array) or display style (aligned), whatever the
        formula.
        """
        return 0.0 if self.tables else size

    def scripted(self, roles: Roles, depth: int) -> None:
        """A base with its scripts; parts 3 and 4 are scripts before the base."""
        for part, name in (("3", "_"), ("4", "^")):
            self.script(name, roles.get(part, []), depth)
        self.row(roles.get("0", []), depth)
        for part, name in (("1", "_"), ("2", "^")):
            self.script(name, roles.get(part, []), depth)

    def limited(self, roles: Roles, depth: int) -> None:
        """A base with accents, read before it, or with something else under and over it."""
        base = roles.get("0", [])
        accents = 0
        limits = []
        for part, name in (("1", "under"), ("2", "over")):
            boxes = roles.get(part, [])
            if shape := self.accent_shape(boxes, depth, base):
                ink = self.boxes[boxes[0]]
                side = "under " if name == "under" else ""
                width = (ink.x1 - ink.x0) / ink.scale if len(base) > 1 else 0.0
                self.put("accent", side + shape, boxes, width)
                accents += 1
            elif boxes:
                limits.append((name, boxes))
        self.row(base, depth)
        for _ in range(accents):
            self.put("close")
        for name, boxes in limits:
            beside = bool(base) and self.stands_beside(boxes, base)
            if beside or self.is_operator(base):
                name = {"under": "_", "over": "^"}[name]
            if beside or not base:
                self.script(name, boxes, depth)
            else:
                left, _, right, _ = self.extent(base)
                reach = (right - left) / self.boxes[base[0]].scale
                self.script(name, boxes, depth, STACKED, reach)

    def is_operator(self, base: list[int]) -> bool:
        """Whether these boxes are a large operator or the upright name of a function."""
        inks = [self.boxes[box] for box in base]
        if len(inks) == 1:
            return inks[0].char in glyphs.OPERATORS
        return all(ink.char.isalpha() and ink.font == "normal" for ink in inks)

    def accent_shape(self, boxes: list[int], depth: int, base: list[int]) -> str | None:
        """The accent that a single full-size sign over or under a base is."""
        if len(boxes) != 1 or len(self.places[boxes[0]]) > depth:
            return None
        own = self.boxes[boxes[0]]
        if own.scale < 0.99 * max((self.boxes[box].scale for box in base), default=0.0):
            return None
        return glyphs.accent(own.char or "¯")

    def stands_beside(self, boxes: list[int], base: list[int]) -> bool:
        """Whether limits were set as scripts, right of the operator, as in running text."""
        left = min(self.boxes[box].x0 for box in boxes)
        right = max(self.boxes[box].x1 for box in base)
        return left > right - OVERHANG * self.boxes[base[0]].scale

    def script(
        self, name: str, boxes: list[int], depth: int, size: float = BESIDE, reach: float = 0.0
    ) -> None:
        """A script or limit; subscript before superscript, and neighbours of one level joined."""
        if not boxes:
            return
        start = len(self.items)
        last = self.last_script if self.last_script and self.last_script.end == start else None
        if last and last.name == name and self.on_one_baseline(last.boxes, boxes):
            self.items.pop()
            self.row(boxes, depth)
            self.put("close")
            self.last_script = last._replace(end=len(self.items))
            return
        swapped = last is not None and (last.name, name) == ("^", "_")
        if last and swapped and self.boxes[boxes[0]].x0 > max(self.boxes[b].x1 for b in last.boxes):
            size = BEHIND
        self.group(name, boxes, depth, size=self.style(size), reach=reach)
        if last and swapped:
            added = self.items[start:]
            self.items[last.start :] = added + self.items[last.start : start]
            self.last_script = last._replace(start=last.start + len(added), end=len(self.items))
        else:
            self.last_script = _Script(name, start, len(self.items), boxes)

    def on_one_baseline(self, one: list[int], two: list[int]) -> bool:
        """Whether the largest signs of two scripts have the same baseline."""
        a, b = (
            max((self.boxes[box].scale, self.boxes[box].base) for box in boxes)[1]
            for boxes in (one, two)
        )
        return abs(a - b) < SAME_BASELINE

    # -- tables ------------------------------------------------------------------------------

    def table(self, roles: Roles, depth: int, *, free: bool) -> None:
        """Rows of cells: a stack; or, where `free`, just one line after another."""
        lines, tags = roles.pop("-", []), roles.pop("tag", [])
        across = [line for line in lines if self.is_flat(line)]
        down = [line for line in lines if not self.is_flat(line)]
        rows: dict[int, dict[int, list[int]]] = {}
        inks: dict[int, list[Box]] = {}  # of each column
        for part, boxes in roles.items():
            r, c = map(int, part.split(","))
            rows.setdefault(r, {})[c] = boxes
            inks.setdefault(c, []).extend(self.boxes[box] for box in boxes)
        columns = sorted(inks)
        left = {column: min(ink.x0 for ink in inks[column]) for column in columns}
        stacked = not free and (len(rows) > 1 or len(columns) > 1)
        gaps = {  # the columns with white space before them
            column
            for before, column in pairwise(columns)
            if left[column] - max(ink.x1 for ink in inks[before])
            > COLUMN_GAP * inks[before][0].scale
        }
        cells = [
            [[self.boxes[box] for box in rows[row].get(column, ())] for column in columns]
            for row in sorted(rows)
        ]
        sides = spacing.cell_sides(cells, free=free)
        self.tables += 1
        if stacked:
            self.put("open", "stack")
        for number, row in enumerate(sorted(rows)):
            top = min(self.boxes[box].y0 for boxes in rows[row].values() for box in boxes)
            self.rules(across, [line for line in across if self.boxes[line].y0 <= top])
            if stacked and number:
                self.put("separator", "row")
            for place, column in enumerate(columns):
                if stacked and column in gaps:
                    self.put("separator", "cell")
                self.rules(down, [line for line in down if self.boxes[line].x0 <= left[column]])
                if free and place and cells[number][place - 1] and cells[number][place]:
                    self.white = spacing.white_of_cells(*cells[number][place - 1 : place + 1])
                self.side = sides[number][place]
                self.row(rows[row].get(column, ()), depth, free=free)
            self.white, self.side = spacing.UNKNOWN, ""
        self.rules(across, across)
        self.rules(down, down)
        if stacked:
            self.put("close")
        self.tables -= 1
        self.row(tags, depth)

    def rules(self, waiting: list[int], due: list[int]) -> None:
        """Read the lines of a table that come next, each once."""
        for line in list(due):
            waiting.remove(line)
            self.glyph(line)

    # -- signs -------------------------------------------------------------------------------

    def glyph(self, box: int, step: float = SIZE_STEP) -> None:
        """One inked box as the signs that it shows; `step` is that of a delimiter."""
        ink = self.boxes[box]
        if not ink.char:
            self.put("glyph", "horizontal line" if self.is_flat(box) else "vertical line", [box])
        elif small := glyphs.small_form(ink.char):
            self.put("open", small[0])
            self.signs(small[1], box)
            self.put("close")
        elif letter := glyphs.accented_letter(ink.char):
            self.put("accent", letter[1], [box])
            self.signs(letter[0], box)
            self.put("close")
        else:
            size = 0.0
            if ink.char in glyphs.FENCES:
                size = (ink.y1 - ink.y0) / ink.scale
            elif ink.char in glyphs.ARROWS:
                size = (ink.x1 - ink.x0) / ink.scale
            elif ink.char in glyphs.OPERATORS:
                size, step = self.style((ink.y1 - ink.y0) / ink.scale), FINE_STEP
            elif ink.char == "∅" and ink.x1 - ink.x0 > ink.y1 - ink.y0:
                self.signs("⌀", box)  # \varnothing; \emptyset is a narrow zero with a stroke
                return
            self.signs(glyphs.signs(ink.char), box, size, step)

    def signs(self, text: str, box: int, size: float = 0.0, step: float = SIZE_STEP) -> None:
        """Plain signs of one box, joined to their neighbours where together they are one sign."""
        ink = self.boxes[box]
        for sign in text:
            self.add(sign_symbol(sign, ink.font), (box,), size, ink.color, step)
            before = self.items[-2].symbol.name if len(self.items) > 1 else ""
            if (sign in glyphs.DOTS and sign == before) or glyphs.OVERLAY_SLASH in (sign, before):
                self.join()

    def join(self) -> None:
        """Join three dots in a row, and a sign with the slash through it."""
        last = self.items[-3:]
        names = [item.symbol.name if item.symbol.kind == "glyph" else "" for item in last]
        if len(names) == 3 and len(set(names)) == 1 and names[0] in glyphs.DOTS:
            self.items[-3:] = [joined(glyphs.DOTS[names[0]], last)]
        elif len(names) > 1 and glyphs.OVERLAY_SLASH in names[-2:]:
            struck = glyphs.negated(names[-1] if names[-2] == glyphs.OVERLAY_SLASH else names[-2])
            if struck:
                self.items[-2:] = [joined(struck, last[-2:])]

    def is_flat(self, box: int) -> bool:
        """Whether a line runs across, not down."""
        ink = self.boxes[box]
        return ink.x1 - ink.x0 > ink.y1 - ink.y0

    def is_hairline(self, box: int) -> bool:
        """Whether a line is straight across or down."""
        ink = self.boxes[box]
        return min(ink.x1 - ink.x0, ink.y1 - ink.y0) < HAIRLINE

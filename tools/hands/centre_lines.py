"""From the filled shape of a letter to the strokes of a pen along its middle.

The shape is thinned to lines one pixel wide (Zhang and Suen 1984, by scikit-image). The lines form a
graph. Its short spurs are cut, junctions closer than the pen is wide become one, and at each junction
the lines that go on most nearly straight are joined.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Pixel = tuple[int, int]  # row, column

_STRAIGHT = np.cos(np.radians(115))  # two lines at least so opposite go on into each other
_TOLERANCE = 0.004  # of the picture's em: how far a kept polyline may be from the line


def trace(shape: NDArray[np.bool_], em: float) -> list[Points]:
    """The strokes (points, 2) of x, y in pixels, y down, of a filled shape (height, width)."""
    from skimage.morphology import skeletonize

    padded = np.pad(shape, 2)
    depth = cv2.distanceTransform(padded.astype(np.uint8), cv2.DIST_L2, 5)
    pen = float(np.percentile(depth[padded], 90)) if padded.any() else 0.0
    strokes = []
    count, labels = cv2.connectedComponents(padded.astype(np.uint8), connectivity=8)
    for label in range(1, count):
        part = labels == label
        rows, columns = np.nonzero(part)
        extent = max(np.ptp(rows), np.ptp(columns)) + 1
        if extent < 0.02 * em:  # a speck
            continue
        if (
            extent < 0.2 * em
            and part.sum() > 0.5 * np.ptp(rows) * np.ptp(columns)
            and (extent < 3.4 * max(float(depth[part].max()), 1e-9))
        ):
            middle = np.array([columns.mean(), rows.mean()])
            strokes.append(np.array([middle, middle + 0.02 * em]))  # a dot
            continue
        strokes += strokes_of(skeletonize(part), depth, pen)
    simple = [_simplified(stroke, em) for stroke in strokes]
    return [stroke - 2 for stroke in sorted(simple, key=lambda s: float(s[0, 0]))]


def strokes_of(lines: NDArray[np.bool_], depth: NDArray[np.float32], pen: float) -> list[Points]:
    """The strokes along a thinned shape.

    Args:
        lines: the shape thinned to lines one pixel wide.
        depth: of each pixel, its distance from the outside of the shape.
        pen: half the usual width of the shape's lines.
    """
    graph = _Graph(lines, depth)
    graph.cut_spurs(pen)
    graph.merge_junctions(pen)
    return graph.strokes()


class _Graph:
    """Lines between ends and junctions. An edge is a list of pixels from one node to another."""

    def __init__(self, lines: NDArray[np.bool_], depth: NDArray[np.float32]) -> None:
        self.depth = depth
        pixels = {(int(r), int(c)) for r, c in zip(*np.nonzero(lines), strict=True)}
        near = {pixel: _neighbours(pixel, pixels) for pixel in pixels}
        crossings = {pixel for pixel, others in near.items() if len(others) > 2}
        self.node_of: dict[Pixel, int] = {}
        self.places: list[Points] = []  # x, y of each node
        for group in _groups(crossings, near):
            self._add(group)
        for pixel, others in near.items():
            if len(others) <= 1:
                self._add([pixel])
        self.edges: list[tuple[int, int, list[Pixel]]] = []
        self.loops: list[list[Pixel]] = []
        seen: set[Pixel] = set()
        for start, node in list(self.node_of.items()):
            for first in near[start]:
                if first in seen or self.node_of.get(first) == node:
                    continue
                path, before = [start, first], start
                while path[-1] not in self.node_of:
                    seen.add(path[-1])
                    onward = [n for n in near[path[-1]] if n != before]
                    before = path[-1]
                    path.append(onward[0])
                other = self.node_of[path[-1]]
                if len(path) > 2 or node < other:
                    self.edges.append((node, other, path))
        rest = pixels - seen - set(self.node_of)
        while rest:
            path = [min(rest)]
            rest.discard(path[0])
            while onward := [n for n in near[path[-1]] if n in rest]:
                path.append(onward[0])
                rest.discard(onward[0])
            self.loops.append([*path, path[0]])

    def _add(self, group: list[Pixel]) -> None:
        for pixel in group:
            self.node_of[pixel] = len(self.places)
        rows, columns = np.array(group, dtype=np.float64).T
        self.places.append(np.array([columns.mean(), rows.mean()]))

    def degrees(self) -> dict[int, int]:
        count: dict[int, int] = defaultdict(int)
        for a, b, _ in self.edges:
            count[a] += 1
            count[b] += 1
        return count

    def cut_spurs(self, pen: float) -> None:
        """Remove ends that are only a corner of the shape: about as long as the line is deep."""
        for _ in range(3):
            degrees = self.degrees()
            spurs = [
                edge
                for edge in self.edges
                if min(degrees[edge[0]], degrees[edge[1]]) == 1
                and max(degrees[edge[0]], degrees[edge[1]]) > 2
                and len(edge[2]) < 1.6 * max(self._deep(edge), pen)
            ]
            if not spurs:
                return
            # The shortest of a junction goes first: what is left may be no spur then.
            spurs.sort(key=lambda edge: len(edge[2]))
            touched: set[int] = set()
            for spur in spurs:
                if not touched & {spur[0], spur[1]}:
                    touched |= {spur[0], spur[1]}
                    self.edges.remove(spur)

    def _deep(self, edge: tuple[int, int, list[Pixel]]) -> float:
        return max(float(self.depth[edge[2][0]]), float(self.depth[edge[2][-1]]))

    def merge_junctions(self, pen: float) -> None:
        """Make one crossing of two junctions with a short line between them."""
        while True:
            degrees = self.degrees()
            short = [
                edge
                for edge in self.edges
                if edge[0] != edge[1]
                and min(degrees[edge[0]], degrees[edge[1]]) > 2
                and len(edge[2]) < 2.4 * pen
            ]
            if not short:
                return
            a, b, path = min(short, key=lambda edge: len(edge[2]))
            self.places[a] = (self.places[a] + self.places[b]) / 2
            self.edges = [
                (a if x == b else x, a if y == b else y, pixels)
                for x, y, pixels in self.edges
                if pixels is not path
            ]
            # What became a loop inside the crossing is a small hole of it.
            self.edges = [
                edge for edge in self.edges if edge[0] != edge[1] or len(edge[2]) > 5 * pen
            ]

    def strokes(self) -> list[Points]:
        """The lines, joined where they go on straight, each from its upper left end."""
        ends: dict[int, list[tuple[int, int]]] = defaultdict(list)  # node: edge, which end
        lines = []
        for number, (a, b, path) in enumerate(self.edges):
            ends[a].append((number, 0))
            ends[b].append((number, 1))
            lines.append(np.array(path, dtype=np.float64)[:, ::-1])
        degrees = {node: len(some) for node, some in ends.items()}
        lines = [
            self._trimmed(line, edge[:2], degrees)
            for line, edge in zip(lines, self.edges, strict=True)
        ]
        after: dict[tuple[int, int], tuple[int, int]] = {}
        for some in ends.values():
            for one, other in _straightest(some, lines):
                after[one], after[other] = other, one
        strokes, used = [], set()
        order = [(n, e) for n in range(len(lines)) for e in (0, 1)]
        # From free ends first; what is left then goes round.
        for start in [key for key in order if key not in after] + order:
            if start[0] in used:
                continue
            number, end = start
            parts = []
            while number not in used:
                used.add(number)
                parts.append(lines[number] if end == 0 else lines[number][::-1])
                if (number, 1 - end) not in after:
                    break
                number, end = after[number, 1 - end]
            strokes.append(np.concatenate(parts))
        strokes += [np.array(loop, dtype=np.float64)[:, ::-1] for loop in self.loops]
        return [_directed(stroke) for stroke in strokes]

    def _trimmed(self, line: Points, nodes: tuple[int, ...], degrees: dict[int, int]) -> Points:
        """A line to the middle of its junctions, without the bend that thinning gives it there."""
        first, last = 0, len(line)
        for which, node in enumerate(nodes):
            if degrees[node] > 2:
                far = np.hypot(*(line - self.places[node]).T)
                row, column = np.round(self.places[node][::-1]).astype(int)
                radius = float(self.depth[row, column]) + 1
                beyond = np.flatnonzero(far > radius)
                if len(beyond) < 2:
                    continue
                if which == 0:
                    first = int(beyond[0])
                else:
                    last = int(beyond[-1]) + 1
        kept = line[first:last] if last - first > 1 else line
        before = [self.places[nodes[0]]] if degrees[nodes[0]] > 2 else []
        behind = [self.places[nodes[1]]] if degrees[nodes[1]] > 2 else []
        return np.concatenate([np.reshape(before, (-1, 2)), kept, np.reshape(behind, (-1, 2))])


def _neighbours(pixel: Pixel, pixels: set[Pixel]) -> list[Pixel]:
    """The pixels that touch one; a corner only where no edge leads there."""
    row, column = pixel
    sides = [(row + dy, column + dx) for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0))]
    found = [side for side in sides if side in pixels]
    for dy, dx in ((1, 1), (1, -1), (-1, -1), (-1, 1)):
        corner = (row + dy, column + dx)
        if corner in pixels and not {(row + dy, column), (row, column + dx)} & pixels:
            found.append(corner)
    return found


def _groups(crossings: set[Pixel], near: dict[Pixel, list[Pixel]]) -> list[list[Pixel]]:
    """Crossing pixels that touch each other, together."""
    groups, rest = [], set(crossings)
    while rest:
        group = [min(rest)]
        rest.discard(group[0])
        for pixel in group:
            for other in near[pixel]:
                if other in rest:
                    rest.discard(other)
                    group.append(other)
        groups.append(group)
    return groups


def _straightest(
    ends: list[tuple[int, int]], lines: list[Points]
) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Pairs of ends at one junction that go on into each other, the straightest first."""
    if len(ends) < 2:
        return []
    ways = {}
    for number, end in ends:
        line = lines[number] if end == 0 else lines[number][::-1]
        way = line[min(12, len(line) - 1)] - line[0]
        ways[number, end] = way / max(float(np.hypot(*way)), 1e-9)
    pairs = sorted(
        (float(ways[one] @ ways[other]), one, other) for one, other in combinations(ends, 2)
    )
    chosen, used = [], set()
    for opposite, one, other in pairs:
        if (opposite < _STRAIGHT or len(ends) == 2) and not {one, other} & used:
            used |= {one, other}
            chosen.append((one, other))
    return chosen


def _directed(stroke: Points) -> Points:
    """From the upper left end on; a closed one from its top, to the left."""
    if np.hypot(*(stroke[0] - stroke[-1])) < 3 and len(stroke) > 8:
        stroke = np.roll(stroke[:-1], -int(np.argmin(stroke[:-1, 1])), axis=0)
        if stroke[len(stroke) // 4, 0] > stroke[0, 0]:
            stroke = np.roll(stroke[::-1], 1, axis=0)
        return np.concatenate([stroke, stroke[:1]])
    weight = stroke @ np.array([1.0, 1.2])
    return stroke if weight[0] <= weight[-1] else stroke[::-1]


def _simplified(stroke: Points, em: float) -> Points:
    """A smooth line in few points."""
    closed = len(stroke) > 8 and np.hypot(*(stroke[0] - stroke[-1])) < 3
    mode = "wrap" if closed else "edge"
    if len(stroke) > 8:
        reach = 3
        ends = stroke[[0, -1]]
        padded = np.pad(stroke[:-1] if closed else stroke, ((reach, reach), (0, 0)), mode=mode)
        kernel = np.array([1, 2, 3, 4, 3, 2, 1]) / 16
        stroke = np.stack([np.convolve(padded[:, i], kernel, mode="valid") for i in (0, 1)], axis=1)
        stroke = np.concatenate([stroke, stroke[:1]]) if closed else stroke
        if not closed:
            stroke[[0, -1]] = ends
    kept = cv2.approxPolyDP(stroke.astype(np.float32).reshape(-1, 1, 2), _TOLERANCE * em, False)
    return np.asarray(kept.reshape(-1, 2), dtype=np.float64)

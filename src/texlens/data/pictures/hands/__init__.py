"""Formulas by hand: a writer's own strokes, laid into the glyph boxes of any formula.

In: formulas, and ink whose symbols are marked (CROHME's), or none: then the package's own strokes.
Out: strokes, and pictures of them by different pens on different papers, as shards.

Read `glyphs` (symbols cut out of ink, and built from others), `writers` (whose they are, and who
writes alike), `composer` (from boxes to strokes; `placing` fits one symbol into its box), `pens` and
`paper` (from strokes to a picture), `shards`.
"""

"""Formulas by hand: a writer's own strokes, laid into the glyph boxes of any formula.

In: formulas, and ink whose symbols are marked (CROHME's), or open hands (traced from fonts), or none:
then the package's own strokes. Out: strokes, and pictures of them by different pens on different
papers, as shards.

Read `glyphs` (symbols cut out of ink, and built from others), `open_hands` (a file of strokes) and
`varying` (many hands of few), `writers` (whose symbols they are, and who writes alike), `composer`
(from boxes to strokes; `page` moves symbols to their places, `placing` fits one into its box), `pens`
and `paper` (from strokes to a picture), `shards`.
"""

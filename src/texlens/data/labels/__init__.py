"""Labels that prove themselves: readings of im2latex's pictures, accepted where they redraw them.

In: pictures of im2latex-100k without labels, and readings of them. Out: the LaTeX of those whose
picture a reading redraws, with the evidence.

Read `pages` (how the formulas were typeset) and `drawing` (how the pages became pictures) first; then
`glyphs` and `learning` (what the old Ghostscript drew), `edits` and `proving` (which formulas are
tried), `readings` and `labelling` (the loop and its files).
"""

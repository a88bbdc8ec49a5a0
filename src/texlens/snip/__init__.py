"""A formula from the screen: choose a region, get its LaTeX on the clipboard, in a small window.

In: the screen. Out: LaTeX on the clipboard. Read `screen` first (what is on the screen), then `overlay`
(choosing a region of it), `window` (the reading, its alternatives and formats), and `snipping`, which
puts them together.
"""

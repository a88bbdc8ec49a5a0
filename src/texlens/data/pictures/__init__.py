"""Pictures of formulas: printed, handwritten, from real ink; augmented; packed into shards.

In: formulas, or ink as strokes, and a random generator. Out: grey pictures (height, width), 255
white; the same state of the generator gives the same picture.

Read `printed` (fonts, sizes, styles) for print. For handwriting read `ink` (InkML, and strokes as a
picture), then `handwriting` with its `pen_strokes` (synthetic), and `mixed_ink` (new ink out of real
ink). `augmentation` is what scanners, screens and cameras do. `shards` writes what pretraining
reads: the one format, writer and loop over processes; `printed` and `mixed_ink` supply its pictures.
"""

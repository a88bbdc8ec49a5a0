"""CDM, the character detection metric, as the official code computes it.

In: two LaTeX texts. Out: the F1 of their tokens that match as drawn (`Cdm`).

In the order of the work: `tokens` gives the tokens that count (with `grammar`, `words` and
`commands`, the official parser); `mathjax_boxes` (with `repair` for broken formulas) or `tex_boxes`
finds their ink; `matching` pairs them; `metric` puts it together.
"""

from __future__ import annotations

from texlens.metrics.cdm.metric import Cdm

__all__ = ["Cdm"]

"""What two published reports found: figures to look at, never to compare with.

Both fine-tuned Qwen2.5-VL on formulas; their pictures, splits and metric code are not ours, so
that their numbers stand in tables of their own. Facts only; None where a report gives no number.
"""

from __future__ import annotations

from texlens.evaluate.compare.tables import Table

NOT_COMPARABLE = "not comparable: other pictures, other code for the metrics"

_TWO_STAGES = (
    # set, model, BLEU, CDM, ExpRate@CDM
    ("printed", "base", 0.68, 0.91, 0.36),
    ("printed", "stage 1", 0.88, 0.96, 0.54),
    ("printed", "stage 2", 0.87, 0.96, 0.54),
    ("handwritten", "base", 0.89, 0.87, 0.48),
    ("handwritten", "stage 1", 0.68, 0.84, 0.39),
    ("handwritten", "stage 2", 0.82, 0.89, 0.50),
    ("out of domain: Pix2Tex", "base", 0.76, 0.86, 0.36),
    ("out of domain: Pix2Tex", "tuned", 0.75, 0.91, 0.45),
    ("out of domain: screen captures", "base", 0.56, 0.84, 0.67),
    ("out of domain: screen captures", "tuned", 0.58, 0.94, 0.76),
)
_PRINTED_EDIT_DISTANCE = (("base", 0.167), ("tuned", 0.084))
# ROUGE-L F1 of 200 items held out, before GRPO and after it.
_GRPO_ROUGE_L = (("Qwen2.5-VL-3B", 0.7502 - 0.0640, 0.7502), ("Qwen2.5-VL-7B", 0.7376, 0.8009))


def published_tables() -> list[Table]:
    """The figures of the reports, each table marked as not comparable."""
    stages = Table(
        f"Published: two-stage fine-tuning of Qwen2.5-VL-3B ({NOT_COMPARABLE})",
        ("set", "model", "bleu", "cdm", "exprate_cdm"),
        tuple((set_, model, *map(_two, values)) for set_, model, *values in _TWO_STAGES),
        "Edit distance on the printed set: "
        + ", ".join(f"{model} {value:.3f}" for model, value in _PRINTED_EDIT_DISTANCE)
        + ". 1,000 printed, 100 handwritten and 100 pictures of each set out of domain.",
    )
    grpo = Table(
        f"Published: GRPO of Qwen2.5-VL, 200 items held out ({NOT_COMPARABLE})",
        ("model", "rouge_l before", "rouge_l after"),
        tuple((name, f"{before:.4f}", f"{after:.4f}") for name, before, after in _GRPO_ROUGE_L),
        "Brace validity rose from 99.5 % to 100 %; no compile rate is given.",
    )
    return [stages, grpo]


def _two(value: object) -> str:
    return f"{value:.2f}"

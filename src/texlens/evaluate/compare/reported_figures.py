"""Figures of two reports that fine-tuned Qwen2.5-VL on formulas.

They used other pictures, other splits and other code for the metrics. Their numbers are shown in
tables of their own and must not be compared with ours.
"""

from __future__ import annotations

from texlens.tables import Table

NOT_COMPARABLE = "not comparable: other pictures, other code for the metrics"

_QWEN_OCR = (
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
# ROUGE-L F1 of 200 held-out items, before GRPO and after it.
_GRPO_ROUGE_L = (("Qwen2.5-VL-3B", 0.7502 - 0.0640, 0.7502), ("Qwen2.5-VL-7B", 0.7376, 0.8009))


def reported_tables() -> list[Table]:
    """The figures of the reports, each table marked as not comparable."""
    return [
        Table(
            f"The qwen-ocr report: Qwen2.5-VL-3B fine-tuned in two stages ({NOT_COMPARABLE})",
            ("set", "model", "bleu", "cdm", "exprate_cdm"),
            tuple(
                (set_, model, *(f"{v:.2f}" for v in values)) for set_, model, *values in _QWEN_OCR
            ),
            "Edit distance on the printed set: base 0.167, tuned 0.084. 1,000 printed pictures, 100 "
            "handwritten ones, and 100 of each set out of domain.",
        ),
        Table(
            "The GRPO report (Small Model, Big Equations): Qwen2.5-VL, 200 held-out items "
            f"({NOT_COMPARABLE})",
            ("model", "rouge_l before", "rouge_l after"),
            tuple((name, f"{before:.4f}", f"{after:.4f}") for name, before, after in _GRPO_ROUGE_L),
            "Brace validity rose from 99.5 % to 100 %; the report has no compile rate.",
        ),
    ]

"""An auxiliary reading head, used in training only: connectionist temporal classification.

A language model from scratch learns to write LaTeX long before it learns to look. This head makes
the vision tower name the inked symbols from left to right, without any language model, which gives
reading order its first foothold (Graves et al. 2006 for the loss). The visual tokens of a column
are pooled over rows, and each column gives three frames.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

FRAMES_PER_COLUMN = 3

# LaTeX tokens that put no ink of their own at one place of a line.
_NO_INK_TOKENS = r"""{ } ^ _ & \\ \ ~ \, \: \; \! \quad \qquad \enspace \frac \dfrac \tfrac \binom \left. \right.
    \displaystyle \textstyle \scriptstyle \scriptscriptstyle \limits \nolimits \mathrm \mathbf
    \mathcal \mathit \mathsf \mathtt \mathbb \mathfrak \mathscr \boldsymbol \boldmath \operatorname
    \rm \bf \cal \it \sf \tt \sl \mit \text \textrm \textbf \textit \mbox \hbox \hspace \vspace
    \phantom \hphantom \vphantom \big \Big \bigg \Bigg \bigl \bigr \Bigl \Bigr \biggl \biggr \Biggl
    \Biggr \left \right \nonumber \label \tiny \small \large \Large \stackrel \overset \underset
    \atop \over \begin{array} \end{array} \begin{matrix} \end{matrix} \begin{aligned} \end{aligned}
    \begin{cases} \end{cases} \begin{picture} \end{picture} \mathop \mathord \mathrel \mathbin
    \protect \raisebox \makebox \hline \middle"""
_NO_INK = frozenset(_NO_INK_TOKENS.split())


def inked_classes(tokenizer: Any) -> NDArray[np.int64]:
    """For each token id its class for the head; 0, the blank, for tokens without ink.

    A token with and without a space before it has one class.
    """
    names: dict[str, int] = {}
    classes = np.zeros(len(tokenizer), dtype=np.int64)
    special = set(tokenizer.get_added_vocab().values())
    for token_id in range(len(tokenizer)):
        if token_id in special:
            continue
        text = tokenizer.convert_ids_to_tokens(token_id).removeprefix("Ġ")
        if text and text not in _NO_INK:
            classes[token_id] = names.setdefault(text, len(names) + 1)
    return classes


class CtcHead(nn.Module):
    """Names the inked symbols of each column of visual tokens."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.names = nn.Linear(width, FRAMES_PER_COLUMN * classes)

    def forward(self, seen: Tensor, rows: int, columns: int) -> Tensor:
        """Class logits (batch, frames, classes) of visual tokens (batch, rows * columns, width)."""
        pooled = self.norm(seen.unflatten(1, (rows, columns)).amax(dim=1))
        return self.names(pooled).unflatten(2, (FRAMES_PER_COLUMN, -1)).flatten(1, 2)


def ctc_loss(logits: Tensor, targets: Tensor, lengths: Tensor) -> Tensor:
    """Mean loss a symbol; `targets` are all symbols of the batch in a row, `lengths` one a picture.

    Pictures with more symbols than frames count nothing.
    """
    frames = torch.full((logits.shape[0],), logits.shape[1], dtype=torch.long)
    log_probabilities = logits.float().log_softmax(-1).transpose(0, 1)
    total = functional.ctc_loss(
        log_probabilities, targets, frames, lengths, reduction="sum", zero_infinity=True
    )
    return total / max(int(lengths.sum()), 1)

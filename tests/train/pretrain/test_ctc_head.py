"""The auxiliary head's classes: what leaves ink, whatever stands before it."""

from __future__ import annotations

import torch

from texlens.model.tokenizer import SPECIAL_TOKENS, build_tokenizer
from texlens.train.pretrain.ctc_head import CtcHead, ctc_loss, inked_classes


def test_classes_are_symbols_with_ink() -> None:
    tokenizer = build_tokenizer(
        [r"\frac { a } { b } ^ { \alpha } \left( \right) a \quad"], min_count=1
    )
    classes = inked_classes(tokenizer)

    def of(text: str) -> int:
        (token,) = tokenizer(text)["input_ids"]
        return int(classes[token])

    for text in ("{", " }", r"\frac", " ^", r" \quad"):
        assert of(text) == 0, text
    for text in ("a", "b", r"\alpha", r"\left("):
        assert of(text) == of(" " + text) > 0, text
    assert len({of("a"), of("b"), of(r"\alpha"), of(r"\left("), of(r"\right)")}) == 5
    assert all(classes[tokenizer.convert_tokens_to_ids(token)] == 0 for token in SPECIAL_TOKENS)


def test_the_head_gives_three_frames_a_column() -> None:
    head = CtcHead(8, 5)
    assert head(torch.randn(2, 3 * 4, 8), 3, 4).shape == (2, 12, 5)


def test_more_symbols_than_frames_count_nothing_and_leave_no_infinity() -> None:
    logits = torch.randn(2, 4, 6, requires_grad=True)
    targets, lengths = torch.tensor([1, 2, 1, 1, 2, 2, 3, 3]), torch.tensor([2, 6])
    loss = ctc_loss(logits, targets, lengths)
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert logits.grad[0].abs().sum() > 0
    assert logits.grad[1].abs().sum() == 0


def test_the_loss_falls_when_the_symbols_are_named_in_order() -> None:
    targets = torch.tensor([1, 2])
    logits = torch.zeros(1, 3, 4)
    right, wrong = logits.clone(), logits.clone()
    for frame, name in enumerate((1, 0, 2)):
        right[0, frame, name] = 9
        wrong[0, 2 - frame, name] = 9
    lengths = torch.tensor([2])
    assert ctc_loss(right, targets, lengths) < 0.1 < 3 < ctc_loss(wrong, targets, lengths)

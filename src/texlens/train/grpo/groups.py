"""The groups of a step: pictures with their prompts, the answers to them, and both as tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import pstdev
from typing import Any

import torch
from torch import Tensor
from trl.data_utils import prepare_multimodal_messages

from texlens.reading.decoding.positions import prompt_positions
from texlens.train.grpo.completions import SAME
from texlens.train.grpo.sampling.base import Sampling
from texlens.train.grpo.sampling.sampler import Sampler
from texlens.train.rewards.functions import BatchRewards, ScoredCompletion


@dataclass(slots=True)
class Group:
    """One prompt and the answers to it.

    Attributes:
        row: the prompt's row of the dataset.
        size: how many answers are wanted.
        prompt: its tokens.
        patches: of the picture, (patches, values).
        grid: frames, rows and columns of patches, (3).
        positions: of the tokens of the prompt, (3, tokens).
        answers: the tokens of each answer.
        scored: the rewards of each answer.
    """

    row: Mapping[str, Any]
    size: int
    prompt: list[int]
    patches: Tensor
    grid: Tensor
    positions: Tensor
    answers: list[list[int]] = field(default_factory=list)
    scored: list[ScoredCompletion] = field(default_factory=list)

    def is_dead(self, weights: Mapping[str, float]) -> bool:
        """Whether all answers have the same total, so that there is nothing to learn from them."""
        return pstdev([scored.total(weights) for scored in self.scored]) < SAME


def open_groups(processor: Any, rows: Sequence[Mapping[str, Any]]) -> list[Group]:
    """The groups of a batch in which a row comes once for each answer; each picture is processed once."""
    sizes = Counter(row["id"] for row in rows)
    different = list({row["id"]: row for row in rows}.values())
    texts = [
        processor.apply_chat_template(
            prepare_multimodal_messages(row["prompt"], images=[row["image"]]),
            tokenize=False,
            add_generation_prompt=True,
        )
        for row in different
    ]
    pictures = [row["image"] for row in different]
    inputs = processor(text=texts, images=pictures, padding=True, return_tensors="pt")
    grids = inputs["image_grid_thw"]
    patches = inputs["pixel_values"].split(grids.prod(-1).tolist())
    prompts = [
        ids[mask.bool()].tolist()
        for ids, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)
    ]
    merge = processor.image_processor.merge_size
    image = processor.tokenizer.convert_tokens_to_ids(processor.image_token)
    return [
        Group(row, sizes[row["id"]], prompt, own, grid, _positions(prompt, grid, image, merge))
        for row, prompt, own, grid in zip(different, prompts, patches, grids, strict=True)
    ]


def _positions(prompt: list[int], grid: Tensor, image: int, merge: int) -> Tensor:
    """The positions of a prompt's tokens, (3, tokens)."""
    rows, columns = int(grid[1]) // merge, int(grid[2]) // merge
    before = prompt.index(image)
    after = len(prompt) - before - rows * columns
    return torch.from_numpy(prompt_positions(before, rows, columns, after))


def sample_answers(
    groups: Sequence[Group], sampler: Sampler, sampling: Sampling, tokenizer: Any
) -> None:
    """Sample the answers of these groups."""
    ids, mask = padded([group.prompt for group in groups], tokenizer.pad_token_id, left=True)
    inputs = {
        "input_ids": ids,
        "attention_mask": mask,
        "pixel_values": torch.cat([group.patches for group in groups]),
        "image_grid_thw": torch.stack([group.grid for group in groups]),
    }
    rows = [row for row, group in enumerate(groups) for _ in range(group.size)]
    for row, answer in zip(rows, sampler.sample(inputs, rows, sampling), strict=True):
        groups[row].answers.append(answer)


def score_answers(groups: Sequence[Group], rewards: BatchRewards, tokenizer: Any) -> None:
    """Score the answers of these groups, all in one pass."""
    answers = [answer for group in groups for answer in group.answers]
    texts = tokenizer.batch_decode(answers, skip_special_tokens=True)
    references = [group.row["solution"] for group in groups for _ in group.answers]
    pictures = [group.row["image"] for group in groups for _ in group.answers]
    known: tuple[Any, ...] = (pictures,) if "picture" in rewards.by_name else ()
    scored = iter(rewards.score(texts, references, answers, *known))
    for group in groups:
        group.scored = [next(scored) for _ in group.answers]


def padded(
    sequences: Sequence[Sequence[int]], pad: int, *, left: bool = False
) -> tuple[Tensor, Tensor]:
    """Sequences of tokens as one tensor (rows, longest), and which of it are tokens."""
    longest = max(map(len, sequences))
    ids = torch.full((len(sequences), longest), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, tokens in enumerate(sequences):
        place = slice(longest - len(tokens), longest) if left else slice(len(tokens))
        ids[row, place] = torch.tensor(tokens, dtype=torch.long)
        mask[row, place] = 1
    return ids, mask


def step_tensors(groups: Sequence[Group], pad: int, device: torch.device) -> dict[str, Tensor]:
    """Prompts and answers for the loss, a row for each answer.

    Beside what TRL's loss takes, `picture` has the number of each row's group, and
    `prompt_positions` (rows, 3, prompt) the positions of its prompt.
    """
    prompts, prompt_mask = padded([group.prompt for group in groups], pad, left=True)
    positions = torch.zeros((len(groups), 3, prompts.shape[1]), dtype=torch.long)
    for row, group in enumerate(groups):
        positions[row, :, prompts.shape[1] - len(group.prompt) :] = group.positions
    picture = torch.tensor([n for n, group in enumerate(groups) for _ in group.answers])
    answers, answer_mask = padded([a for group in groups for a in group.answers], pad)
    tensors = {
        "prompt_ids": prompts[picture],
        "prompt_mask": prompt_mask[picture],
        "completion_ids": answers,
        "completion_mask": answer_mask,
        "prompt_positions": positions[picture],
    }
    return {name: tensor.to(device) for name, tensor in tensors.items()} | {"picture": picture}


def by_length(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The rows in the order of their lengths, so that the parts of a step have little padding."""
    lengths = tensors["prompt_mask"].sum(1) + tensors["completion_mask"].sum(1)
    order = lengths.argsort(stable=True)
    return {
        name: tensor[order.to(tensor.device)] if tensor.ndim else tensor
        for name, tensor in tensors.items()
    }

"""A byte-level tokeniser whose tokens are LaTeX tokens, with Qwen's special tokens and chat format.

Reading order is the hard part of learning to read from scratch. It is learnt far sooner when one
token stands for one thing in the picture: so a pre-token never crosses a LaTeX token, each LaTeX
token of the corpora is one entry, and anything else is encoded as bytes. A leading space belongs to
the token, as in GPT-2, so that decoding restores any text unchanged.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

# One LaTeX token with the space before it: an environment's \begin or \end, a delimiter with its
# \left or \right, a command, an escaped character, any other single character.
_PRE_TOKEN = (
    r" ?\\(?:begin|end)\{[A-Za-z]+\*?\}"
    r"| ?\\(?:left|right)(?:\\[A-Za-z]+|\\[^A-Za-z\s]|[^\\A-Za-z\s])"
    r"| ?\\[A-Za-z]+"
    r"| ?\\[^A-Za-z]"
    r"| ?[^\\]"
    r"| ?\\"
)
_PIECES = re.compile(_PRE_TOKEN)  # as `tokenizers` splits: it is the same language of patterns here

IM_START, IM_END, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
VISION_START, VISION_END = "<|vision_start|>", "<|vision_end|>"
IMAGE, VIDEO = "<|image_pad|>", "<|video_pad|>"
SPECIAL_TOKENS = (PAD, IM_START, IM_END, VISION_START, VISION_END, IMAGE, VIDEO)

# Qwen's chat format, for content as text or as a list of parts.
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' or 'image' in part %}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def count_tokens(formulas: Iterable[str]) -> Counter[str]:
    """How often each LaTeX token occurs in formulas."""
    pieces: Counter[str] = Counter()
    for formula in formulas:
        pieces.update(_PIECES.findall(formula))
    counts: Counter[str] = Counter()
    for piece, count in pieces.items():
        counts[piece.removeprefix(" ")] += count
    return counts


def build_tokenizer(
    formulas: Iterable[str] | Counter[str],
    *,
    phrases: Iterable[str] = (),
    size: int = 1536,
    min_count: int = 2,
) -> Any:
    """Build the tokeniser of a small model from the formulas it will be trained on.

    `formulas` may also be what `count_tokens` has counted in them.
    `phrases` are the sentences of the prompt; each becomes one token, as do the roles of a
    conversation, since prompts are read very often and never generated. The tokeniser has at most
    `size` entries; LaTeX tokens that occur fewer than `min_count` times are encoded as bytes.

    Returns a `transformers.PreTrainedTokenizerFast`.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    split = pre_tokenizers.Split(Regex(_PRE_TOKEN), behavior="isolated")
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    counts = formulas if isinstance(formulas, Counter) else count_tokens(formulas)
    # A token has a form with and one without a leading space; text may have either.
    both = [
        (-count, form) for piece, count in counts.items() if piece for form in (piece, f" {piece}")
    ]

    vocabulary = sorted(pre_tokenizers.ByteLevel.alphabet())
    known = set(vocabulary)
    added = [AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS]
    added += [
        AddedToken(text, special=False, normalized=False)
        for text in ("system\n", "user\n", "assistant\n", *phrases)
    ]
    room = size - len(vocabulary) - len(added)
    for negative_count, piece in sorted(both):
        if room <= 0 or -negative_count < min_count:
            break
        token = to_bytes.pre_tokenize_str(piece)[0][0]
        if token not in known:
            known.add(token)
            vocabulary.append(token)
            room -= 1

    tokenizer = Tokenizer(
        models.BPE(
            vocab={token: index for index, token in enumerate(vocabulary)},
            merges=[],
            ignore_merges=True,  # a pre-token that is an entry is one token: no merges are needed
        )
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, to_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens(added)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=IM_END,
        pad_token=PAD,
        padding_side="left",
        model_max_length=2048,
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
    )


class TextEncoder:
    """Texts to token ids, for answers in training: without padding, truncation or special tokens.

    It has its own copy of the tokeniser. A processor's padded calls switch padding on in the
    tokeniser, and it stays on: answers encoded with that one afterwards would start with PAD, and a
    network would learn to write it.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._backend = copy.deepcopy(tokenizer.backend_tokenizer)
        self._backend.no_padding()
        self._backend.no_truncation()
        self._backend.encode_special_tokens = True  # "<|im_end|>" in a formula is text
        self._special = frozenset(tokenizer.all_special_ids)

    def encode(self, texts: list[str]) -> list[list[int]]:
        """The token ids of each text, without any special token."""
        # The library's own batch call releases the interpreter's lock: a training loop goes on.
        encodings = self._backend.encode_batch_fast(texts, add_special_tokens=False)
        rows: list[list[int]] = [encoding.ids for encoding in encodings]
        assert not any(self._special.intersection(row) for row in rows), "a special token in a text"
        return rows

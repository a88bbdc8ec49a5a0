r"""The rewards of the GRPO report on completions made by hand, each with the value by definition."""

from __future__ import annotations

import pytest
from rouge_score.rouge_scorer import RougeScorer

from texlens.train.rewards.functions import REWARDS, score_completions

F = r"\frac{a}{b}"  # its words for ROUGE: frac a b

# completion, reference, tag_presence, tag_order, validity bonus, similarity, exact_match_bonus
CASES: dict[str, tuple[object, object, float, float, float, float, float]] = {
    # Tags.
    "all right": (f"<think>t</think><answer>{F}</answer>", F, 1, 1, 1, 1, 2),
    "upper case": (f"<THINK>t</THINK><ANSWER>{F}</ANSWER>", F, 1, 1, 1, 1, 2),
    "mixed case": (f"<ThInK>t</tHiNk><Answer>{F}</aNSWER>", F, 1, 1, 1, 1, 2),
    "lines between": (f"<think>\nt\n</think>\n\n<answer>\n{F}\n</answer>\n", F, 1, 1, 1, 1, 2),
    "text around": (f"Well. <think>t</think> so <answer>{F}</answer>!", F, 1, 1, 1, 1, 2),
    "no tags": (F, F, 0, 0, 0, 0, 0),
    "nothing": ("", F, 0, 0, 0, 0, 0),
    "answer tags alone": (f"<answer>{F}</answer>", F, 0.5, 0, 1, 1, 2),
    "think tags alone": (f"<think>{F}</think>", F, 0.5, 0, 0, 0, 0),
    "answer not closed": (f"<think>t</think><answer>{F}", F, 0.75, 0, 0, 0, 0),
    "answer not opened": (f"<think>t</think>{F}</answer>", F, 0.75, 0, 0, 0, 0),
    "think not closed": (f"<think>t<answer>{F}</answer>", F, 0.75, 0, 1, 1, 2),
    "answer first": (f"<answer>{F}</answer><think>t</think>", F, 1, 0, 1, 1, 2),
    "closing tags first": (f"</think><think></answer><answer>{F}", F, 1, 0, 0, 0, 0),
    "a space in a tag": (f"< think>t</think><answer >{F}</answer>", F, 0.5, 0, 0, 0, 0),
    "a tag with an attribute": (f'<think>t</think><answer x="1">{F}</answer>', F, 0.75, 0, 0, 0, 0),
    # Repeated and nested.
    "two answers, the last right": (
        f"<think>t</think><answer>x</answer><answer>{F}</answer>", F, 1, 1, 1, 1, 2,
    ),
    "two answers, the first right": (
        f"<think>t</think><answer>{F}</answer><answer>x</answer>", F, 1, 1, 1, 0, 0,
    ),
    "one tag four times": ("<think><think><think><think>", F, 0.25, 0, 0, 0, 0),
    "thoughts repeated": (f"<think>a</think><think>b</think><answer>{F}</answer>", F, 1, 1, 1, 1, 2),
    "answer inside thoughts": (f"<think><answer>{F}</answer></think>", F, 1, 0, 1, 1, 2),
    "answer in answer": (f"<answer><answer>{F}</answer></answer>", F, 0.5, 0, 1, 6 / 7, 0),
    "opened again after the end": (f"<answer>{F}</answer><answer>x", F, 0.5, 0, 1, 1, 2),
    "in order at the second try": (
        f"</answer><answer><think>t</think><answer>{F}</answer>", F, 1, 1, 1, 0.6, 0,
    ),
    # Braces.
    "brace missing": (r"<answer>\frac{a}{b</answer>", F, 0.5, 0, 0, 0, 0),
    "brace too much": (r"<answer>\frac{a}{b}}</answer>", F, 0.5, 0, 0, 0, 0),
    "closed before opened": ("<answer>}{</answer>", F, 0.5, 0, 0, 0, 0),
    "escaped brace is no brace": (r"<answer>\{ a</answer>", r"\{ a", 0.5, 0, 1, 1, 2),
    "escaped backslash, then a brace": (r"<answer>\\{ a</answer>", "a", 0.5, 0, 0, 0, 0),
    "comment hides a closing brace": ("<answer>{a % }</answer>", "{a}", 0.5, 0, 0, 0, 0),
    "comment hides an opening brace": ("<answer>a % {</answer>", "a", 0.5, 0, 1, 1, 0),
    "comment ends with its line": ("<answer>{a % x\n}</answer>", "{a}", 0.5, 0, 1, 2 / 3, 0),
    "escaped per cent sign is no comment": (r"<answer>{5 \% }</answer>", r"{5 \% }", 0.5, 0, 1, 1, 2),
    # What is compared.
    "case and space do not matter": (r"<answer>  \FRAC{A}{B} </answer>", F, 0.5, 0, 1, 1, 2),
    "space inside matters to the bonus": (r"<answer>\frac {a} {b}</answer>", F, 0.5, 0, 1, 1, 0),
    "part of it": ("<answer>a</answer>", F, 0.5, 0, 1, 0.5, 0),
    "no word in it": ("<answer>+</answer>", "+", 0.5, 0, 1, 0, 2),
    "empty answer": ("<think></think><answer> </answer>", F, 1, 1, 0, 0, 0),
    "empty reference": ("<answer>x</answer>", "", 0.5, 0, 0, 0, 0),
    "blank reference": ("<answer>x</answer>", " \n", 0.5, 0, 0, 0, 0),
    # What is no text.
    "None": (None, F, 0, 0, 0, 0, 0),
    "a number": (7, F, 0, 0, 0, 0, 0),
    "no messages": ([], F, 0, 0, 0, 0, 0),
    "a message without content": ([{"role": "assistant"}], F, 0, 0, 0, 0, 0),
    "reference is no text": (f"<answer>{F}</answer>", None, 0.5, 0, 0, 0, 0),
}  # fmt: skip
IDS, ROWS = list(CASES), list(CASES.values())


@pytest.mark.parametrize(
    ("name", "column"),
    [("tag_presence", 2), ("tag_order", 3), ("exact_match_bonus", 6)],
)
def test_rewards_agree_with_their_definition(name: str, column: int) -> None:
    got = REWARDS[name]([row[0] for row in ROWS], [row[1] for row in ROWS])
    assert dict(zip(IDS, got, strict=True)) == {id_: row[column] for id_, row in CASES.items()}


def test_validity_similarity_is_the_bonus_and_rouge_l() -> None:
    completions, references = [row[0] for row in ROWS], [row[1] for row in ROWS]
    values = REWARDS["validity_similarity"](completions, references)
    records = score_completions(completions, references, rewards=["validity_similarity"])
    for id_, row, value, record in zip(IDS, ROWS, values, records, strict=True):
        assert record.validity_bonus == row[4], id_
        assert record.similarity == pytest.approx(row[5], abs=1e-12), id_
        assert value == record.validity_bonus + record.similarity, id_


def test_similarity_is_that_of_the_package() -> None:
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    seen = 0
    references = [
        F,
        r"\sum_{i=1}^{n} x_i",
        r"\operatorname{ReLU}(x) = \max(0, x)",
        "running runs 10",
    ]
    answers = [*references, r"\sum_{i=0}^{n} x_j", "run", r"\max(x)", "x", "", "ΑΒΓ α"]
    for reference in references:
        for answer in answers:
            text = f"<answer>{answer}</answer>"
            record = score_completions([text], [reference], rewards=["validity_similarity"])[0]
            expected = scorer.score(reference.lower().strip(), answer.lower().strip())["rougeL"]
            if answer:
                assert record.similarity == expected.fmeasure
                seen += record.similarity > 0
    assert seen > 8


@pytest.mark.parametrize("name", ["tag_presence", "validity_similarity", "cdm"])
def test_a_batch_whose_lengths_differ_gives_zeros_and_a_warning(name: str) -> None:
    with pytest.warns(UserWarning, match="2 completions came with 1 references"):
        assert REWARDS[name]([f"<answer>{F}</answer>"] * 2, [F]) == [0.0, 0.0]


def test_conversations_and_plain_texts_are_the_same_to_a_reward() -> None:
    text = f"<think>t</think><answer>{F}</answer>"
    parts = [{"type": "text", "text": text}]
    forms = [text, [{"role": "assistant", "content": text}], [{"content": parts}]]
    assert REWARDS["validity_similarity"](forms, [F] * 3, prompts=["p"] * 3) == [2.0] * 3

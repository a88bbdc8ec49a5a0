"""The loop of GRPO is right: log-probabilities with the right picture, answers from the right model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from texlens.errors import TexlensError
from texlens.model.load import EMBEDDED, Loaded, load_model
from texlens.render.picture import png_many
from texlens.train.grpo.completions import CompletionLog
from texlens.train.grpo.groups import by_length
from texlens.train.grpo.sampling.base import Sampling
from texlens.train.grpo.sampling.graphed import GraphedSampler
from texlens.train.grpo.sampling.sampler import sample_by_generate
from texlens.train.grpo.trainer import (
    FormulaGrpoTrainer,
    OncePerPicture,
    StepPictures,
    different_pictures,
    encode_each_picture_once,
)
from texlens.train.rewards.functions import BatchRewards, RewardSettings, ScoredCompletion
from texlens.train.run.callbacks import LOG_PREFIX

SIZES = ((96, 32), (160, 48), (32, 32), (64, 96))
"""Width and height in pixels of pictures that share no grid."""


def pictures() -> list[Image.Image]:
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, (height, width), dtype=np.uint8) for width, height in SIZES]
    return [Image.fromarray(grey).convert("RGB") for grey in noise]


def loaded_in_fp32(folder: Path) -> Loaded:
    loaded = load_model(folder, device="cpu")
    loaded.processor.image_processor.size = {
        "shortest_edge": loaded.prompt_config.min_pixels,
        "longest_edge": loaded.prompt_config.max_pixels,
    }
    return loaded


def prompts_of(loaded: Loaded, images: list[Image.Image]) -> dict[str, torch.Tensor]:
    text = loaded.processor.apply_chat_template(
        loaded.prompt_config.messages(), tokenize=False, add_generation_prompt=True
    )
    return dict(
        loaded.processor(
            text=[text] * len(images), images=images, padding=True, return_tensors="pt"
        )
    )


def adapted(model: Any, *, seed: int = 0, loud: float = 0.5) -> Any:
    """The model with a LoRA adapter on the language model that changes its answers; 0: not yet."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    wrapped = get_peft_model(
        model,
        LoraConfig(r=2, target_modules=r".*language_model.*\.(q_proj|v_proj|down_proj)"),
    )
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=loud)
    return wrapped


def trainer(
    loaded: Loaded,
    model: Any,
    out: Path,
    images: Sequence[Image.Image] | None = None,
    **settings: Any,
) -> FormulaGrpoTrainer:
    from datasets import Dataset
    from trl.trainer.grpo_config import GRPOConfig

    prompt_config = loaded.prompt_config
    prompt = [
        {"role": "system", "content": prompt_config.system},
        {"role": "user", "content": prompt_config.instruction},
    ]
    rows = [
        {"id": str(place), "prompt": prompt, "image": image, "solution": "x"}
        for place, image in enumerate(images or pictures())
    ]
    arguments: dict[str, Any] = {
        "per_device_train_batch_size": 8, "gradient_accumulation_steps": 1, "num_generations": 2,
        "max_completion_length": 12, "max_steps": 1, "use_cpu": True, "bf16": False,
        "gradient_checkpointing": False, "report_to": "none", "save_strategy": "no",
        "disable_tqdm": True, "temperature": 0.7, "shuffle_dataset": False,
    }  # fmt: skip
    arguments |= settings
    ends, forbidden = tokens_of(loaded)
    return FormulaGrpoTrainer(
        model=model,
        rewards=BatchRewards({"no_loop": 1.0}, RewardSettings(end_tokens=frozenset(ends))),
        sampling=Sampling(arguments["temperature"], 12, ends, forbidden),
        args=GRPOConfig(output_dir=str(out), **arguments),
        train_dataset=Dataset.from_list(rows),
        processing_class=loaded.processor,
    )


def tokens_of(loaded: Loaded) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The tokens that end an answer, and those that must not be sampled."""
    return (int(loaded.model.generation_config.eos_token_id),), (
        int(loaded.model.config.image_token_id),
    )


@pytest.mark.parametrize(("micro_batch", "by_trl"), [(8, False), (3, False), (1, False), (3, True)])
def test_a_completion_has_the_log_probability_of_a_pass_with_its_own_picture(
    model_folder: Path, tmp_path: Path, micro_batch: int, by_trl: bool
) -> None:
    """TRL 1.4.0 gave completions the pictures of others when sizes were mixed, in silence."""
    loaded = loaded_in_fp32(model_folder)
    model = adapted(loaded.model)
    run = trainer(loaded, model, tmp_path)
    run.by_trl = by_trl
    rows = [run.train_dataset[place] for place in (0, 0, 1, 1, 2, 2, 3, 3)]
    batch = run._generate_and_score_completions(rows)
    if by_trl:  # with vLLM and sharded weights
        ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
        mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
        logps, _, _ = run._get_per_token_logps_and_entropies(
            run.model, ids, mask, batch["completion_ids"].shape[1], batch_size=micro_batch,
            pixel_values=batch["pixel_values"], image_grid_thw=batch["image_grid_thw"],
            num_images=batch["num_images"], mm_token_type_ids=batch["mm_token_type_ids"],
        )  # fmt: skip
    else:
        run.args.per_device_train_batch_size = micro_batch
        logps = run._log_probs(run.model, batch)
    alone = adapted(load_model(model_folder, device="cpu").model)  # untouched by the trainer
    images = pictures()
    for row, place in enumerate((0, 0, 1, 1, 2, 2, 3, 3)):
        prompt = prompts_of(loaded, [images[place]])
        length = int(batch["completion_mask"][row].sum())
        completion = batch["completion_ids"][row, :length]
        whole = torch.cat([prompt["input_ids"][0], completion])[None]
        kinds = torch.nn.functional.pad(prompt["mm_token_type_ids"], (0, length))
        with torch.no_grad():
            logits = alone(
                input_ids=whole,
                attention_mask=torch.ones_like(whole),
                mm_token_type_ids=kinds,
                pixel_values=prompt["pixel_values"],
                image_grid_thw=prompt["image_grid_thw"],
            ).logits[0, -length - 1 : -1]
        expected = (logits / 0.7).log_softmax(-1).gather(-1, completion[:, None])[:, 0]
        torch.testing.assert_close(logps[row, :length], expected, rtol=1e-3, atol=1e-3)
        # With another picture it would be another number: the test can fail.
        other = prompts_of(loaded, [images[(place + 1) % 4]])
        whole = torch.cat([other["input_ids"][0], completion])[None]
        with torch.no_grad():
            logits = alone(
                input_ids=whole,
                attention_mask=torch.ones_like(whole),
                mm_token_type_ids=torch.nn.functional.pad(other["mm_token_type_ids"], (0, length)),
                pixel_values=other["pixel_values"],
                image_grid_thw=other["image_grid_thw"],
            ).logits[0, -length - 1 : -1]
        wrong = (logits / 0.7).log_softmax(-1).gather(-1, completion[:, None])[:, 0]
        assert (wrong - expected).abs().max() > 0.1


Encoded = Callable[[StepPictures, Any, Sequence[int]], torch.Tensor]


def own(pictures: StepPictures, network: Any, places: Sequence[int]) -> torch.Tensor:
    return ENCODED(pictures, network, places)


def swapped(pictures: StepPictures, network: Any, places: Sequence[int]) -> torch.Tensor:
    return ENCODED(pictures, network, [*places[1:], *places[:1]])


def lost(pictures: StepPictures, network: Any, places: Sequence[int]) -> torch.Tensor:
    return torch.zeros_like(ENCODED(pictures, network, places))


ENCODED: Encoded = StepPictures.encoded


@pytest.mark.parametrize("encoded", [own, swapped, lost])
def test_a_loss_with_other_pictures_or_none_ends_the_run_at_its_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoded: Encoded
) -> None:
    """transformers 5.17 dropped what it did not know, so the loss was that of a network without pictures."""
    loaded = loaded_in_fp32(EMBEDDED)
    formulas = (r"\frac{a}{b}", r"x^2+y^2=1", r"\sum_i w_i", r"\sqrt{z-1}")
    drawn = [picture for picture in png_many(formulas) if isinstance(picture, bytes)]
    images = [Image.open(BytesIO(picture)).convert("RGB") for picture in drawn]
    run = trainer(loaded, adapted(loaded.model, loud=0.0), tmp_path, images, max_steps=2)
    trained = [weight for weight in run.model.parameters() if weight.requires_grad]
    before = [weight.detach().clone() for weight in trained]
    monkeypatch.setattr(StepPictures, "encoded", encoded)
    if encoded is own:
        run.train()
        name = LOG_PREFIX + "log_prob_difference"
        (difference,) = (line[name] for line in run.state.log_history if name in line)
        assert difference < 1e-3
    else:
        with pytest.raises(TexlensError, match=r"does not see .* \d+\.\d+ nats a token"):
            run.train()
        assert all(torch.equal(*pair) for pair in zip(before, trained, strict=True))


def test_equal_pictures_are_found_and_different_ones_of_one_size_are_not(
    model_folder: Path,
) -> None:
    loaded = loaded_in_fp32(model_folder)
    first, second, third, _ = pictures()
    negative = Image.fromarray(255 - np.asarray(first))
    batch = prompts_of(loaded, [first, second, first, negative, third, second])
    patches, firsts, kinds = different_pictures(batch["pixel_values"], batch["image_grid_thw"])
    assert (firsts, kinds) == ([0, 1, 3, 4], [0, 1, 0, 2, 3, 1])
    assert len(patches) == batch["image_grid_thw"][firsts].prod(-1).sum()


def test_one_pass_a_picture_gives_the_same_output_and_gradients(model_folder: Path) -> None:
    first, second, third, _ = pictures()
    gradients, outputs = [], []
    for once in (False, True):
        loaded = loaded_in_fp32(model_folder)
        tower = loaded.model.model.visual
        if once:
            encode_each_picture_once(loaded.model)
            assert type(tower) is OncePerPicture
        tower.requires_grad_(True)
        batch = prompts_of(loaded, [first, second, first, third, first])
        output = tower(batch["pixel_values"], grid_thw=batch["image_grid_thw"]).pooler_output
        weights = torch.linspace(-1, 1, output.numel()).view_as(output)
        (output * weights).sum().backward()
        outputs.append(output.detach())
        gradients.append(tower.blocks[0].mlp.up_proj.weight.grad)
    torch.testing.assert_close(outputs[0], outputs[1])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-3)


def by_fixed_cache(model: Any, *arguments: Any) -> list[list[int]]:
    return GraphedSampler(model).sample(*arguments)


class FilledSampler(GraphedSampler):
    """Fills batches up to powers of two, as on a GPU."""

    def _rows_for(self, answers: int) -> int:
        return 1 << (answers - 1).bit_length()


def by_filled_batches(model: Any, *arguments: Any) -> list[list[int]]:
    return FilledSampler(model).sample(*arguments)


Sampled = Callable[..., list[list[int]]]


@pytest.mark.parametrize("top_p", [1.0, 0.6])
@pytest.mark.parametrize("sampled", [by_fixed_cache, sample_by_generate])
def test_answers_are_sampled_with_the_probabilities_of_the_adapted_model(
    model_folder: Path, sampled: Sampled, top_p: float
) -> None:
    loaded = loaded_in_fp32(model_folder)
    model = adapted(loaded.model)
    inputs = prompts_of(loaded, pictures()[:2])
    forbidden = int(loaded.model.config.image_token_id)
    with torch.no_grad():
        logits = model(**inputs).logits[:, -1]
    logits[:, forbidden] = float("-inf")
    expected = (logits / 0.2).softmax(-1)
    for row in expected:
        order = row.argsort(descending=True)
        row[order[int((row[order].cumsum(0) < top_p).sum()) + 1 :]] = 0
    expected /= expected.sum(-1, keepdim=True)
    torch.manual_seed(0)
    count = 2000
    repeats = [0] * count + [1] * count
    answers = sampled(model, inputs, repeats, Sampling(0.2, 1, (10_000,), (forbidden,), top_p))
    for row in (0, 1):
        counts = Counter(answer[0] for answer in answers[row * count : (row + 1) * count])
        frequencies = torch.zeros(expected.shape[1])
        for token, times in counts.items():
            frequencies[token] = times / count
        # Half the summed difference of frequencies; for a right sampler it is about 0.02 here.
        distance = float((frequencies - expected[row]).abs().sum() / 2)
        assert distance < 0.08, distance
        assert not frequencies[expected[row] == 0].any()
    other = float((expected[0] - expected[1]).abs().sum() / 2)
    assert other > 0.2, "the two pictures must differ for this test to tell them apart"


@pytest.mark.parametrize("sampled", [by_fixed_cache, by_filled_batches, sample_by_generate])
def test_sampled_answers_are_those_of_generate_when_it_is_cold(
    model_folder: Path, sampled: Sampled
) -> None:
    """Near temperature 0 there is one answer a picture, end token included."""
    loaded = loaded_in_fp32(model_folder)
    model = adapted(loaded.model)
    inputs = prompts_of(loaded, pictures())
    forbidden = int(loaded.model.config.image_token_id)
    end = loaded.model.generation_config.eos_token_id
    with torch.inference_mode():
        written = model.generate(
            **inputs, max_new_tokens=40, do_sample=False, suppress_tokens=[forbidden]
        )[:, inputs["input_ids"].shape[1] :].tolist()
    expected = [row[: row.index(end) + 1] if end in row else row for row in written]
    repeats = [0, 0, 1, 2, 2, 2, 3]
    answers = sampled(model, inputs, repeats, Sampling(1e-5, 40, (end,), (forbidden,)))
    assert answers == [expected[row] for row in repeats]
    assert len({tuple(answer) for answer in expected}) > 1


def test_the_trainer_samples_from_the_weights_it_has_now(
    model_folder: Path, tmp_path: Path
) -> None:
    loaded = loaded_in_fp32(model_folder)
    run = trainer(loaded, adapted(loaded.model), tmp_path, temperature=1e-5)
    rows = [run.train_dataset[place] for place in (0, 0, 1, 1)]
    before = run._generate_and_score_completions(rows)["completion_ids"]
    for name, parameter in run.model.named_parameters():
        if "lora_B" in name:
            parameter.data.neg_()
    after = run._generate_and_score_completions(rows)["completion_ids"]
    assert before.tolist() != after.tolist()


class RightOf(BatchRewards):
    """1 for an answer of an even number of tokens to a picture that is not named, else 0."""

    def __init__(self, dead: set[str]) -> None:
        super().__init__({"exact": 1.0})
        self.dead = dead

    def score(
        self,
        completions: Sequence[Any],
        solution: Sequence[Any],
        completion_ids: Sequence[Sequence[int]] | None = None,
    ) -> list[ScoredCompletion]:
        assert completion_ids is not None
        self.last = [
            ScoredCompletion("", "", of, {"exact": float(of not in self.dead and number % 2 == 0)})
            for number, of in enumerate(solution)
        ]
        return self.last


def run_that_knows_its_pictures(model_folder: Path, tmp_path: Path) -> FormulaGrpoTrainer:
    """A trainer on four prompts whose reference is the id of the picture."""
    loaded = loaded_in_fp32(model_folder)
    run = trainer(loaded, adapted(loaded.model), tmp_path, per_device_train_batch_size=4)
    run.train_dataset = run.train_dataset.map(lambda row: row | {"solution": row["id"]})
    return run


def test_groups_without_variance_are_replaced_by_other_prompts(
    model_folder: Path, tmp_path: Path
) -> None:
    run = run_that_knows_its_pictures(model_folder, tmp_path)
    rows = [run.train_dataset[place] for place in (0, 0, 1, 1)]

    run.rewards = RightOf({"1"})
    unchanged = run._generate_and_score_completions(rows)
    assert unchanged["advantages"].abs().gt(0).tolist() == [True, True, False, False]

    run.resampling_rounds = 1
    batch = run._generate_and_score_completions(rows)
    assert batch["advantages"].abs().gt(0).all(), "pictures 2 and 3 are alive"
    again = run._generate_and_score_completions(rows)
    assert again["prompt_ids"].tolist() == batch["prompt_ids"].tolist(), "chosen by the step"

    run.rewards, run.resampling_rounds = RightOf({"1", "2", "3"}), 5  # there are four prompts
    batch = run._generate_and_score_completions(rows)
    assert batch["advantages"].abs().gt(0).tolist() == [True, True, False, False]
    assert batch["completion_mask"].sum(1).gt(0).tolist() == [True, True, False, False]
    assert batch["num_items_in_batch"] == batch["completion_mask"][:2].sum()
    run.current_gradient_accumulation_steps = 1
    assert torch.isfinite(run.compute_loss(run.model, by_length(batch)))


def test_the_log_has_the_share_of_dead_groups_of_all_that_were_sampled(
    model_folder: Path, tmp_path: Path
) -> None:
    run = run_that_knows_its_pictures(model_folder, tmp_path)
    run.rewards, run.resampling_rounds = RightOf({"1", "2", "3"}), 5
    run.completions = CompletionLog(tmp_path, run.rewards.by_name, page_steps=0)
    run._generate_and_score_completions([run.train_dataset[place] for place in (0, 0, 1, 1)])
    assert run._metrics["train"]["texlens/dead_groups"] == [0.75]
    assert len((tmp_path / "rewards.jsonl").read_text().splitlines()) == 8

"""What is trained is what the recipe names, and what is written is read alike by everyone."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from texlens.data.parquet import read_examples
from texlens.errors import InputError
from texlens.model.load import load_model
from texlens.model.merge import merge_adapter
from texlens.model.qwen_shapes import build_on_meta
from texlens.model.sharing import push
from texlens.reading import Reader
from texlens.train.network.adapters import (
    count_parameters,
    load_for_training,
    lora_targets,
    module_of,
)
from texlens.train.network.folded_lora import FoldedLora, fold_lora
from texlens.train.settings import ModuleName
from texlens.train.sft.settings import SftConfig
from texlens.train.sft.train import train_sft

Tuning = Callable[..., SftConfig]
Spy = Callable[[Reader, bytes], tuple[dict[str, torch.Tensor], tuple[int, ...]]]
PARTS: tuple[ModuleName, ...] = ("language_model", "vision", "merger")


@pytest.mark.parametrize("part", PARTS)
def test_lora_touches_every_linear_layer_of_a_part_and_no_other(part: ModuleName) -> None:
    network = build_on_meta("Qwen/Qwen2.5-VL-3B-Instruct")
    pattern = re.compile(lora_targets([part]))
    hit = {name for name, _ in network.named_modules() if pattern.fullmatch(name)}
    linear = {
        name
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.Linear) and module_of(name) == part and name != "lm_head"
    }
    assert hit == linear != set()


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("lora", [None, {"r": 2, "lora_alpha": 4}])
def test_only_the_named_part_is_trained(tuning: Tuning, part: ModuleName, lora: Any) -> None:
    loaded = load_for_training(tuning(trainable_modules=[part], lora=lora))
    trained = [name for name, p in loaded.model.named_parameters() if p.requires_grad]
    assert trained
    assert {module_of(name) for name in trained} == {part}
    counts = count_parameters(loaded.model)
    assert 0 < counts["trained"] < counts["total"]
    if lora is not None:
        assert all("lora_" in name for name in trained)


def test_trained_weights_are_float32_and_frozen_ones_are_not(tuning: Tuning) -> None:
    for lora in (None, {"r": 2, "lora_alpha": 4}):
        network = load_for_training(
            tuning(trainable_modules=["merger"], lora=lora, precision="bfloat16")
        ).model
        kinds = {(p.requires_grad, p.dtype) for p in network.parameters()}
        assert kinds == {(True, torch.float32), (False, torch.bfloat16)}


def test_the_prompt_config_is_the_base_s_with_the_recipe_s_changes(tuning: Tuning) -> None:
    start = load_for_training(tuning()).prompt_config
    changed = load_for_training(
        tuning(prompt_config={"answer_format": "think_answer"})
    ).prompt_config
    assert changed == start.model_copy(update={"answer_format": "think_answer"})
    assert start.base == tuning().model


def test_adapter_on_base_merged_and_stock_read_the_same(
    tuning: Tuning, pictures: Path, spy: Spy, tmp_path: Path
) -> None:
    """A trained adapter, read by TexLens, merged, and by plain peft on plain transformers."""
    from peft import PeftModel
    from transformers import Qwen2_5_VLForConditionalGeneration

    config = tuning(max_steps=12, learning_rate=0.02)
    train_sft(config, tmp_path / "run")
    assert config.model is not None
    record = merge_adapter(tmp_path / "run" / "adapter", tmp_path / "merged")
    images = [example.image for example in read_examples(pictures, 6)]
    base = [
        r.latex
        for r in Reader(config.model, device="cpu", constrained=False, reread=False).read_many(
            images
        )
    ]
    tuned = Reader(
        config.model, tmp_path / "run" / "adapter", device="cpu", constrained=False, reread=False
    )
    read = [r.latex for r in tuned.read_many(images)]
    assert read != base
    merged = Reader(tmp_path / "merged", device="cpu", constrained=False, reread=False)
    assert [r.latex for r in merged.read_many(images)] == read
    assert merged.prompt_config == tuned.prompt_config
    assert record["dtype"] == "float32"
    card = (tmp_path / "merged" / "README.md").read_text()
    assert "rows" in card  # the data, from the card of the adapter
    assert card.count('Reader("this folder")') == card.count("## Use") == 1
    with pytest.raises(InputError, match="is the draft of a card"):
        push(tmp_path / "merged", "me/merged")

    plain = Qwen2_5_VLForConditionalGeneration.from_pretrained(config.model, dtype=torch.float32)
    stock = PeftModel.from_pretrained(plain, str(tmp_path / "run" / "adapter")).eval()
    whole = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        tmp_path / "merged", dtype=torch.float32
    ).eval()
    for image in images:
        inputs, tokens = spy(tuned, image)
        assert len(tokens) > 2
        for network in (stock, whole):
            with torch.inference_mode():
                written = network.generate(**inputs, max_new_tokens=24, do_sample=False)
            # The reader stops where the answer only repeats itself; transformers writes on.
            answer = written[0, inputs["input_ids"].shape[1] :].tolist()
            assert tuple(answer[: len(tokens)]) == tokens


def test_an_adapter_is_merged_in_float32_before_full_fine_tuning(
    tuning: Tuning, tmp_path: Path
) -> None:
    train_sft(tuning(max_steps=2, trainable_modules=["language_model"]), tmp_path / "run")
    settings: dict[str, Any] = {
        "lora": None, "adapter": str(tmp_path / "run" / "adapter"),
        "trainable_modules": ["language_model"],
    }  # fmt: skip
    full, half = (
        dict(load_for_training(tuning(precision=p, **settings)).model.named_parameters())
        for p in ("float32", "bfloat16")
    )
    for name, weight in half.items():
        trained = weight.requires_grad
        assert weight.dtype == (torch.float32 if trained else torch.bfloat16)
        assert torch.equal(weight, full[name] if trained else full[name].bfloat16())


def test_a_merged_model_keeps_the_type_of_its_base(tuning: Tuning, tmp_path: Path) -> None:
    half = tmp_path / "half"
    loaded = load_model(tuning().model, device="cpu")
    loaded.model.to(torch.bfloat16).save_pretrained(half)
    loaded.processor.save_pretrained(half)
    loaded.prompt_config.save(half)
    train_sft(tuning(model=str(half), max_steps=1), tmp_path / "run")
    assert merge_adapter(tmp_path / "run" / "adapter", tmp_path / "m")["dtype"] == "bfloat16"
    assert next(load_model(tmp_path / "m").model.parameters()).dtype == torch.float32


def test_a_small_base_without_its_prompt_configuration_is_a_warning(
    tuning: Tuning, model_folder: Path, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(model_folder, base)
    (base / "texlens.json").unlink()
    with pytest.warns(UserWarning, match=r"small model without texlens\.json"):
        loaded = load_for_training(tuning(model=str(base)))
    loaded.model.save_pretrained(tmp_path / "adapter")
    with pytest.warns(UserWarning, match=r"small model without texlens\.json"):
        merge_adapter(tmp_path / "adapter", tmp_path / "merged", model=base)


@pytest.mark.parametrize("half", [False, True])
def test_folded_lora_is_the_same_function(half: bool) -> None:
    torch.manual_seed(0)
    plain = torch.nn.Sequential(torch.nn.Linear(24, 40), torch.nn.SiLU(), torch.nn.Linear(40, 8))
    lora = LoraConfig(r=4, lora_alpha=12, target_modules=["0", "2"])
    network = get_peft_model(plain, lora)
    for parameter in network.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    x = torch.randn(50, 24)

    def results() -> list[torch.Tensor]:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            output = network(x)
        network.zero_grad()
        output.float().pow(2).sum().backward()
        return [output.detach(), *(p.grad.clone() for p in network.parameters() if p.requires_grad)]

    stock = results()
    fold_lora(network)
    assert sum(isinstance(module, FoldedLora) for module in network.modules()) == 2
    for ours, theirs in zip(results(), stock, strict=True):
        scale = float(theirs.float().abs().max())
        torch.testing.assert_close(
            ours.float(), theirs.float(), rtol=0, atol=(0.05 if half else 1e-5) * scale
        )
    with network.disable_adapter():
        torch.testing.assert_close(network(x), plain_output(network, x))


def plain_output(network: Any, x: torch.Tensor) -> torch.Tensor:
    """The output of the frozen layers alone."""
    layers = network.base_model.model
    first, last = layers[0].base_layer, layers[2].base_layer
    output: torch.Tensor = last(torch.nn.functional.silu(first(x)))
    return output


def test_lora_with_dropout_is_not_folded(tuning: Tuning) -> None:
    for dropout, folded in ((0.1, False), (0.0, True)):
        lora = {"r": 2, "lora_alpha": 4, "lora_dropout": dropout}
        network = load_for_training(tuning(lora=lora)).model
        assert any(isinstance(module, FoldedLora) for module in network.modules()) == folded

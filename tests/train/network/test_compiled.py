"""Compiled layers compute the same losses and gradients; shapes and splits of a step are sensible."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from texlens.train.data.prepared import prepare_examples
from texlens.train.network.adapters import load_for_training
from texlens.train.network.compiled import compile_layers, gradients_fit, without_compilation
from texlens.train.network.graphed import (
    GraphedPasses,
    _Pass,
    captures_of_this_thread,
    padded_length,
)
from texlens.train.network.probe import _ways
from texlens.train.sft.batches import AnswerCollator
from texlens.train.sft.settings import SftConfig


@given(st.integers(1, 5000))
def test_padding_adds_at_most_an_eighth_and_leaves_few_lengths(longest: int) -> None:
    padded = padded_length(longest)
    assert longest <= padded < longest + max(16, longest / 8 + 1)
    assert padded_length(padded) == padded


def test_few_lengths_occur() -> None:
    assert len({padded_length(length) for length in range(50, 1025)}) < 40


def test_a_step_is_tried_whole_first_and_one_by_one_last() -> None:
    ways = list(_ways(8))
    assert ways == [(8, False), (4, False), (8, True), (4, True), (2, True), (1, True)]
    assert list(_ways(1)) == [(1, False), (1, True)]


@pytest.mark.slow
def test_compiled_layers_have_the_same_losses_and_gradients(
    tuning: Callable[..., SftConfig],
) -> None:
    config = tuning(lora={"r": 4, "lora_alpha": 8}, trainable_modules=["language_model"])
    loaded = load_for_training(config)
    data = prepare_examples(config.data, loaded, max_length=config.max_length, quiet=True)
    batch = AnswerCollator(loaded, data.prompt)([data.table[place] for place in (3, 8)])
    network = loaded.model.train()
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    for name, parameter in trained.items():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.02)

    def loss_and_gradients() -> tuple[float, dict[str, torch.Tensor]]:
        network.zero_grad(set_to_none=True)
        loss = network(**batch).loss
        loss.backward()
        return float(loss), {n: p.grad.clone() for n, p in trained.items() if p.grad is not None}

    plain, gradients = loss_and_gradients()
    compile_layers(network)
    compiled, others = loss_and_gradients()
    assert compiled == pytest.approx(plain, rel=1e-5)
    for name, gradient in gradients.items():
        torch.testing.assert_close(others[name], gradient, rtol=1e-3, atol=1e-5)
    layer = network.get_base_model().model.language_model.layers[0]
    assert layer._compiled_call_impl is not None
    with without_compilation(network):
        assert layer._compiled_call_impl is None
    assert layer._compiled_call_impl is not None


def test_a_pass_with_stand_ins_gives_the_gradients_of_the_weights(
    tuning: Callable[..., SftConfig],
) -> None:
    config = tuning(lora={"r": 4, "lora_alpha": 8}, trainable_modules=["language_model"])
    network = load_for_training(config).model.train()
    for name, parameter in network.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.02)
    language_model = network.get_base_model().model.language_model
    passes = _Pass(language_model)
    embedded = torch.randn(2, 16, language_model.config.hidden_size)
    positions = torch.arange(16).expand(3, 2, 16)
    plain = passes(embedded, positions)
    expected = torch.autograd.grad(plain.square().sum(), passes.weights)
    stand_ins = [weight.detach().requires_grad_() for weight in passes.weights]
    hidden = passes.with_weights(embedded, positions, *stand_ins)
    found = torch.autograd.grad(hidden.square().sum(), stand_ins)
    assert stand_ins
    assert torch.equal(hidden, plain)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_the_trial_before_a_recording_runs_two_layers_and_leaves_nothing(
    tuning: Callable[..., SftConfig],
) -> None:
    config = tuning(lora={"r": 4, "lora_alpha": 8}, trainable_modules=["language_model"])
    language_model = load_for_training(config).model.train().get_base_model().model.language_model
    layers = language_model.layers
    layers.append(copy.deepcopy(layers[1]))
    ran: list[int] = []
    for place, layer in enumerate(layers):
        layer.register_forward_hook(lambda *_, place=place: ran.append(place))
    passes = _Pass(language_model)
    embedded = torch.randn(2, 16, language_model.config.hidden_size)
    passes.try_two_layers(embedded, torch.arange(16).expand(3, 2, 16))
    assert ran == [0, 1]
    assert language_model.layers is layers
    assert all(weight.grad is None for weight in passes.weights)


@pytest.mark.parametrize("pictures_are_trained", [False, True])
def test_the_longest_pass_is_recorded_first_and_pictures_keep_their_gradient(
    tuning: Callable[..., SftConfig], monkeypatch: pytest.MonkeyPatch, pictures_are_trained: bool
) -> None:
    config = tuning(lora={"r": 4, "lora_alpha": 8}, trainable_modules=["language_model"])
    language_model = load_for_training(config).model.train().get_base_model().model.language_model
    recorded: list[int] = []

    def record(
        function: Callable[..., torch.Tensor], samples: tuple[torch.Tensor, ...], **_: object
    ) -> Callable[..., torch.Tensor]:
        recorded.append(samples[0].shape[1])
        assert samples[0].is_leaf
        assert samples[0].requires_grad == pictures_are_trained
        return function

    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 1))
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", record)
    passes = GraphedPasses(language_model, longest=48)
    for length in (16, 32, 16, 48):
        embedded = torch.randn(2, length, language_model.config.hidden_size)
        embedded = (embedded.requires_grad_(pictures_are_trained) * 1.0).clone()
        hidden = passes(embedded, torch.arange(length).expand(3, 2, length))
        assert hidden.shape == embedded.shape
    assert recorded == [48, 16, 32]


def test_what_is_trained_in_full_is_not_recorded_on_a_small_card(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = torch.nn.Linear(1024, 1024, bias=False)  # 4 MiB of gradients for each length
    for mebibytes, fits in ((1024, True), (256, False)):
        card = SimpleNamespace(total_memory=mebibytes * 2**20)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _, card=card: card)
        assert gradients_fit(network) == fits


def test_a_pass_and_its_gradient_are_captured_whatever_other_threads_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The loader's thread allocates pinned memory, which ended captures of the default mode."""
    modes: list[str] = []

    class Capture(nullcontext[None]):
        """In place of `torch.cuda.graph`, whose default mode this is."""

        def __init__(self, _: object, *, pool: object, capture_error_mode: str = "global") -> None:
            super().__init__()
            modes.append(capture_error_mode)

    monkeypatch.setattr(torch.cuda, "graph", Capture)
    for name in ("CUDAGraph", "synchronize"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    monkeypatch.setattr(torch.cuda, "Stream", lambda: None)
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    sample = torch.ones(2, requires_grad=True)
    for context, mode in ((captures_of_this_thread(), "thread_local"), (nullcontext(), "global")):
        modes.clear()
        with context:
            torch.cuda.make_graphed_callables(torch.exp, (sample,), num_warmup_iters=0, pool=(0, 1))
        assert modes == [mode, mode]

from copy import deepcopy

import pytest
import tiny_adapter
import tiny_drafter
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coder_model.errors import CorpusError, ModelFileError
from coder_model.model.adapter_files import StoredAdapter, read_adapter, write_adapter
from coder_model.model.transformer import causally
from coder_model.training.adapter.low_rank import attach_, factors, fill_
from coder_model.training.adapter.options import ALL_LAYERS, FEW_LAYERS

TOKENS, POSITIONS = torch.randint(0, tiny_drafter.VOCABULARY, (2, 20)), torch.arange(20).expand(2, 20)
MODEL = tiny_drafter.target()
NORM = MODEL.norm.weight


def said(model):
    return model(TOKENS, POSITIONS, causally)


def is_same(found, expected, tolerance=0.01):
    """Up to a share of what the adapter changes: factors are kept in float16."""
    return (found - expected).norm() < tolerance * (expected - said(MODEL)).norm()


def randomly_(adapted, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for layer in adapted.values():
        layer.up.data.normal_(0, 0.05, generator=generator)


@pytest.mark.parametrize("layers", [FEW_LAYERS, ALL_LAYERS])
def test_an_adapter_that_has_learnt_nothing_changes_no_bit(layers):
    model = deepcopy(MODEL)
    plain = said(model)
    adapted = attach_(model, 4, 2.0, layers)
    assert len(adapted) == len(layers) * len(model.layers)
    assert torch.equal(said(model), plain)


def test_only_factors_learn():
    model = deepcopy(MODEL).requires_grad_(False)
    adapted = attach_(model, 4, 2.0, FEW_LAYERS)
    randomly_(adapted)
    said(model).square().sum().backward()
    learning = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert learning == {f"{name}.{factor}" for name in adapted for factor in ("down", "up")}
    assert all(bool(parameter.grad.any()) for parameter in model.parameters() if parameter.grad is not None)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 16), st.floats(0.25, 8), st.integers(0, 99))
def test_the_factors_added_to_the_weights_are_the_adapted_model(rank, scale, seed):
    model, merged = deepcopy(MODEL), deepcopy(MODEL)
    adapted = attach_(model, rank, scale, ALL_LAYERS)
    randomly_(adapted, seed)
    stored = StoredAdapter(factors(adapted), NORM)
    assert stored.belongs_to(merged, NORM)
    for name in stored.modules:
        merged.get_submodule(name).weight.data.add_(stored.delta(name))
    assert is_same(said(merged), said(model))


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 8), st.integers(0, 8), st.sampled_from([FEW_LAYERS, ALL_LAYERS]), st.floats(0.25, 8))
def test_factors_come_back_into_a_model_of_the_same_or_a_higher_rank_and_more_layers(rank, more, layers, scale):
    first, second = deepcopy(MODEL), deepcopy(MODEL)
    adapted = attach_(first, rank, 2.0, FEW_LAYERS)
    randomly_(adapted)
    stored = StoredAdapter(factors(adapted), NORM)
    again = attach_(second, rank + more, scale, layers)
    fill_(again, stored)
    assert is_same(said(second), said(first))
    if layers == FEW_LAYERS and not more:
        back = StoredAdapter(factors(again), NORM)
        for name in stored.modules:
            torch.testing.assert_close(back.delta(name), stored.delta(name), rtol=2e-3, atol=1e-5)


def test_an_adapter_as_it_is_shipped_comes_back(tmp_path):
    model, merged = deepcopy(MODEL), deepcopy(MODEL)
    layers = [f"layers.{index}.self_attn.{name}" for index in range(4) for name in ("q_proj", "o_proj")]
    write_adapter(tmp_path, tiny_adapter.adapter(MODEL, layers, spread=0.01))
    stored = read_adapter(tmp_path)
    fill_(attach_(model, 4, 2.0, FEW_LAYERS), stored)
    for name in stored.modules:
        merged.get_submodule(name).weight.data.add_(stored.delta(name))
    assert is_same(said(model), said(merged), 1e-4)


@pytest.mark.parametrize("rank", [0, -1, 17])
def test_a_rank_that_no_layer_can_have_is_named(rank):
    with pytest.raises(CorpusError, match=f"rank must be from 1 to 16, got {rank}"):
        attach_(deepcopy(MODEL), rank, 2.0, FEW_LAYERS)


def test_layers_that_are_not_there_are_named():
    with pytest.raises(CorpusError, match="layers must be names of linear layers, such as q_proj, got k, q"):
        attach_(deepcopy(MODEL), 4, 2.0, ("q", "k", "v_proj"))


def test_an_adapter_that_does_not_fit_into_rank_or_layers_is_named():
    stored = tiny_adapter.adapter(MODEL, {"layers.0.mlp.gate_proj"})
    with pytest.raises(ModelFileError, match="changes, layers.0.mlp.gate_proj is missing"):
        fill_(attach_(deepcopy(MODEL), 4, 2.0, FEW_LAYERS), stored)
    with pytest.raises(ModelFileError, match="rank must be at least that of the adapter to go on from, 4, got 3"):
        fill_(attach_(deepcopy(MODEL), 3, 2.0, ALL_LAYERS), stored)

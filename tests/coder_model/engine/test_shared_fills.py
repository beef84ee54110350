"""Fills that share passes are what they are alone, whoever comes or goes."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from batches import note_batches, random_transformer
from tiny_engine import DOCUMENT

from coder_kernels import dispatch, row_limits
from coder_kernels.policies import POLICIES
from coder_model.engine.engine import Engine
from coder_model.engine.options import EngineOptions
from coder_model.types import Cancelled, FillRequest

# both sides of a `where` are computed; numpy speaks of the side that is not taken
pytestmark = pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")
PREFIXES = [
    DOCUMENT + "x = total(",
    DOCUMENT + "def count(items):\n    ",
    "",
    "é = '漢😀",
    DOCUMENT[:60],
    "import os\n",
    "a = b",
    DOCUMENT * 3,
]


def filled(made, prefix, session="s", hole="block", cancelled=lambda: False):
    request = FillRequest(session, prefix, "\nprint(total)\n", path="a.py", hole=hole)
    *_, draft = made.fill(request, cancelled)
    return draft.text, draft.tokens


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("policy", [*POLICIES, "one_token"])
def test_shared_passes_fill_what_passes_of_ones_own_fill(own, model, tokenizer, policy, verify):
    options = {"policy": policy, "verify": verify, "precision": "float32", "max_steps": 3, "remask_below": 0.0}
    alone = Engine(model, tokenizer, options=EngineOptions(**options))
    shared = Engine(own, tokenizer, options=EngineOptions(**options, max_concurrent=4))
    for prefix in PREFIXES[:5]:
        for hole in ("line", "block"):
            assert filled(shared, prefix, hole=hole) == filled(alone, prefix, hole=hole)


def test_fills_that_come_and_go_at_any_moment_are_what_they_are_alone(own, model, tokenizer):
    options = {"precision": "float32", "alternatives": 1, "copy": False}
    alone = Engine(model, tokenizer, options=EngineOptions(**options))
    expected = [filled(alone, prefix, "alone") for prefix in PREFIXES]
    shared = Engine(own, tokenizer, options=EngineOptions(**options, max_concurrent=8, sessions=3))
    shared.warm_up()
    sizes = note_batches(shared._runner)

    def one(index):
        left = iter(range(index % 5))
        if index % 3 == 0:
            # some leave between two steps
            with pytest.raises(Cancelled):
                filled(shared, PREFIXES[index % 8], f"gone {index}", cancelled=lambda: next(left, None) is None)
            return None
        return filled(shared, PREFIXES[index % 8], f"session {index % 7}")

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(one, range(40)))
    assert [text for text in found if text] == [expected[i % 8] for i, text in enumerate(found) if text]
    assert max(sizes) > 1
    assert len(shared._sessions._kept) <= 3


@pytest.fixture
def interpreted(gpu, monkeypatch):
    """The engine on Triton kernels, in the interpreter."""
    monkeypatch.setattr(
        dispatch, "gpu_kernels", lambda tensor, few=0, most=row_limits.FEW_ROWS: gpu if few <= most else None
    )
    return gpu


@pytest.mark.slow
def test_a_model_on_the_triton_kernels_fills_what_it_fills_without(interpreted, model, tokenizer):
    options = {"precision": "float32", "max_steps": 2, "alternatives": 0, "copy": False}
    shared = Engine(wide(model), tokenizer, options=EngineOptions(**options, max_concurrent=2))
    alone = Engine(wide(model), tokenizer, options=EngineOptions(**options))
    for prefix in PREFIXES[:3]:
        assert filled(shared, prefix, hole="line") == filled(alone, prefix, hole="line")


@pytest.mark.slow
def test_no_kernel_compiles_after_the_worker_is_ready(interpreted, model, tokenizer):
    from coder_kernels.gpu.launch import seen

    # without verify blocks are also masked again, by another schedule
    options = EngineOptions(precision="float32", max_concurrent=2, alternatives=0, verify=False)
    shared = Engine(wide(model), tokenizer, options=options)
    shared.warm_up()
    ready = set(seen)
    assert ready
    filled(shared, DOCUMENT * 4)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda index: filled(shared, PREFIXES[index], f"s{index}", hole="line"), range(3)))
    assert seen == ready


def wide(model):
    """Another one, with heads as wide as a matrix instruction needs, and short middles: each pass takes a while."""
    return random_transformer(
        replace(model.config, head_dim=16, n_heads=2, n_kv_heads=1, n_layers=1, d_ff=64, context_tokens=64)
    )

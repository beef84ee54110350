"""Precision, memory and progress of loading, and which plan is made for how much memory."""

from dataclasses import replace
from pathlib import Path

import checkpoints
import pytest
import torch
from checkpoints import BY_NAME
from hypothesis import given, settings
from hypothesis import strategies as st

from coder_model.checkpoints import memory_plan as planning
from coder_model.checkpoints.catalogue import as_table, catalogue
from coder_model.checkpoints.families import FAMILIES, UNSUPPORTED
from coder_model.checkpoints.hf_config import read_published
from coder_model.checkpoints.loading import bytes_of, load_weights
from coder_model.checkpoints.memory_plan import needed_bytes, plan
from coder_model.checkpoints.open import open_engine
from coder_model.checkpoints.precisions import WEIGHT_PRECISIONS
from coder_model.errors import ModelFileError
from coder_model.model.config import ModelConfig
from coder_model.types import FillRequest

CPU = torch.device("cpu")
SEVEN_B = ModelConfig(
    vocab_size=152_064, d_model=3584, n_layers=28, n_heads=28, n_kv_heads=4, head_dim=128, d_ff=18_944,
    context_tokens=2048, attention="bidirectional", qkv_bias=True, qk_norm=False, tied_head=False,
)  # fmt: skip
GB = 1_000_000_000


@pytest.fixture(scope="module", params=["dream", "sdar", "qwen2.5-coder"])
def published(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp(request.param)
    checkpoints.build(BY_NAME[request.param], directory, dtype=torch.bfloat16, n_files=2)
    return read_published(directory)


def hidden(model):
    def attend(_, q, k, v):
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=True)

    tokens = torch.arange(24)[None]
    return model.logits(model(tokens, torch.arange(24)[None], attend)).float()


@pytest.mark.parametrize(
    ("precision", "limit"), [("float32", 0.0), ("bfloat16", 0.05), ("int8", 0.06), ("fp8", 0.25), ("int4", 0.6)]
)
@torch.inference_mode()
def test_fewer_bits_cost_what_they_may_in_logits(published, precision, limit):
    exact = hidden(load_weights(published, "float32").model)
    found = hidden(load_weights(published, precision).model)
    error = (found - exact).norm() / exact.norm()
    assert error <= limit
    assert precision == "float32" or error > 0


@pytest.mark.parametrize("precision", WEIGHT_PRECISIONS)
def test_bytes_are_counted_as_they_are(published, precision):
    model = load_weights(published, precision).model
    stored = sum(tensor.nbytes for tensor in model.state_dict().values())
    config = model.config
    assert stored == bytes_of(config, precision)


def test_progress_rises_to_the_end(published):
    shares = []
    load_weights(published, "bfloat16", progress=shares.append)
    assert shares == sorted(shares)
    assert 0.8 < shares[-1] <= 1.0


@pytest.mark.parametrize("quantize", ["auto", *WEIGHT_PRECISIONS])
def test_every_precision_fills(published, quantize):
    engine = open_engine(str(published.path), quantize=quantize)
    *_, last = engine.fill(FillRequest("s", checkpoints.TEXT, "\n", path="a.py"))
    assert last.final
    assert engine.parameters > 10_000


@pytest.mark.parametrize("quantize", ["auto", *WEIGHT_PRECISIONS])
def test_our_own_model_takes_every_precision(model_directory, quantize):
    engine = open_engine(str(model_directory), quantize=quantize)
    *_, last = engine.fill(FillRequest("s", "def add(a, b):\n    return ", "\n", path="a.py"))
    assert last.final


def test_an_unknown_precision_is_named(model_directory):
    with pytest.raises(ModelFileError, match="quantize must be one of auto, float32, .*got 'int3'"):
        open_engine(str(model_directory), quantize="int3")


@pytest.mark.parametrize(
    ("free_gb", "precision", "context"),
    [
        (30, "bfloat16", 2048),
        (18.2, "bfloat16", 2048),
        (16, "int8", 2048),
        (9, "int4", 2048),
        (7.5, "int4", 1024),
        (7.2, "int4", 512),
    ],
)
def test_the_plan_takes_the_best_that_fits(free_gb, precision, context, monkeypatch):
    monkeypatch.setattr(planning, "takes_groups", lambda _: False)
    monkeypatch.setattr(planning, "fastest", lambda: "float32")
    monkeypatch.setattr(planning, "reads_bfloat16", lambda: False)
    made = plan("x", SEVEN_B, int(free_gb * GB), CPU)
    assert (made.precision, made.context_tokens) == (precision, context)


@pytest.mark.parametrize(
    ("groups", "multiplies", "gains", "precision"),
    [
        (True, "int8", True, "grouped"),
        (False, "int8", True, "int8"),
        (False, "bfloat16", True, "bfloat16"),
        (False, "float32", False, "float32"),
    ],
)
def test_a_small_model_takes_what_the_processor_is_fast_at(groups, multiplies, gains, precision, monkeypatch):
    monkeypatch.setattr(planning, "takes_groups", lambda _: groups)
    monkeypatch.setattr(planning, "fastest", lambda: multiplies)
    monkeypatch.setattr(planning, "reads_bfloat16", lambda: gains)
    config = replace(SEVEN_B, d_model=896, n_layers=24, n_heads=14, n_kv_heads=2, head_dim=64, d_ff=4864)
    assert plan("x", config, 30 * GB, CPU).precision == precision


def test_caches_under_a_limit_count_as_much_as_that():
    one, eight = (needed_bytes(SEVEN_B, "int8", 2048, documents) for documents in (1, 8))
    assert needed_bytes(SEVEN_B, "int8", 2048, 8, most_cached=10 * GB) == eight
    # the document that is filled stays whatever it takes
    cache = (eight - one) // 7
    assert needed_bytes(SEVEN_B, "int8", 2048, 8, most_cached=GB // 4) == one + max(cache, GB // 4)


def test_what_does_not_fit_is_refused_with_what_would():
    with pytest.raises(ModelFileError, match=r"dreamon-7b needs \d\.\d GB in int4 .* what would fit: .* or ") as caught:
        plan("dreamon-7b", SEVEN_B, 4 * GB, CPU)
    assert "qwen2.5-coder-1.5b-base in bfloat16" in str(caught.value)
    with pytest.raises(ModelFileError, match="the embedded model"):
        plan("dreamon-7b", SEVEN_B, GB // 4, CPU)
    with pytest.raises(ModelFileError, match="in bfloat16"):
        plan("dreamon-7b", SEVEN_B, 10 * GB, CPU, wanted="bfloat16")


@settings(max_examples=25)
@given(st.floats(0.1, 60), st.sampled_from(["auto", *WEIGHT_PRECISIONS]))
def test_a_plan_never_takes_more_than_there_is(free_gb, wanted):
    free = int(free_gb * GB)
    try:
        made = plan("x", SEVEN_B, free, CPU, wanted)
    except ModelFileError:
        assert needed_bytes(SEVEN_B, "int4" if wanted == "auto" else wanted, 512, 1) > 0.9 * free
    else:
        assert made.n_bytes <= 0.9 * free
        assert wanted in ("auto", made.precision)


def test_free_memory_is_that_of_the_machine():
    assert 1e8 < planning.free_bytes(CPU) < 1e14


def test_the_catalogue_names_families_that_there_are():
    names = {family.name for family in FAMILIES}
    # the rest are what a user's own file may be
    assert names - {entry.family for entry in catalogue().values()} == {"qwen3", "llama"}
    assert not names & UNSUPPORTED.keys()
    for name, entry in catalogue().items():
        # whoever fetches a file of rounded weights finds those to train on beside it
        assert not entry.file or not catalogue()[f"{name}-base"].file
        assert 0 < entry.parameters < 100
        assert entry.scores.startswith("none") or entry.source_of_scores
    free = [e for e in catalogue().values() if e.licence.startswith(("Apache-2.0", "MIT"))]
    assert all("commercial" not in e.warning for e in free)


def test_the_documentation_shows_the_catalogue():

    shown = (Path(__file__).parents[3] / "docs" / "models.md").read_text("utf-8")
    for line in as_table():
        assert line in shown

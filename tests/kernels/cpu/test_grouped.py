"""Machine code for weights and activations in groups, held to the plain reference."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coder_kernels import ops, packing, reference, score_ops
from coder_kernels.cpu import grouped, processor
from coder_kernels.quantise import Quantised, dequantise, quantise
from coder_kernels.tensor_types import AttentionMetadata

pytestmark = pytest.mark.skipif(not grouped.is_there(), reason="this processor multiplies no weights in groups")
LANES = [lanes for lanes in (8, 16) if lanes <= processor.lanes()]


def some(*shape, seed=0, spread=1.0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * spread


def five_bits(height, width):
    """A matrix of levels that five bits hold."""
    levels = torch.randint(-16, 16, (height, width), generator=torch.Generator().manual_seed(1)).to(torch.int8)
    scale = (some(height, width // 32, 1, seed=2).abs() / 100 + 0.001).half()
    return Quantised(levels, scale, scale.new_empty(0))


def eight_bits(*shape):
    return quantise(some(*shape, spread=0.02), "grouped")


def plain(rows):
    """Grouped activations as float64."""
    values = rows.values.double().unflatten(1, (-1, 32)) * rows.scale.double()[..., None]
    return values.flatten(1)


def unpacked(weight, dtype=torch.float64):
    """A packed weight as floats."""
    return dequantise(packing.unpack(weight, torch.arange(weight.shape[0])), dtype)


def spans(start, count):
    return AttentionMetadata(*torch.tensor([[0], [start], [count]], dtype=torch.int32))


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("weight", [eight_bits(48, 64), five_bits(48, 96), five_bits(1152, 896)])
def test_unpacking_brings_back_what_was_packed(weight, lanes):
    rows = torch.randperm(len(weight.values), generator=torch.Generator().manual_seed(0))
    for found, expected in zip(grouped.unpack(grouped.pack(weight, lanes), rows), weight, strict=True):
        assert torch.equal(found, expected[rows] if expected.numel() else expected)


def test_five_bits_are_packed_into_five():
    assert packing.pack(five_bits(64, 128), "grouped").bits == 5
    assert packing.pack(eight_bits(64, 128), "grouped").bits == 8


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("rows", [1, 2, 31, 33, 63])
@pytest.mark.parametrize("weight", [eight_bits(48, 64), five_bits(304, 896), eight_bits(16, 4864)])
def test_a_product_is_the_plain_one(weight, rows, lanes):
    packed = grouped.pack(weight, lanes)
    x = ops.quantise_rows(some(rows, weight.values.shape[1], seed=3), "grouped")
    expected = plain(x) @ unpacked(packed).T
    torch.testing.assert_close(ops.linear(x, packed)[0].double(), expected, rtol=1e-5, atol=1e-5 * expected.std())


@pytest.mark.parametrize("rows", [64, 130, 257])
@pytest.mark.parametrize("weight", [eight_bits(48, 64), five_bits(304, 896), eight_bits(16, 4864)])
def test_a_long_product_is_the_plain_one_to_what_bfloat16_holds(weight, rows):
    packed = packing.pack(weight, "grouped")
    x = ops.quantise_rows(some(rows, weight.values.shape[1], seed=3), "grouped")
    expected = plain(x) @ unpacked(packed).T
    error = ops.linear(x, packed)[0].double() - expected
    assert (error.norm(dim=1) / expected.norm(dim=1)).amax() < 0.005


def test_the_largest_numbers_do_not_overflow():
    x = ops.quantise_rows(torch.full((3, 4864), -1.0), "grouped")
    assert (ops.linear(x, packing.pack(torch.full((64, 4864), 127 * 2.0**-7), "grouped")) == -4864 * 127 / 128).all()


def test_a_row_does_not_depend_on_those_beside_it():
    x, weight = some(63, 896), packing.pack(five_bits(304, 896), "grouped")
    whole = ops.linear(ops.quantise_rows(x, "grouped"), weight)[0]
    for row in (0, 1, 31, 32, 62):
        assert torch.equal(ops.linear(ops.quantise_rows(x[row : row + 1], "grouped"), weight)[0, 0], whole[row])


@given(st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=64, max_size=64))
@settings(max_examples=50, deadline=None)
def test_groups_are_rounded_to_half_a_step(numbers):
    x = torch.tensor([numbers])
    rows = ops.quantise_rows(x, "grouped")
    groups, scale = x.view(2, 32), rows.scale[0, :, None]
    most = groups.abs().amax(1, keepdim=True).clamp(min=1e-8)
    torch.testing.assert_close(scale, most / 127)
    assert ((rows.values.view(2, 32) * scale - groups).abs() <= 0.5001 * scale).all()
    assert torch.equal(rows.offset, -128 * rows.values.view(1, 2, 32).sum(2, dtype=torch.int32))


@pytest.mark.parametrize("rows", [1, 7, 300])
@pytest.mark.parametrize("has_residual", [False, True])
def test_a_norm_is_the_plain_one_rounded(rows, has_residual):
    parts, weight = some(1, rows, 96), some(96, seed=1)
    residual = some(rows, 96, seed=2) if has_residual else None
    found, total = ops.add_rms_norm(parts, residual, weight, 1e-6, "grouped")
    expected, expected_total = reference.add_rms_norm(parts, residual, weight, 1e-6)
    assert torch.equal(total, expected_total)
    assert (plain(found) - expected).abs().max() <= 0.501 * found.scale.max()


@pytest.mark.parametrize("rows", [1, 5, 63])
def test_a_gate_is_the_plain_one_rounded(rows):
    gate_up = packing.pack(some(640, 64, spread=2.0), "grouped")
    x = ops.quantise_rows(some(rows, 64, seed=1), "grouped")
    expected = reference.swiglu(plain(x).float(), unpacked(gate_up, torch.float32), torch.float32)
    found = ops.swiglu(x, gate_up, torch.float32, "grouped")
    steps = found.scale.repeat_interleave(32, dim=1)
    assert ((plain(found) - expected).abs() <= 0.501 * steps + 1e-4 * expected.abs()).all()


def test_a_head_takes_groups():
    weight = packing.pack(some(128, 64, spread=0.1), "grouped")
    x = ops.quantise_rows(some(5, 64, seed=1), "grouped")
    expected = reference.select((plain(x) @ unpacked(weight).T).float())
    for found, part in zip(score_ops.head_select(x, weight), expected, strict=True):
        torch.testing.assert_close(found, part)


@given(st.integers(0, 6), st.integers(1, 40), st.sampled_from([0.1, 5.0, 60.0, 1e5]), st.randoms())
@settings(max_examples=60, deadline=None)
def test_probabilities_are_the_plain_ones_and_none_for_what_is_forbidden(rows, vectors, spread, random):
    width = 16 * vectors
    scores = some(rows, width, spread=spread)
    forbidden = torch.tensor([random.random() < 0.4 for _ in range(width)])
    forbidden[random.randrange(width)] = False
    expected = scores.masked_fill(forbidden, float("-inf")).double().softmax(dim=1).float()
    assert grouped.softens(scores)
    found = score_ops.probabilities_(scores.clone(), forbidden, "grouped")
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-30)
    assert (found[:, forbidden] == 0).all()
    for row in range(rows):
        assert torch.equal(score_ops.probabilities_(scores[row : row + 1].clone(), forbidden, "grouped")[0], found[row])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_spoil_their_row_alone(bad):
    scores, nothing = some(3, 64), torch.zeros(64, dtype=torch.bool)
    scores[1, 5] = bad
    found = score_ops.probabilities_(scores, nothing, "grouped")
    assert found[1].isnan().any()
    assert found[[0, 2]].isfinite().all()


def test_a_row_of_no_whole_vectors_is_softened_too():
    scores, forbidden = some(2, 37), torch.arange(37) > 30
    assert not grouped.softens(scores)
    found = score_ops.probabilities_(scores.clone(), forbidden, "grouped")
    torch.testing.assert_close(found, scores.masked_fill(forbidden, float("-inf")).softmax(1))


@pytest.mark.parametrize("n_tokens", [1, 5, 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("has_norms", [False, True])
def test_turning_and_writing_are_the_plain_ones(n_tokens, has_norms, dtype):
    heads, groups, width, start = 6, 2, 64, 9
    parts, bias = some(1, n_tokens, (heads + 2 * groups) * width), some((heads + 2 * groups) * width, seed=1).to(dtype)
    norms = (some(width, seed=2).to(dtype), some(width, seed=3).to(dtype)) if has_norms else None
    angles = some(n_tokens, width // 2, seed=4)
    tables = angles.cos(), angles.sin()
    wanted = [torch.zeros(1, groups, 64, width, dtype=torch.bfloat16) for _ in range(2)]
    caches = [cache.clone() for cache in wanted]
    given = parts.clone(), bias, norms, 1e-6, tables
    expected = reference.rotate_and_write_(*given, *(cache.float() for cache in wanted), spans(start, n_tokens))
    reference.rotate_and_write_(*given, *wanted, spans(start, n_tokens))
    found = ops.rotate_and_write_(*given, *caches, spans(start, n_tokens))
    torch.testing.assert_close(found, expected)
    for cache, part in zip(caches, wanted, strict=True):
        torch.testing.assert_close(cache, part)


@pytest.mark.parametrize(("start", "count"), [(0, 1), (511, 1), (3, 16), (100, 32), (7, 5)])
@pytest.mark.parametrize("block_length", [0, 1, 4])
@pytest.mark.parametrize(("heads", "groups", "width"), [(14, 2, 64), (4, 4, 32), (6, 2, 128)])
def test_attention_is_the_plain_one(start, count, block_length, heads, groups, width):
    q = some(1, count, heads, width, spread=2.0)
    keys, values = (some(1, groups, 600, width, seed=seed).bfloat16() for seed in (1, 2))
    expected = reference.block_attention(q, keys.float(), values.float(), spans(start, count), block_length)
    torch.testing.assert_close(
        ops.block_attention(q, keys, values, spans(start, count), block_length), expected, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("block_length", [0, 1, 4])
def test_a_row_without_a_sequence_ends_no_process(block_length):
    keys, values = (some(1, 2, 64, 64, seed=seed).bfloat16() for seed in (1, 2))
    found = ops.block_attention(some(1, 8, 4, 64), keys, values, spans(0, 0), block_length)
    assert found.shape == (8, 256)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("rows", [2, 31, 70])
def test_what_is_no_number_stays_none_and_stays_in_its_row(rows, bad):
    parts, weight = some(1, rows, 64), packing.pack(some(32, 64), "grouped")
    clean = ops.linear(ops.quantise_rows(parts[0], "grouped"), weight)[0]
    parts[0, 1, 3] = bad
    for x in (
        ops.add_rms_norm(parts, None, torch.ones(64), 1e-6, "grouped")[0],
        ops.quantise_rows(parts[0], "grouped"),
    ):
        found = ops.linear(x, weight)[0]
        assert found[1].isnan().all()
        assert found[[0, *range(2, rows)]].isfinite().all()
    assert torch.equal(found[2:], clean[2:])
    assert torch.equal(found[0], clean[0])


@given(st.integers(0, 70), st.integers(1, 9), st.integers(1, 5), st.sampled_from([1e-44, 1e-30, 1.0, 1e30]))
@settings(max_examples=60, deadline=None)
def test_a_product_of_any_shape_and_size_is_the_plain_one(rows, tiles, n_groups, spread):
    packed = packing.pack(some(tiles * processor.lanes(), 32 * n_groups), "grouped")
    x = ops.quantise_rows(some(rows, 32 * n_groups, seed=1, spread=spread), "grouped")
    expected = plain(x) @ unpacked(packed).T
    assert ops.linear(x, packed).shape == (1, *expected.shape)
    # of the sums of absolute values: what is left of a sum may be small
    most = plain(x).abs() @ unpacked(packed).abs().T
    assert ((ops.linear(x, packed)[0].double() - expected).abs() <= (0.005 if rows >= 64 else 2e-6) * most).all()


def test_the_least_byte_of_a_weight_is_multiplied():
    lowest = Quantised(torch.full((32, 64), -128, dtype=torch.int8), torch.ones(32, 2, 1).half(), torch.empty(0))
    x = ops.quantise_rows(torch.full((3, 64), 127.0), "grouped")
    assert (ops.linear(x, grouped.pack(lowest)) == -128 * 127 * 64).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_numbers_of_other_widths_are_rounded_as_they_are(dtype):
    x = some(5, 64).to(dtype)
    for found, expected in zip(ops.quantise_rows(x, "grouped"), ops.quantise_rows(x.float(), "grouped"), strict=True):
        assert torch.equal(found, expected)


def test_a_norm_adds_all_parts_and_a_residual_of_any_width():
    parts, residual = some(3, 5, 64), some(5, 64, seed=1).double()
    _, total = ops.add_rms_norm(parts, residual, torch.ones(64), 1e-6, "grouped")
    torch.testing.assert_close(total, (parts.sum(0) + residual).float())


def test_rows_that_are_no_whole_groups_are_refused():
    for width in (31, 40):
        with pytest.raises(ValueError, match=f"rows must be whole groups of 32 numbers, got {width}"):
            ops.quantise_rows(torch.ones(2, width), "grouped")
        with pytest.raises(ValueError, match=f"rows must be whole groups of 32 numbers, got {width}"):
            ops.add_rms_norm(torch.ones(1, 2, width), None, torch.ones(width), 1e-6, "grouped")


@pytest.mark.parametrize(("row", "start", "count"), [(1, 0, 4), (-1, 0, 4), (0, 61, 4), (0, -1, 4)])
def test_tokens_outside_the_cache_are_refused(row, start, count):
    keys, values = (torch.zeros(1, 2, 64, 64, dtype=torch.bfloat16) for _ in range(2))
    place = AttentionMetadata(*torch.tensor([[row], [start], [count]], dtype=torch.int32))
    tables = torch.ones(count, 32), torch.zeros(count, 32)
    with pytest.raises(ValueError, match="tokens must be in a cache of 1 rows of 64, got .* of row"):
        ops.rotate_and_write_(some(1, count, 8 * 64), None, None, 1e-6, tables, keys, values, place)
    with pytest.raises(ValueError, match="tokens must be in a cache of 1 rows of 64, got .* of row"):
        ops.block_attention(some(1, count, 4, 64), keys, values, place)


@pytest.mark.parametrize(
    ("x", "weight"),
    [
        (torch.ones(2, 32), packing.pack(torch.ones(16, 32), "grouped") if grouped.is_there() else None),
        (ops.quantise_rows(torch.ones(2, 32), "grouped") if grouped.is_there() else None, torch.ones(16, 32)),
    ],
)
def test_groups_are_multiplied_with_groups_alone(x, weight):
    with pytest.raises(ValueError, match="x must be in groups where weight is"):
        ops.linear(x, weight)


@pytest.mark.parametrize("shape", [(16, 40), (5, 32)])
def test_a_matrix_that_has_no_whole_tiles_is_refused(shape):
    with pytest.raises(ValueError, match="weight must have whole tiles of .* rows and 32 columns"):
        packing.pack(torch.ones(shape), "grouped")

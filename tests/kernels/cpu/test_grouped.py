"""Machine code for weights and activations in groups, held to the plain reference."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coder_kernels import ops, packing, reference, score_ops
from coder_kernels.cpu import grouped, processor
from coder_kernels.quantise import Quantised, dequantise, quantise

pytestmark = pytest.mark.skipif(not grouped.is_there(), reason="this processor multiplies no weights in groups")
LANES = [lanes for lanes in (8, 16) if lanes <= processor.lanes()]


def some(*shape, seed=0, spread=1.0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * spread


def five_bits(height, width):
    """A matrix of levels that five bits hold."""
    levels = torch.randint(-16, 16, (height, width), generator=torch.Generator().manual_seed(1)).to(torch.int8)
    scale = (some(height, width // 32, 1, seed=2).abs() / 100 + 0.001).half()
    return Quantised(levels, scale, scale.new_empty(0))


def four_bits(height, width):
    """A matrix of levels that four bits hold, with an offset for each group."""
    levels = torch.randint(0, 16, (height, width), generator=torch.Generator().manual_seed(4)).to(torch.int8)
    scale = (some(height, width // 32, 1, seed=5).abs() / 100 + 0.001).half()
    return Quantised(levels, scale, (some(height, width // 32, 1, seed=6) / 10).half())


def eight_bits(*shape):
    return quantise(some(*shape, spread=0.02), "grouped")


def plain(rows):
    """Grouped activations as float64."""
    values = rows.values.double().unflatten(1, (-1, 32)) * rows.scale.double()[..., None]
    return values.flatten(1)


def unpacked(weight, dtype=torch.float64):
    """A packed weight as floats."""
    return dequantise(packing.unpack(weight, torch.arange(weight.shape[0])), dtype)


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("weight", [eight_bits(48, 64), five_bits(48, 96), five_bits(1152, 896), four_bits(48, 96)])
def test_unpacking_brings_back_what_was_packed(weight, lanes):
    rows = torch.randperm(len(weight.values), generator=torch.Generator().manual_seed(0))
    for found, expected in zip(grouped.unpack(grouped.pack(weight, lanes), rows), weight, strict=True):
        assert torch.equal(found, expected[rows] if expected.numel() else expected)


def test_as_many_bits_are_packed_as_there_are():
    for bits, weight in ((4, four_bits(64, 128)), (5, five_bits(64, 128)), (8, eight_bits(64, 128))):
        packed = packing.pack(weight, "grouped")
        assert packed.bits == bits
        assert packed.is_of((64, 128), processor.lanes())
        assert not packed.is_of((64, 96), processor.lanes())


def test_offsets_are_for_four_bits_alone():
    levels, scale, offset = four_bits(32, 64)
    for bad in (16, -1):
        levels[5, 7] = bad
        with pytest.raises(ValueError, match=r"weight must have values from 0 to 15 beside offsets, got .*"):
            packing.pack(Quantised(levels, scale, offset), "grouped")
    packed = packing.pack(four_bits(32, 64), "grouped")
    assert not packed._replace(offset=packed.offset[:0]).is_of((32, 64), processor.lanes())
    packed = packing.pack(five_bits(32, 64), "grouped")
    assert not packed._replace(offset=packed.scale).is_of((32, 64), processor.lanes())


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("rows", [1, 2, 31, 33, 63])
@pytest.mark.parametrize("weight", [eight_bits(48, 64), five_bits(304, 896), eight_bits(16, 4864), four_bits(304, 896)])
def test_a_product_is_the_plain_one(weight, rows, lanes):
    packed = grouped.pack(weight, lanes)
    x = ops.quantise_rows(some(rows, weight.values.shape[1], seed=3), "grouped")
    expected = plain(x) @ unpacked(packed).T
    torch.testing.assert_close(ops.linear(x, packed)[0].double(), expected, rtol=1e-5, atol=1e-5 * expected.std())


@pytest.mark.parametrize("rows", [64, 130, 257])
@pytest.mark.parametrize("weight", [eight_bits(48, 64), five_bits(304, 896), eight_bits(16, 4864), four_bits(304, 896)])
def test_a_long_product_is_the_plain_one_to_what_bfloat16_holds(weight, rows):
    packed = packing.pack(weight, "grouped")
    x = ops.quantise_rows(some(rows, weight.values.shape[1], seed=3), "grouped")
    expected = plain(x) @ unpacked(packed).T
    error = ops.linear(x, packed)[0].double() - expected
    assert (error.norm(dim=1) / expected.norm(dim=1)).amax() < 0.005


def test_the_largest_numbers_do_not_overflow():
    x = ops.quantise_rows(torch.full((3, 4864), -1.0), "grouped")
    assert (ops.linear(x, packing.pack(torch.full((64, 4864), 127 * 2.0**-7), "grouped")) == -4864 * 127 / 128).all()


@pytest.mark.parametrize("weight", [five_bits(304, 896), eight_bits(304, 896), four_bits(304, 896)])
def test_a_row_does_not_depend_on_those_beside_it(weight):
    x, weight = some(63, 896), packing.pack(weight, "grouped")
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


@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_level_of_four_bits_does_not_overflow(sign):
    halves = torch.ones(32, 2, 1).half()
    x = ops.quantise_rows(torch.full((3, 64), sign * 127.0), "grouped")
    largest = Quantised(torch.full((32, 64), 15, dtype=torch.int8), halves, -8 * halves)
    assert (ops.linear(x, grouped.pack(largest)) == sign * (15 - 8) * 127 * 64).all()


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

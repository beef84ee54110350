"""Weights in few bits: how far off they may be, and how many bytes they take."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from coder_kernels.quantise import GROUP, PRECISIONS, bytes_of, dequantise, five_bits, one_thread, quantise

SHAPES = [(1, 2), (3, GROUP), (5, 3 * GROUP), (7, 2 * GROUP + 2), (257, 66)]


@pytest.mark.parametrize("shape", SHAPES)
@given(seed=st.integers(0, 2**31), spread=st.sampled_from([1e-3, 1.0, 30.0]))
def test_every_weight_comes_back_within_half_a_step(shape, seed, spread):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * spread
    row = weight.abs().amax(1, keepdim=True)
    int8 = dequantise(quantise(weight, "int8"), torch.float32)
    assert ((int8 - weight).abs() <= row / 127 * 0.501 + 1e-7).all()
    fp8 = dequantise(quantise(weight, "fp8"), torch.float32)
    # three bits of mantissa; the smallest numbers are multiples of 2^-9 of the scale
    assert ((fp8 - weight).abs() <= weight.abs() / 16 * 1.001 + row / 448 * 2**-10 * 1.001).all()
    packed = quantise(weight, "int4")
    step = packed.scale.float().repeat_interleave(shape[1] // packed.scale.shape[1], 1).view(shape)
    int4 = dequantise(packed, torch.float32)
    # offset and scale are float16 themselves, whose smallest numbers are multiples of 2^-24
    assert ((int4 - weight).abs() <= step * 0.52 + row * 2e-3 + 2**-21).all()


@given(seed=st.integers(0, 2**31), spread=st.sampled_from([0.0, 1e-3, 1.0, 30.0]))
def test_five_bits_keep_the_farthest_number_of_a_group_and_the_others_within_a_step(seed, spread):
    weight = torch.randn((5, 96), generator=torch.Generator().manual_seed(seed)) * spread
    packed = five_bits(weight)
    assert packed.values.min() >= -16
    assert packed.values.max() <= 15
    error = (dequantise(packed, torch.float32) - weight).abs().view(5, 3, 32)
    step = packed.scale.float().abs()
    assert (error <= 1.01 * step).all()
    farthest = weight.view(5, 3, 32).abs().argmax(2, keepdim=True)
    assert (error.gather(2, farthest) <= 0.02 * step).all()
    again = five_bits(dequantise(packed, torch.float32))
    assert torch.equal(again.values, packed.values)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_bytes_are_counted_as_they_are(precision, shape):
    packed = quantise(torch.randn(shape), precision)
    assert sum(part.nbytes for part in packed) == bytes_of(*shape, precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_zeros_stay_zero_and_signs_do_not_lean(precision):
    assert (dequantise(quantise(torch.zeros(4, GROUP), precision), torch.float32) == 0).all()
    weight = torch.rand(64, 8 * GROUP) + 0.5
    for sign in (1, -1):
        error = dequantise(quantise(sign * weight, precision), torch.float32) - sign * weight
        assert abs(float(error.mean())) < 2e-3


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (4, 5)])
def test_what_is_no_matrix_is_refused(shape):
    with pytest.raises(ValueError, match="weight must be .N, K."):
        quantise(torch.zeros(shape), "int4")


def test_several_that_keep_torch_to_one_thread_leave_it_what_it_had():
    def keep(seconds):
        # a thread's first question after its number was set by another one
        for _ in range(5):
            with one_thread():
                assert torch.get_num_threads() == 1
                time.sleep(seconds)
            torch.ones(1 << 16).add(1)
            time.sleep(seconds / 3)

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(keep, [0.001, 0.002, 0.003, 0.004]))
        with ThreadPoolExecutor(1) as fresh:
            assert fresh.submit(torch.get_num_threads).result() == 3
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)

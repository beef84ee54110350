"""Blocks of ggml against the reference of the package `gguf`, bit by bit."""

import gguf
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from coder_kernels.ggml_blocks import FORMATS, dequantise_blocks, grouped_blocks
from coder_kernels.quantise import AT_A_TIME, dequantise


def reference(stored, kind):
    return gguf.quants.dequantize(stored, gguf.GGMLQuantizationType[kind])


def ours(stored, kind, dtype=torch.float32):
    form = FORMATS[kind]
    shape = len(stored), stored.shape[1] // form.n_bytes * form.length
    return dequantise_blocks(torch.from_numpy(stored.reshape(-1)), kind, shape, dtype)


@pytest.mark.parametrize("kind", FORMATS)
def test_sizes_are_those_of_ggml(kind):
    assert gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]] == (FORMATS[kind].length, FORMATS[kind].n_bytes)


@pytest.mark.parametrize("kind", FORMATS)
@given(st.data())
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the reference multiplies infinite scales
def test_any_bytes_become_the_weights_of_the_reference(kind, data):
    n_bytes = FORMATS[kind].n_bytes
    shape = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3).map(lambda n: n * n_bytes)))
    stored = data.draw(arrays(np.uint8, shape))
    np.testing.assert_array_equal(ours(stored, kind).numpy(), reference(stored, kind))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_matrix_of_several_steps_becomes_that_of_the_reference(kind):
    columns = 3 * 256 // FORMATS[kind].length * FORMATS[kind].n_bytes
    rows = 2 * AT_A_TIME // 768 + 1
    stored = np.random.default_rng(0).integers(0, 256, (rows, columns), dtype=np.uint8)
    np.testing.assert_array_equal(ours(stored, kind).numpy(), reference(stored, kind))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_shorter_dtype_is_the_rounded_one(kind, dtype):
    stored = np.zeros((5, FORMATS[kind].n_bytes), np.uint8) + np.arange(5, dtype=np.uint8)[:, None]
    torch.testing.assert_close(ours(stored, kind, dtype), ours(stored, kind).to(dtype), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("kind", [kind for kind, form in FORMATS.items() if form.groups])
def test_blocks_that_are_groups_are_kept_as_they_are(kind):
    stored = np.random.default_rng(0).integers(0, 256, (7, 3 * FORMATS[kind].n_bytes), dtype=np.uint8)
    for high in (1, 3) if kind in ("Q4_1", "Q4_K") else (1,):
        stored[:, high :: FORMATS[kind].n_bytes] &= 0x3B  # scales and offsets below 1
    found, expected = grouped_blocks(torch.from_numpy(stored.reshape(-1)), kind, 7), ours(stored, kind)
    if kind == "Q4_K":
        # its scales are products, which float16 rounds by 2^-11 at most
        most = found.values.abs().float().view(7, -1, 32) * found.scale.float() + found.offset.float().abs()
        assert ((dequantise(found, torch.float32) - expected).abs() <= 2.0**-11 * most.view(7, -1) + 1e-6).all()
    else:
        assert torch.equal(dequantise(found, torch.float32), expected)


@pytest.mark.parametrize("kind", ["Q4_0", "Q8_0", "Q6_K"])
def test_bytes_of_another_shape_are_refused(kind):
    stored = torch.zeros(FORMATS[kind].n_bytes * 2, dtype=torch.uint8)
    for shape in ((1, FORMATS[kind].length), (3, FORMATS[kind].length), (4, FORMATS[kind].length // 2)):
        with pytest.raises(ValueError, match="stored must have the bytes of"):
            dequantise_blocks(stored, kind, shape, torch.float32)

"""The operations, which choose between kernels and plain references."""

import math

import pytest
import torch
from kernel_cases import drawn

from coder_kernels import ops, reference, score_ops
from coder_kernels.cpu_dtype import fastest, learns_in_bfloat16, reads_bfloat16
from coder_kernels.quantise import PRECISIONS, quantise
from coder_kernels.reference import attention
from coder_kernels.score_ops import select


def by_hand(row):
    """One row at a time, in Python floats."""
    top = max(row)
    weights = [math.exp(x - top) for x in row]
    p = [w / sum(weights) for w in weights]
    entropy = -sum(x * math.log(x) for x in p if x > 0)
    return p.index(max(p)), max(p), entropy


@pytest.mark.parametrize(("rows", "vocabulary"), [(1, 2), (3, 257), (16, 4097)])
def test_select_equals_python(rows, vocabulary):
    logits = torch.randn(rows, vocabulary, generator=torch.Generator().manual_seed(rows)) * 3
    logits[:, 1] = -math.inf
    found = select(logits)
    for m in range(rows):
        token, confidence, entropy = by_hand(logits[m].tolist())
        assert found.token[m] == token
        assert found.confidence[m] == pytest.approx(confidence, rel=1e-4)
        assert found.entropy[m] == pytest.approx(entropy, abs=1e-3)


def test_of_equal_scores_the_first_is_chosen():
    assert select(torch.zeros(1, 5)).token[0] == 0


@pytest.mark.parametrize("shape", [(5,), (2, 0), (1, 2, 3)])
def test_a_wrong_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"logits must be \[M, V\]"):
        select(torch.zeros(shape))


@pytest.mark.parametrize(("heads", "groups", "queries", "keys"), [(4, 2, 5, 9), (3, 3, 1, 1), (6, 1, 7, 7)])
def test_attention_equals_torchs_own(heads, groups, queries, keys):
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(2, heads, queries, 16, generator=generator)
    k, v = (torch.randn(2, groups, keys, 16, generator=generator) for _ in range(2))
    seen = torch.rand(2, 1, queries, keys, generator=generator) < 0.5
    seen[..., 0] = True
    bias = torch.zeros(seen.shape).masked_fill(~seen, -math.inf)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen, enable_gqa=True)
    torch.testing.assert_close(attention(q, k, v, bias), expected, atol=1e-5, rtol=1e-5)
    shared = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen[:1], enable_gqa=True)
    torch.testing.assert_close(attention(q, k, v, bias[0, 0]), shared, atol=1e-5, rtol=1e-5)


def test_how_this_processor_is_fastest_is_something_that_a_pass_can_do():
    threads = torch.get_num_threads()
    assert fastest() in ("float32", "bfloat16", "int8")
    assert reads_bfloat16() in (True, False)
    assert learns_in_bfloat16() in (True, False)
    assert torch.get_num_threads() == threads


def test_a_tensor_that_does_not_fit_is_named_before_anything_is_launched():
    x, weight = drawn(3, 64), drawn(10, 64)
    cases = [
        (lambda: ops.linear(x, weight[:, :32].contiguous()), r"x must have shape \[any, 32\], got \[3, 64\]"),
        (lambda: ops.linear(x, weight.T), r"weight must be contiguous, got strides \(1, 64\)"),
        (lambda: ops.linear(x.bfloat16(), weight), r"weight must be torch.bfloat16 as x, got torch.float32"),
        (lambda: ops.linear(x.to("meta"), weight), r"weight must be on meta, got cpu"),
        (
            lambda: ops.quantise_rows(x, torch.float16),
            r"dtype must be int8, float8_e4m3fn or grouped, got torch.float16",
        ),
        (lambda: score_ops.head_select(x, weight, drawn(10)), r"forbidden must be torch.bool, got torch.float32"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_on_a_cpu_the_operations_are_the_reference(precision):
    x, packed = drawn(3, 64), quantise(drawn(10, 64, seed=1), precision)
    assert torch.equal(ops.linear(x, packed), reference.linear(x, packed))

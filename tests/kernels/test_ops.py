import math

import pytest
import torch

from coder_kernels.ops import select


def reference(row):
    """One row at a time, in Python floats."""
    top = max(row)
    weights = [math.exp(x - top) for x in row]
    p = [w / sum(weights) for w in weights]
    ordered = sorted(p, reverse=True)
    entropy = -sum(x * math.log(x) for x in p if x > 0)
    return p.index(ordered[0]), ordered[0], ordered[0] - ordered[1], entropy


@pytest.mark.parametrize(("rows", "vocabulary"), [(1, 2), (3, 257), (16, 4097)])
def test_select_equals_the_reference(rows, vocabulary):
    logits = torch.randn(rows, vocabulary, generator=torch.Generator().manual_seed(rows)) * 3
    logits[:, 1] = -math.inf
    found = select(logits)
    for m in range(rows):
        token, confidence, margin, entropy = reference(logits[m].tolist())
        assert found.token[m] == token
        assert found.confidence[m] == pytest.approx(confidence, rel=1e-4)
        assert found.margin[m] == pytest.approx(margin, abs=1e-4)
        assert found.entropy[m] == pytest.approx(entropy, abs=1e-3)


def test_a_tie_has_no_margin():
    assert select(torch.zeros(1, 5)).margin[0] == 0


@pytest.mark.parametrize("shape", [(5,), (2, 1), (1, 2, 3)])
def test_a_wrong_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"logits must be \[M, V\]"):
        select(torch.zeros(shape))

"""The head and the choice of a token against their plain reference in float64."""

import pytest
import torch
from kernel_cases import FLOATS, KINDS, as_double, drawn, operands

from coder_kernels import dispatch, reference, score_ops
from coder_kernels.tensor_types import Selection

pytestmark = [
    pytest.mark.usefixtures("poisoned"),
    # both sides of a `where` are computed; numpy speaks of the side that is not taken
    pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning"),
]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n_rows", "vocabulary"), [(1, 128), (5, 300), (17, 517)])
def test_head_select(gpu, dtype, kind, n_rows, vocabulary):
    hidden, weight = operands(kind, dtype, n_rows, vocabulary, 64)
    forbidden = torch.arange(vocabulary) % 7 == 3
    found = gpu.head_select(hidden, weight, forbidden)
    check_selection(found, (as_double(hidden) @ as_double(weight).T).masked_fill(forbidden, float("-inf")))


def check_selection(found, logits):
    expected = reference.select(logits)
    first, second = logits.float().softmax(dim=1).topk(2, dim=1).values.T
    clear = first - second > 1e-3
    assert torch.equal(found.token[clear], expected.token[clear])
    for name in ("confidence", "entropy"):
        # probabilities are errors of the scores, which a float32 sum has
        assert float((getattr(found, name).double() - getattr(expected, name)).abs().max()) < 2e-3, name


def test_head_select_takes_many_rows_in_parts(gpu, monkeypatch):
    monkeypatch.setattr(dispatch, "gpu_kernels", lambda tensor: gpu)
    sizes = []
    run = gpu.head_select
    monkeypatch.setattr(gpu, "head_select", lambda x, *more: (sizes.append(len(x)), run(x, *more))[1])
    hidden, weight = drawn(150, 16), drawn(128, 16, seed=1)
    check_selection(score_ops.head_select(hidden, weight), hidden.double() @ weight.double().T)
    assert sizes == [128, 22]


def test_head_select_takes_the_first_of_equal_scores(gpu):
    # whole numbers: equal rows have equal scores in whatever order they are summed up
    weight = drawn(400, 64, spread=2.0).round()
    weight[[7, 130, 399]] = 3 * weight[200]
    hidden = weight[200:201] / 8
    found = gpu.head_select(hidden, weight)
    assert found.token.tolist() == [7]
    assert abs(float(found.confidence) - float(reference.head_select(hidden, weight).confidence)) < 1e-5


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_are_seen_in_their_row_alone(gpu, broken):
    hidden, weight = drawn(4, 64), drawn(300, 64, seed=1)
    hidden[2, 5] = broken
    found = gpu.head_select(hidden, weight)
    assert found.confidence.isnan().tolist() == [False, False, True, False]
    good = [0, 1, 3]
    check_selection(Selection(*(part[good] for part in found)), (hidden.double() @ weight.double().T)[good])

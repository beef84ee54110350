import torch
from toy_text import MASK, SIZE, some_network

from coder_model.training.literature.llada import LargeMaskedDiffusion
from coder_model.training.sampler import Batch


def batch(rows=8, length=12, answer=4):
    clean = torch.randint(3, (rows, length), generator=torch.Generator().manual_seed(0))
    in_middle = torch.zeros(rows, length, dtype=torch.bool)
    in_middle[:, -answer - 1 : -1] = True
    empty = torch.zeros(rows, 1, dtype=torch.int64)
    return Batch(clean, clean, in_middle, empty, empty, empty, in_middle[:, :1])


def canvases(**more):
    """What a network was shown in 60 batches."""
    seen, network = [], some_network()

    def predict(tokens, *rest):
        seen.append(tokens)
        return network(tokens, *rest)

    objective = LargeMaskedDiffusion(MASK, short_share=0.0, **more)
    for number in range(60):
        assert float(objective.loss(predict, batch(), torch.Generator().manual_seed(number))) > 0
    return torch.cat(seen)


def test_in_fine_tuning_the_prompt_is_never_masked():
    masked = canvases(answer_share=1.0) == MASK
    assert not bool(masked[:, :8].any())
    assert 0.4 < float(masked[:, 8:].float().mean()) < 0.6


def test_in_pre_training_everything_is():
    assert 0.4 < float((canvases(answer_share=0.0) == MASK).float().mean()) < 0.6


def test_a_batch_may_be_short():
    lengths = set()

    def predict(tokens, *_):
        lengths.add(tokens.shape[1])
        return torch.zeros(*tokens.shape, SIZE)

    for number in range(20):
        LargeMaskedDiffusion(MASK, short_share=1.0).loss(predict, batch(), torch.Generator().manual_seed(number))
    assert len(lengths) > 5
    assert max(lengths) <= 12

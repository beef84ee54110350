import pytest
import torch
from toy_text import MASK, SIZE, Oracle, all_texts, batch_of, some_distribution, some_network

from coder_model.training.literature.llada import LargeMaskedDiffusion

BATCH = batch_of(torch.randint(3, (8, 12), generator=torch.Generator().manual_seed(0)), answer=4)


def canvases(**more):
    """What a network was shown in 60 batches."""
    seen, network = [], some_network()

    def predict(tokens, *rest):
        seen.append(tokens)
        return network(tokens, *rest)

    objective = LargeMaskedDiffusion(MASK, short_share=0.0, **more)
    for number in range(60):
        assert float(objective.loss(predict, BATCH, torch.Generator().manual_seed(number))) > 0
    return torch.cat(seen)


def test_in_fine_tuning_the_prompt_is_never_masked():
    masked = canvases(answer_share=1.0) == MASK
    assert not bool(masked[:, :8].any())
    assert 0.4 < float(masked[:, 8:].float().mean()) < 0.6


def test_in_pre_training_everything_is():
    assert 0.4 < float((canvases(answer_share=0.0) == MASK).float().mean()) < 0.6


@pytest.mark.parametrize("answer_share", [0.0, 1.0])
def test_the_loss_is_the_mean_cost_of_what_may_be_masked(answer_share):
    joint, text = some_distribution(), all_texts()[5]
    given, asked = (joint[text[0]].sum(), 2) if answer_share else (1.0, 3)
    expected = -float((joint[tuple(text)] / given).log()) / asked
    objective = LargeMaskedDiffusion(MASK, answer_share, short_share=0.0)
    rows = batch_of(text.expand(20_000, -1), answer=2)
    found = objective.loss(Oracle(joint), rows, torch.Generator().manual_seed(0))
    assert float(found) == pytest.approx(expected, rel=0.05)


def test_a_batch_may_be_short():
    lengths = set()

    def predict(tokens, *_):
        lengths.add(tokens.shape[1])
        return torch.zeros(*tokens.shape, SIZE)

    for number in range(20):
        LargeMaskedDiffusion(MASK, short_share=1.0).loss(predict, BATCH, torch.Generator().manual_seed(number))
    assert len(lengths) > 5
    assert max(lengths) <= 12

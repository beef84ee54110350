import pytest
import tiny_drafter
import torch
from tiny_drafter import OPTIONS, TARGET, VOCABULARY, corpus, marks, random_texts

from coder_model.model.transformer import Transformer, causally
from coder_model.training.adapter.low_rank import attach_
from coder_model.training.adapter.objective import outcome
from coder_model.training.adapter.options import ALL_LAYERS, AdapterOptions
from coder_model.training.adapter.sampler import AdapterSampler
from coder_model.training.published.distillation import distillation
from coder_model.training.shards import Shard


@pytest.fixture
def batch(tmp_path):
    shard = Shard.open(corpus(tmp_path, random_texts(3, [90, 60])), "train")
    return AdapterSampler(shard, marks(), VOCABULARY, AdapterOptions("", "", 1.0, OPTIONS), 0).batch(0, 2)


def logits(model, tokens):
    positions = torch.arange(tokens.shape[1]).expand_as(tokens)
    return model(tokens, positions, causally) @ model.lm_head.weight.T


def teacher():
    """Of another width than the model."""
    made = Transformer(TARGET.__class__(**{**vars(TARGET), "d_model": 48, "n_layers": 2, "head_dim": 24}))
    made.initialise_(7)
    for parameter in made.parameters():
        if parameter.dim() == 2:
            torch.nn.init.normal_(parameter, 0.0, 0.2)
    return made.requires_grad_(False)


@pytest.mark.parametrize("hard", [0.0, 0.3, 1.0])
def test_the_loss_is_cross_entropy_against_text_and_teacher_and_so_are_its_gradients(batch, hard):
    model, larger = tiny_drafter.target(), teacher()
    adapted = attach_(model, 3, 2.0, ALL_LAYERS)
    for index, layer in enumerate(adapted.values()):
        layer.up.data.normal_(0, 0.05, generator=torch.Generator().manual_seed(index))
    learnt = [parameter for layer in adapted.values() for parameter in (layer.down, layer.up)]
    found = outcome(model, larger, batch, hard)
    gradients = torch.autograd.grad(found.loss, learnt)

    mine, theirs = logits(model, batch.tokens)[:, :-1], logits(larger, batch.tokens)[:, :-1]
    following, weights = batch.tokens[:, 1:], batch.weights[:, :-1]
    wanted = (1 - hard) * theirs.softmax(-1) + hard * torch.nn.functional.one_hot(following, VOCABULARY)
    losses = -(wanted * mine.log_softmax(-1)).sum(-1)
    loss = (losses * weights).sum() / weights.sum()
    torch.testing.assert_close(found.loss, loss.detach())
    for one, other in zip(gradients, torch.autograd.grad(loss, learnt), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    for right, said in ((found.said_right, mine), (found.taught_right, theirs)):
        assert torch.equal(right[:, :-1], (said.argmax(-1) == following) & (weights > 0))
        assert not right[:, -1].any()


def test_labels_take_the_place_of_the_larger_models_first_choices():
    torch.manual_seed(0)
    head, larger_head, weights = torch.randn(VOCABULARY, 8), torch.randn(VOCABULARY, 12), torch.rand(300)
    states, taught, labels = torch.randn(300, 8), torch.randn(300, 12), torch.randint(0, VOCABULARY, (300,))
    student, plain = states.clone().requires_grad_(), states.clone().requires_grad_()
    loss, losses, chosen = distillation(student, head, taught, larger_head, weights, 0.25, labels)
    scores = taught @ larger_head.T
    wanted = 0.75 * scores.softmax(1) + 0.25 * torch.nn.functional.one_hot(labels, VOCABULARY)
    expected = torch.nn.functional.cross_entropy(plain @ head.T, wanted, reduction="none")
    (expected * weights).sum().backward()
    loss.backward()
    torch.testing.assert_close(losses, expected.detach())
    torch.testing.assert_close(student.grad, plain.grad)
    assert torch.equal(chosen, torch.stack([(plain @ head.T).argmax(1), scores.argmax(1)]))

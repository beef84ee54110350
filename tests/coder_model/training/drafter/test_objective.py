from pathlib import Path

import pytest
import torch
from tiny_drafter import OPTIONS, VOCABULARY, corpus, drafter, marks, random_texts, target

from coder_model.model.drafter import seeing
from coder_model.model.transformer import causally
from coder_model.training.drafter.objective import accepted_tokens, allowed, outcome, target_states
from coder_model.training.drafter.sampler import DrafterSampler
from coder_model.training.published.distillation import distillation
from coder_model.training.shards import Shard


def test_a_slot_sees_what_stands_before_its_anchor_and_its_own_block_alone(tmp_path: Path):
    shard = Shard.open(corpus(tmp_path, random_texts(2, [95])), "train")
    batch = DrafterSampler(shard, marks(), OPTIONS, 0).batch(0, 1)
    model, length, (blocks, width) = drafter(), OPTIONS.length, batch.known.shape[1:]
    states = torch.randn(1, length, 2, 32, requires_grad=True)
    slots = torch.randn(1, blocks * width, 32, requires_grad=True)
    context = model.context(model.joined(states), torch.arange(length)[None])
    places = (batch.anchors[..., None] + torch.arange(width)).flatten(1)
    hidden = model(slots, places, seeing(context, allowed(batch, length)))
    block = blocks // 2
    hidden[0, block * width].sum().backward()
    assert states.grad is not None
    assert slots.grad is not None
    seen = states.grad[0].abs().sum((1, 2)) > 0
    assert seen.nonzero().max() == batch.anchors[0, block] - 1
    assert (slots.grad[0].abs().sum(1) > 0).nonzero().flatten().tolist() == list(
        range(block * width, block * width + width)
    )


def test_the_states_of_the_larger_model_are_those_of_its_own_pass():
    model, tokens = target(), torch.randint(0, VOCABULARY, (2, 30))
    states, final = target_states(model, tokens, (1, 3))
    positions = torch.arange(30).expand(2, 30)
    torch.testing.assert_close(final, model(tokens, positions, causally))
    assert states.shape == (2, 30, 2, 32)


def test_distillation_is_cross_entropy_against_the_larger_model_and_so_are_its_gradients():
    torch.manual_seed(0)
    head, teacher, weights = torch.randn(VOCABULARY, 8), torch.randn(300, 8), torch.rand(300)
    student, plain = (
        torch.randn(300, 8, generator=torch.Generator().manual_seed(1)).requires_grad_() for _ in range(2)
    )
    loss, losses, chosen = distillation(student, head, teacher, head, weights, 0.25)
    scores = teacher @ head.T
    wanted = 0.75 * scores.softmax(1) + 0.25 * torch.nn.functional.one_hot(scores.argmax(1), VOCABULARY)
    expected = torch.nn.functional.cross_entropy(plain @ head.T, wanted, reduction="none")
    (expected * weights).sum().backward()
    loss.backward()
    torch.testing.assert_close(losses, expected.detach())
    torch.testing.assert_close(student.grad, plain.grad)
    assert torch.equal(chosen, torch.stack([(plain @ head.T).argmax(1), scores.argmax(1)]))


def test_the_expected_number_of_accepted_tokens_leaves_out_what_a_fill_would_not_have_asked():
    yes, no = True, False
    agrees = torch.tensor([[yes, yes, no], [yes, no, yes], [yes, yes, yes], [no, yes, yes]])
    everywhere = torch.ones(4, 3, dtype=torch.bool)
    # 3 of 4, then 2 of 3, then 1 of 2
    assert accepted_tokens(agrees, everywhere, everywhere)[0] == pytest.approx(
        3 / 4 + 3 / 4 * 2 / 3 + 3 / 4 * 2 / 3 / 2
    )
    off_at_once = everywhere.clone()
    off_at_once[2, 0] = no
    assert accepted_tokens(agrees, off_at_once, everywhere)[1].tolist() == pytest.approx([3 / 4, 1 / 2, 0])


def test_blocks_are_judged_by_what_the_larger_model_says(tmp_path: Path):
    shard = Shard.open(corpus(tmp_path, random_texts(3, [95, 60])), "train")
    batch = DrafterSampler(shard, marks(), OPTIONS, 0).batch(0, 2)
    model, larger = drafter(), target()
    result = outcome(model, larger, larger.lm_head.weight, batch, 0.0)
    _, final = target_states(larger, batch.tokens, model.config.taps)
    first = (final @ larger.lm_head.weight.T).argmax(-1)
    for row, block, slot in (batch.weights > 0).nonzero().tolist():
        place = int(batch.anchors[row, block]) + slot
        assert bool(result.on_path[row, block, slot]) == bool(first[row, place] == batch.tokens[row, place + 1])
    result.loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())

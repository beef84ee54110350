import torch

from benchmarks.ablations import complementary, corrupted, unshifted
from benchmarks.memorisation import longest_run
from coder_model.prompt.tokenizer import MASK
from coder_model.training.sampler import IGNORE, Batch

LENGTH, BLOCK = 40, 8


def batch():
    generator = torch.Generator().manual_seed(0)
    clean = torch.randint(30, 600, (2, LENGTH), generator=generator)
    starts = torch.tensor([[0, 10, 20, 30], [3, 8, 16, 32]])
    x0 = clean.gather(1, (starts[:, :, None] + torch.arange(BLOCK)).flatten(1)).view(2, 4, BLOCK)
    masked = torch.rand(x0.shape, generator=generator) < 0.5
    masked[:, :, 0] = False
    wanted = x0.masked_fill(~masked, IGNORE)
    targets = torch.cat([wanted[:, :, 1:], torch.full_like(wanted[:, :, :1], IGNORE)], 2).flatten(1)
    nothing = torch.zeros_like(clean, dtype=torch.bool)
    noised = x0.masked_fill(masked, MASK).flatten(1)
    return Batch(clean, clean, nothing, starts, noised, targets, torch.zeros(2, 4, dtype=torch.bool))


def test_complementary_blocks_mask_each_slot_once():
    made = complementary(batch())
    noised = made.noised.view(2, 4, BLOCK)
    assert torch.equal(made.starts[:, :2], made.starts[:, 2:])
    assert torch.equal((noised[:, :2, 1:] == MASK), (noised[:, 2:, 1:] != MASK))
    index = (made.starts[:, :, None] + torch.arange(BLOCK)).flatten(1)
    x0 = made.clean.gather(1, index).view(2, 4, BLOCK)
    targets = made.noised_targets.view(2, 4, BLOCK)
    expected = torch.where(noised[:, :, 1:] == MASK, x0[:, :, 1:], IGNORE)
    assert torch.equal(targets[:, :, :-1], expected)


def test_an_unshifted_slot_predicts_itself():
    before, after = batch(), unshifted(batch())
    assert torch.equal(after.noised_targets != IGNORE, before.noised == MASK)


def test_a_corrupted_slot_is_learnt_right():
    torch.manual_seed(0)
    before, after = batch(), corrupted(batch())
    changed = after.noised != before.noised
    assert changed.any()
    index = (before.starts[:, :, None] + torch.arange(BLOCK)).flatten(1)
    x0 = before.clean.gather(1, index)
    assert torch.equal(after.noised_targets[:, :-1][changed[:, 1:]], x0[:, 1:][changed[:, 1:]])


def test_the_longest_run_is_found_anywhere():
    assert longest_run([1, 2, 3, 9], [0, 2, 3, 9, 4]) == 3
    assert longest_run([], [1]) == 0

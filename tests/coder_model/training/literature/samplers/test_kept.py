"""Samplers that keep keys or predictions fill as they would without."""

from dataclasses import replace

import pytest
import torch
from toy_text import MASK, SIZE, START, some_network

from coder_model.training.literature.bd3 import BlockDiffusion
from coder_model.training.literature.eso import EsotericDiffusion
from coder_model.training.literature.mdlm import MaskedDiffusion
from coder_model.training.literature.samplers.ancestral import Ancestral
from coder_model.training.literature.samplers.blocks import ByBlocks
from coder_model.training.literature.samplers.canvas import Chance
from coder_model.training.literature.samplers.draft_and_check import DraftAndCheck
from coder_model.training.literature.samplers.left_to_right import LeftToRight
from coder_model.training.literature.samplers.two_phases import TwoPhases

WIDE = 40


def canvas(rows=3, given=7, slots=9):
    clean = torch.randint(5, WIDE, (rows, given), generator=torch.Generator().manual_seed(0))
    return torch.cat([clean, torch.full((rows, slots), MASK)], dim=1)


def scattered():
    clean = torch.randint(5, WIDE, (2, 14), generator=torch.Generator().manual_seed(1))
    return clean.masked_fill(torch.arange(14) % 3 > 0, MASK)


def uneven():
    return torch.stack([scattered()[0], scattered()[1].roll(1)])


class Listening:
    """A network that notes what it was shown and what it said at masks."""

    def __init__(self):
        self.network, self.said, self.shown = some_network(size=WIDE), [], []

    def __call__(self, tokens, positions, seen, time=None, kept=None):
        logits = self.network(tokens, positions, seen, time, kept)
        self.said.append(logits[tokens == MASK])
        self.shown.append(tokens.numel())
        return logits


def fill(sampler, of, steps, temperature=1.0):
    network = Listening()
    return sampler(network, of, steps, Chance(torch.Generator().manual_seed(3), temperature)), network


@pytest.mark.parametrize("of", [canvas(), scattered(), uneven()], ids=["at the end", "scattered", "in other places"])
@pytest.mark.parametrize("alpha0", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("variant", ["a", "b"])
def test_eso_lm_fills_with_kept_keys_as_without(variant, alpha0, of):
    sampler = TwoPhases(EsotericDiffusion(MASK, alpha0, variant))
    (kept, with_keys), (whole, without) = (fill(one, of, 3) for one in (sampler, replace(sampler, keeps_keys=False)))
    assert torch.equal(kept.tokens, whole.tokens)
    assert kept.passes == whole.passes
    torch.testing.assert_close(torch.cat(with_keys.said), torch.cat(without.said), atol=1e-4, rtol=1e-4)
    if variant == "b":
        # each token once clean, each slot once masked
        per_row = of.shape[1] + int((of[0] == MASK).sum())
        assert sum(with_keys.shown) <= len(of) * per_row < sum(without.shown)


@pytest.mark.parametrize(
    "of", [canvas(), canvas(given=8, slots=8), scattered()], ids=["inside", "at a block", "scattered"]
)
def test_block_diffusion_fills_with_kept_keys_as_without(of):
    sampler = ByBlocks(BlockDiffusion(MASK, 4))
    (kept, with_keys), (whole, without) = (fill(one, of, 3) for one in (sampler, replace(sampler, keeps_keys=False)))
    assert torch.equal(kept.tokens, whole.tokens)
    torch.testing.assert_close(torch.cat(with_keys.said), torch.cat(without.said), atol=1e-4, rtol=1e-4)
    assert sum(with_keys.shown) < sum(without.shown)


def test_an_ancestral_sampler_asks_only_when_something_has_changed():
    sampler = Ancestral(MaskedDiffusion(MASK))
    (kept, _), (whole, _) = (fill(one, canvas(), 64) for one in (sampler, replace(sampler, keeps_predictions=False)))
    assert torch.equal(kept.tokens, whole.tokens)
    assert whole.passes == 64
    # at most one after each change, and the first
    assert kept.passes <= 28


def test_our_drafts_do_not_change_what_is_said_one_token_at_a_time():
    (plain, _), (drafted, network) = (
        fill(sampler(START, MASK), canvas(), 4, temperature=0.0) for sampler in (LeftToRight, DraftAndCheck)
    )
    forbidden = plain.tokens == MASK
    assert not bool(forbidden.any())
    assert torch.equal(plain.tokens, drafted.tokens)
    assert plain.passes == 9
    assert len(network.shown) == drafted.passes * 3


def test_left_to_right_wants_its_masks_at_the_end():
    with pytest.raises(ValueError, match="the masks must be the last tokens of every row"):
        fill(LeftToRight(START, MASK), scattered(), 1)
    assert SIZE < WIDE

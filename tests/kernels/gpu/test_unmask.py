"""Steps of a block by each policy against their plain reference."""

import pytest
import torch

from coder_kernels import reference
from coder_kernels.policies import POLICIES, PolicyOptions, Schedule
from coder_kernels.tensor_types import Blocks, Selection

pytestmark = [
    pytest.mark.usefixtures("poisoned"),
    # both sides of a `where` are computed; numpy speaks of the side that is not taken
    pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning"),
]


def blocks_of(n_slots, seed=0):
    """Blocks at all stages: fresh, half revealed, with one mask left, finished."""
    generator = torch.Generator().manual_seed(seed)
    masked = torch.rand(5, n_slots, generator=generator) < torch.tensor([1.0, 0.6, 0.3, 0.1, 0.0])[:, None]
    masked[:, 0] = False
    masked[3, -1] = True
    tokens = torch.randint(0, 50, (5, n_slots), generator=generator).masked_fill(masked, 99)
    confidence = torch.rand(5, n_slots, generator=generator)
    active = masked.any(1)
    active[2] = False
    steps = torch.tensor([0, 1, 1, 2, 1], dtype=torch.int32)
    kinds = torch.tensor([0, 1, 0, 1, 1], dtype=torch.int32)
    return Blocks(tokens, tokens.clone(), masked, confidence, confidence.clone(), steps, active, kinds)


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("n_slots", [2, 9, 16, 33])
def test_unmask(gpu, policy, shifted, n_slots):
    ends = torch.stack([torch.arange(100) % 11 == 0, torch.arange(100) == 30])
    for seed in range(4):
        found = Selection(
            torch.randint(0, 50, (5 * n_slots,)),
            torch.rand(5 * n_slots, generator=torch.Generator().manual_seed(seed)).pow(0.2),
            torch.rand(5 * n_slots) / 10,
        )
        schedule = Schedule(policy, PolicyOptions(threshold=0.95, factor=0.6, entropy_bound=0.2, k=3), 3)
        ours, plain = blocks_of(n_slots, seed), blocks_of(n_slots, seed)
        for _ in range(3):
            gpu.unmask_(ours, found, shifted, schedule, ends)
            reference.unmask_(plain, found, shifted, schedule, ends)
            for name, a, b in zip(Blocks._fields, ours, plain, strict=True):
                assert torch.equal(a, b), name

"""Muon, and the schedule of the learning rate."""

import pytest
import torch

from coder_model.training.optim import Muon, orthogonalise, schedule


def test_muon_makes_updates_orthogonal():
    matrix = torch.randn(12, 20, generator=torch.Generator().manual_seed(0))
    singular = torch.linalg.svdvals(orthogonalise(matrix))
    assert singular.min() > 0.5
    assert singular.max() < 1.5
    assert orthogonalise(matrix.T).shape == (20, 12)


def test_muon_goes_downhill():
    parameter = torch.nn.Parameter(torch.full((4, 4), 2.0))
    optimizer = Muon([parameter], lr=0.1)
    for _ in range(20):
        loss = (parameter**2).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (parameter**2).sum() < 64


def test_the_schedule_rises_stays_and_falls_to_zero():
    factors = [schedule(step, 100, 10, 0.2) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[50] == 1.0
    assert factors[99] == pytest.approx(0.05)
    assert factors[:10] == sorted(factors[:10])

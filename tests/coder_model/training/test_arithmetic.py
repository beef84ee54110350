"""What training multiplies in."""

import pytest
import torch

from coder_model.training import arithmetic
from coder_model.training.arithmetic import training_dtype


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("learns", [False, True])
def test_bfloat16_is_taken_where_it_is_faster_unless_somebody_said_so(monkeypatch, device, learns):
    monkeypatch.setattr(arithmetic, "learns_in_bfloat16", lambda: learns)
    expected = torch.bfloat16 if learns or device == "cuda" else torch.float32
    assert training_dtype(torch.device(device)) == expected
    assert training_dtype(torch.device(device), bf16=True) == torch.bfloat16
    assert training_dtype(torch.device(device), bf16=False) == torch.float32

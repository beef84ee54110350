"""The cross-entropy in chunks against torch's."""

import torch

from coder_model.training.cross_entropy import linear_cross_entropy


def test_linear_cross_entropy_equals_torch_with_its_gradients():
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(700, 16, generator=generator, requires_grad=True)
    head = torch.randn(50, 16, generator=generator, requires_grad=True)
    targets = torch.randint(0, 50, (700,), generator=generator)
    row_weights = torch.rand(700, generator=generator)
    loss, each = linear_cross_entropy(hidden, head, targets, row_weights)
    loss.backward()
    found = hidden.grad.clone(), head.grad.clone()
    hidden.grad = head.grad = None
    reference = torch.nn.functional.cross_entropy(hidden @ head.T, targets, reduction="none")
    (reference * row_weights).sum().backward()
    torch.testing.assert_close(each, reference.detach(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found[0], hidden.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found[1], head.grad, atol=1e-3, rtol=1e-4)

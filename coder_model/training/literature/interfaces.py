"""What an objective and a sampler ask of a network, and what the comparison asks of an objective."""

from __future__ import annotations

from typing import Protocol

from torch import Generator, Tensor

from coder_model.training.literature.kept_keys import KeptKeys
from coder_model.training.literature.schemes import Seen
from coder_model.training.sampler import Batch


class Predictor(Protocol):
    """A network under any attention scheme; in the tests also a table that knows the exact answer."""

    def __call__(
        self, tokens: Tensor, positions: Tensor, seen: Seen, time: Tensor | None = None, kept: KeptKeys | None = None
    ) -> Tensor:
        """One pass.

        Args:
            tokens: [B, T] int64, in the order that `seen` is about; or [B, T, E] float, for continuous embeddings.
            positions: [B, T] int64, where each stands in the text.
            seen: the attention scheme, over the kept keys and these tokens.
            time: [B] float32 in [0, 1], the noise level, for a network that is told.
            kept: keys of earlier passes, which come before these tokens.

        Returns:
            [B, T, V] float32 logits, [B, T, E] predicted embeddings for a continuous network.
        """
        ...


class Objective(Protocol):
    """One of the papers: what is trained, and what it says of the likelihood."""

    def loss(self, predict: Predictor, batch: Batch, generator: Generator) -> Tensor:
        """Returns the training loss [] of a batch, about one nat per token in scale."""
        ...

    def nelbo(self, predict: Predictor, x0: Tensor, generator: Generator) -> Tensor:
        """Returns one draw of the paper's bound on -log p(x0), [B] nats; its mean is at least -log p(x0)."""
        ...

    def log_weight(self, predict: Predictor, x0: Tensor, steps: int, generator: Generator) -> Tensor:
        """Draws a noising of x0 in `steps` steps and returns log p(x0, noising) - log q(noising | x0), [B] nats.

        exp of it is an unbiased estimate of the likelihood of the model that samples in `steps` steps: the mean of the
        logarithm is a bound, and that of several together a tighter one (`bounds.py`).
        """
        ...

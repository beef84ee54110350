"""Texts of three tokens of which all is known: a distribution, networks that know it or say anything, all masks."""

import itertools
import math

import numpy as np
import torch

from coder_model.model.config import ModelConfig
from coder_model.training.literature.network import Denoiser
from coder_model.training.literature.schemes import dense
from coder_model.training.sampler import Batch

WORDS, MASK, START, SIZE = 3, 3, 4, 5
"""Tokens that a text has; the mask, what stands before a text, and the size of the vocabulary with them."""


def some_distribution(length=3, seed=0):
    """Probabilities of all texts, [WORDS] * length."""
    weights = torch.rand((WORDS,) * length, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) ** 3
    return weights / weights.sum()


def all_texts(length=3):
    return torch.tensor(list(itertools.product(range(WORDS), repeat=length)))


def all_masks(length=3):
    return torch.tensor(list(itertools.product((False, True), repeat=length)))


def batch_of(clean, answer=0):
    """Rows whose last `answer` tokens are a middle, without noised blocks."""
    in_middle = torch.zeros(clean.shape, dtype=torch.bool)
    in_middle[:, -answer - 1 : -1] = True
    empty = torch.zeros(len(clean), 1, dtype=torch.int64)
    return Batch(clean, clean, in_middle, empty, empty, empty, in_middle[:, :1])


class Oracle:
    """Says of each place what the distribution says, given the clean tokens that the scheme lets it see, no more."""

    def __init__(self, joint, shift=0, factor=1.0):
        """`shift`: places by which a token stands behind where it belongs; `factor` of the probabilities."""
        self.joint, self.shift, self.factor, self.known = joint, shift, factor, {}

    def conditional(self, place, evidence):
        index = tuple(evidence.get(i, slice(None)) for i in range(self.joint.dim()))
        if place in evidence:
            return torch.nn.functional.one_hot(torch.tensor(evidence[place]), WORDS).double()
        left = self.joint[index]
        axis = sum(i not in evidence for i in range(place))
        summed = left.sum([a for a in range(left.dim()) if a != axis]) if left.dim() > 1 else left
        return summed / summed.sum()

    def __call__(self, tokens, positions, seen, time=None, kept=None):
        n_kept = len(kept) if kept is not None else 0
        visible = dense(seen, *tokens.shape, n_kept + tokens.shape[1])
        keys = torch.stack([tokens, positions], dim=2)[:, None].double()
        if kept is not None:
            keys, _ = kept.extended(0, keys, keys)
        rows = [self.row(*row) for row in zip(keys[:, 0], positions, visible, strict=True)]
        return torch.stack(rows)

    def row(self, keys, positions, visible):
        """Logits [T, V] of one row; the same row is asked about often."""
        asked = tuple(part.numpy().tobytes() for part in (keys, positions, visible))
        if asked not in self.known:
            logits = torch.full((len(positions), SIZE), -math.inf)
            for query, place in enumerate(positions.tolist()):
                clean = {int(p) - self.shift: int(t) for t, p in keys[visible[query]].tolist() if t < WORDS}
                clean.pop(-1, None)
                logits[query, :WORDS] = self.conditional(place, clean).log() + math.log(self.factor)
            self.known[asked] = logits
        return self.known[asked]


class Table(Oracle):
    """Says something of each place, the same to the same evidence: no distribution has such conditionals."""

    def __init__(self, length=3, seed=0, **more):
        super().__init__(torch.ones((WORDS,) * length), **more)
        self.seed = seed

    def conditional(self, place, evidence):
        rng = np.random.default_rng([self.seed, place, *itertools.chain(*sorted(evidence.items()))])
        weights = torch.from_numpy(rng.random(WORDS) ** 2 + 0.02)
        return weights / weights.sum()

    def of_order(self, text, order):
        """log of the product of the conditionals of a text's tokens in an order."""
        total, evidence = 0.0, {}
        for place in order:
            total += float(self.conditional(place, evidence)[text[place]].log())
            evidence[place] = text[place]
        return total


def integral(cost_at, x0, rate=lambda t: t):
    """The mean of `cost_at(x0, masked, time)` of one text [T] over all masks, integrated over time exactly.

    Each token is masked with probability rate(t); what is integrated is a polynomial, which 8 points are enough for.
    """
    nodes, weights = np.polynomial.legendre.leggauss(8)
    masks = all_masks(len(x0))
    total = 0.0
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        chance = rate(node) ** masks.sum(1) * (1 - rate(node)) ** (~masks).sum(1)
        costs = cost_at(x0.expand(len(masks), -1), masks, torch.full((len(masks),), node))
        total += weight * float((costs.double() * chance).sum())
    return total


def some_network(seed=0, size=SIZE, **more):
    """A random network of the project's own layers."""
    config = ModelConfig(
        vocab_size=size, d_model=16, n_layers=2, n_heads=2, n_kv_heads=1, head_dim=8, d_ff=24, context_tokens=64, **more
    )
    network = Denoiser(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5 + (parameter.dim() == 1))
    return network.requires_grad_(False)

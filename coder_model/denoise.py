"""The loop that fills a middle: draft a block, verify it, go on until the end of the middle.

A draft comes from the text itself (a copied run) or from denoising a block of masks; its first slot is always decided
by the autoregressive opinion, which the pass before has left. With `verify`, a commit pass over the draft accepts the
longest run that decoding one token at a time would have chosen too, and has then already written its keys and values.
Without it, the denoised block is taken as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from coder_kernels.ops import select
from coder_model.cache import KVCache
from coder_model.model import Attend, Transformer
from coder_model.opinion import Opinion
from coder_model.policies import Policy, PolicyOptions, Step
from coder_model.tokenizer import MASK

Check = Callable[[], None]
"""Called between passes; raises `Cancelled` or `DeadlineReached` to stop."""


COMMIT_TOKENS = 256
"""Context tokens per commit pass: between two passes a cancel is seen."""


AVERAGED, RETRY_AFTER = 4, 64
"""Denoised drafts that the gauge averages over, and drafts that it skips between two tries."""


MAX_PERIOD, MIN_REPEATED = 24, 12
"""A run of at most so many tokens that comes three times, and makes up at least so many tokens, is a loop."""


class DeadlineReached(Exception):
    """Control flow: the deadline came, and what is decided so far is the answer."""


@dataclass(frozen=True, slots=True)
class FillOptions:
    """How a middle is decoded."""

    policy: Policy | None
    """None: one token at a time, no drafts."""
    policy_options: PolicyOptions
    block_length: int
    max_steps: int
    """Denoise steps per block."""
    verify: bool
    min_copy: int
    """A copied run shorter than this many tokens is no draft; the block is denoised instead."""
    remask_below: float
    """Without verify, slots revealed with less confidence than this are masked again, once per block."""


@dataclass(slots=True)
class Canvas:
    """The block being denoised, slot 0 decided."""

    tokens: Tensor
    """[B] int64, MASK where masked."""
    masked: Tensor
    """[B] bool."""
    confidence: Tensor
    """[B] float32 in (0, 1]; of the likeliest token where masked."""
    entropy: Tensor
    """[B] float32, in nats."""
    candidates: Tensor
    """[B] int64, the likeliest token of each slot."""

    @classmethod
    def opening(cls, first: int, probability: float, block_length: int) -> Canvas:
        """A block of masks after a decided first slot."""
        tokens = torch.full((block_length,), MASK)
        tokens[0] = first
        masked = tokens == MASK
        confidence = torch.zeros(block_length)
        confidence[0] = probability
        return cls(tokens, masked, confidence, torch.zeros(block_length), tokens.clone())

    def reveal_(self, slots: Tensor) -> None:
        """Writes the candidates into `slots` [B] bool."""
        self.tokens = torch.where(slots, self.candidates, self.tokens)
        self.masked = self.masked & ~slots


@dataclass(slots=True)
class DenoiseGauge:
    """Whether denoising has paid for itself lately.

    A denoised draft costs its denoise passes and a longer verify pass. A model whose drafts verify cuts early is faster
    without them, so it only tries again now and then; the text is the same either way.
    """

    min_accepted: float
    """Tokens that verify must accept of a denoised draft, on average."""
    mean_accepted: float = math.inf
    """Running mean; infinite before the first draft."""
    skipped: int = 0

    def wants_denoising(self) -> bool:
        """Returns True when the next draft should be denoised."""
        if self.mean_accepted >= self.min_accepted:
            return True
        self.skipped = (self.skipped + 1) % RETRY_AFTER
        return not self.skipped

    def note(self, accepted: int) -> None:
        """Takes note of a verified draft."""
        mean = min(self.mean_accepted, 2 * self.min_accepted)
        self.mean_accepted = mean + (accepted - mean) / AVERAGED


@dataclass(slots=True)
class Middle:
    """What is decided so far."""

    limit: int
    """Most tokens it may have."""
    tokens: list[int] = field(default_factory=list)
    log_confidence: float = 0.0
    """Sum of the logarithms of the probabilities of `tokens`."""
    steps: int = 0
    """Denoise and verify passes."""
    ended: bool = False
    """True when nothing follows: the hole is full, or the limit is reached, or it went in circles."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of the loop, for whoever watches."""

    kind: Literal["denoise", "verify", "remask"]
    canvas: Canvas | None
    """The block after a denoise step; None after a verify pass."""


class Decoder:
    """One sequence's committed tokens with their keys and values, and the passes that go on from there."""

    def __init__(self, model: Transformer, forbidden: Tensor) -> None:
        self.tokens: list[int] = []
        """Committed tokens."""
        self._model = model
        self._cache = KVCache(model.config)
        self._forbidden = forbidden

    def read(self, context: list[int], check: Check) -> Tensor:
        """Makes `context` the committed text, at the cost of what differs from the present one.

        The last token is always read again, because its scores are wanted: returns [V] float32, what follows it.
        """
        common = 0
        for common, (old, new) in enumerate(zip(self.tokens, context[:-1], strict=False)):  # noqa: B007
            if old != new:
                break
        else:
            common = min(len(self.tokens), len(context) - 1)
        self.truncate(common)
        while len(context) - len(self.tokens) > COMMIT_TOKENS:
            check()
            start = len(self.tokens)
            self._commit(context[start : start + COMMIT_TOKENS])
        check()
        return self._following(self._commit(context[len(self.tokens) :])[-1:])[0]

    def commit(self, tokens: list[int]) -> Tensor:
        """Writes the keys and values of `tokens`; returns [len(tokens), V], what follows each of them."""
        return self._following(self._commit(tokens))

    def truncate(self, length: int) -> None:
        """Forgets the committed tokens from `length` on."""
        del self.tokens[length:]
        self._cache.truncate(length)

    def denoise_(self, canvas: Canvas) -> None:
        """One bidirectional pass over the block; fills in candidates, confidence and entropy of the masked slots."""
        length = len(canvas.tokens)
        hidden = self._pass(canvas.tokens, self._cache.denoise_attention(length))
        # shifted form: slot j's scores come from slot j - 1; slot 0 was decided before
        found = select(self._scores(hidden[:-1]))
        masked = canvas.masked[1:]
        canvas.candidates[1:] = torch.where(masked, found.token, canvas.tokens[1:])
        canvas.confidence[1:] = torch.where(masked, found.confidence, canvas.confidence[1:])
        canvas.entropy[1:] = found.entropy

    def _commit(self, tokens: list[int]) -> Tensor:
        hidden = self._pass(torch.tensor(tokens), self._cache.commit_attention([len(tokens)]))
        self.tokens += tokens
        return hidden

    def _pass(self, tokens: Tensor, attend: Attend) -> Tensor:
        positions = torch.arange(len(self.tokens), len(self.tokens) + len(tokens))
        hidden: Tensor = self._model(tokens[None], positions[None], attend)
        return hidden[0]

    def _scores(self, hidden: Tensor) -> Tensor:
        return self._model.logits(hidden).float().masked_fill(self._forbidden, float("-inf"))

    def _following(self, hidden: Tensor) -> Tensor:
        return self._scores(hidden).softmax(dim=1)


def fill_middle(
    decoder: Decoder,
    p: Tensor,
    opinion: Opinion,
    options: FillOptions,
    gauge: DenoiseGauge,
    middle: Middle,
    check: Check,
) -> Iterator[Progress]:
    """Decodes the middle that follows what `decoder` has committed.

    Args:
        decoder: holds the context; afterwards also the accepted tokens.
        p: [V] float32, what follows the context.
        opinion: decides each token.
        options: how.
        gauge: whether a block is denoised where nothing can be copied; only with `verify`.
        middle: filled in; right after every pass, so that a deadline can take it as it is.
        check: called before every pass.

    Yields:
        After every pass.
    """
    while True:
        token, probability = opinion.choose(p)
        _decide(token, probability, opinion, middle)
        if middle.ended:
            return
        draft: list[int] = []
        if options.policy and options.verify:
            draft = opinion.proposals(options.block_length - 1)
        denoised = bool(options.policy) and not opinion.heal and len(draft) < options.min_copy
        if denoised and options.verify:
            denoised = gauge.wants_denoising()
        if denoised:
            canvas = Canvas.opening(token, probability, options.block_length)
            yield from _denoise(decoder, canvas, opinion, options, middle, check)
            draft = canvas.tokens[1:].tolist()
            if not options.verify:
                _take(draft, canvas.confidence[1:].tolist(), opinion, middle)
                if middle.ended:
                    return
        check()
        start = len(decoder.tokens)
        rows = decoder.commit([token, *draft])
        middle.steps += 1
        accepted = _verify(draft, rows, opinion, middle) if options.verify else len(draft)
        decoder.truncate(start + 1 + accepted)
        if denoised:
            gauge.note(accepted)
        yield Progress("verify", None)
        if middle.ended:
            return
        p = rows[accepted]


def _denoise(
    decoder: Decoder, canvas: Canvas, opinion: Opinion, options: FillOptions, middle: Middle, check: Check
) -> Iterator[Progress]:
    """Reveals the slots of a block, the sure ones first, until none is masked before the end of the middle."""
    assert options.policy is not None
    for index in range(options.max_steps):
        check()
        decoder.denoise_(canvas)
        middle.steps += 1
        step = Step(canvas.confidence, canvas.entropy, canvas.masked, index, options.max_steps)
        last = index + 1 == options.max_steps
        canvas.reveal_(canvas.masked if last else options.policy(step, options.policy_options))
        yield Progress("denoise", canvas)
        if _settled(canvas, opinion):
            break
    canvas.reveal_(canvas.masked)
    weak = canvas.confidence < options.remask_below
    weak[0] = False
    if not options.verify and bool(weak.any()):
        check()
        canvas.tokens = canvas.tokens.masked_fill(weak, MASK)
        canvas.masked = weak
        decoder.denoise_(canvas)
        middle.steps += 1
        canvas.reveal_(canvas.masked)
        yield Progress("remask", canvas)


def _settled(canvas: Canvas, opinion: Opinion) -> bool:
    """True when no slot is masked, or none before the first revealed token that ends the middle."""
    for token, masked in zip(canvas.tokens.tolist(), canvas.masked.tolist(), strict=True):
        if masked:
            return False
        if opinion.ends(token):
            return True
    return True


def _verify(draft: list[int], rows: Tensor, opinion: Opinion, middle: Middle) -> int:
    """Decides along the draft while the opinion agrees with it; returns how many of its tokens were right."""
    for index, proposed in enumerate(draft):
        token, probability = opinion.choose(rows[index])
        if token != proposed or middle.ended:
            return index
        _decide(token, probability, opinion, middle)
    return len(draft)


def _take(draft: list[int], confidences: list[float], opinion: Opinion, middle: Middle) -> None:
    """Decides the whole draft, up to the end of the middle."""
    for token, confidence in zip(draft, confidences, strict=True):
        if not middle.ended:
            _decide(token, confidence, opinion, middle)


def _drop_repetition_(tokens: list[int]) -> bool:
    """Cuts tokens that end in one run said over and over, back to the first time; returns True when they did."""
    for period in range(1, MAX_PERIOD + 1):
        repeats = max(3, -(-MIN_REPEATED // period))
        tail = tokens[-period * repeats :]
        if len(tail) == period * repeats and tail == tail[:period] * repeats:
            del tokens[len(tokens) - period * (repeats - 1) :]
            return True
    return False


def _decide(token: int, probability: float, opinion: Opinion, middle: Middle) -> None:
    opinion.advance(token)
    middle.tokens.append(token)
    middle.log_confidence += math.log(max(probability, 1e-9))
    full = opinion.finished or len(middle.tokens) >= middle.limit
    middle.ended = _drop_repetition_(middle.tokens) or full

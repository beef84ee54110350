"""The loop that fills a middle: draft a block, verify it, go on until the end of the middle.

A draft comes from the text itself (a copied run) or from denoising a block of masks; its first slot is always decided
by the autoregressive opinion, which the pass before has left. With `verify`, a commit pass over the draft accepts the
longest run that decoding one token at a time would have chosen too, and has then already written its keys and values.
Without it, the denoised block is taken as it is.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from coder_kernels.policies import Policy, PolicyOptions, Schedule, top_k
from coder_model.canvas import Canvas
from coder_model.decoder import Check, Decoder
from coder_model.gauge import DraftGauge
from coder_model.middle import Middle
from coder_model.opinion import Choice, Opinion

ALL_AT_ONCE = Schedule(top_k, PolicyOptions(), 1)
"""One step that reveals every slot."""


def schedules_of(options: FillOptions) -> list[Schedule]:
    """Returns the schedules that fills with these options reveal blocks by, the usual one first."""
    if not options.policy:
        return []
    usual = Schedule(options.policy, options.policy_options, options.max_steps)
    return [usual] if options.verify else [usual, ALL_AT_ONCE]


class DeadlineReached(Exception):
    """Control flow: the deadline came, and what is decided so far is the answer."""


@dataclass(frozen=True, slots=True)
class FillOptions:
    """How a middle is decoded."""

    policy: Policy | None
    """None: no block is denoised."""
    policy_options: PolicyOptions
    block_length: int
    """Tokens of a draft, the one before it counted in."""
    denoised_slots: int
    """The same where the draft is denoised."""
    max_steps: int
    """Denoise steps per block."""
    verify: bool
    copies: bool
    """Drafts from the text itself; only with `verify`."""
    min_copy: int
    """A copied run shorter than this many tokens is no draft; the block is denoised instead."""
    remask_below: float
    """Without verify, slots revealed with less confidence than this are masked again, once per block."""
    operations: tuple[int, int] | None = None
    """Tokens that make a slot two, and none; for models that know them."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of the loop, for whoever watches."""

    kind: Literal["denoise", "verify", "remask"]
    canvas: Canvas | None
    """The block after a denoise step; None after a verify pass."""


def fill_middle(
    decoder: Decoder,
    p: Tensor,
    opinion: Opinion,
    options: FillOptions,
    gauge: DraftGauge,
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
    p = yield from _heal(decoder, p, opinion, middle, check)
    while not middle.ended:
        choice = opinion.choose(p)
        middle.decide_(choice, opinion)
        if middle.ended:
            return
        draft: list[int] = []
        if options.copies and options.verify:
            draft = opinion.proposals(options.block_length - 1)
        denoised = bool(options.policy) and not opinion.heal and len(draft) < options.min_copy
        if denoised and options.verify:
            denoised = gauge.wants_denoising()
        if denoised:
            canvas = Canvas.opening([choice.token], options.denoised_slots, opinion.mask, choice.probability)
            yield from _denoise(decoder, canvas, opinion, options, middle, check)
            draft = canvas.tokens[1:].tolist()
            if options.verify:
                draft = _worth_verifying(draft, canvas.confidence[1:].tolist(), opinion, gauge)
            if not options.verify:
                _take(draft, canvas.confidence[1:].tolist(), opinion, middle)
                if middle.ended:
                    return
        check()
        start = len(decoder.tokens)
        rows = decoder.commit([choice.token, *draft])
        middle.steps += 1
        accepted = _verify(draft, rows, opinion, middle) if options.verify else len(draft)
        decoder.truncate(start + 1 + accepted)
        if denoised and draft:
            gauge.note(accepted)
        yield Progress("verify", None)
        p = rows[accepted]


def _heal(
    decoder: Decoder, p: Tensor, opinion: Opinion, middle: Middle, check: Check
) -> Generator[Progress, None, Tensor]:
    """Says the text to heal again up to its last token, where it takes more than one; returns what follows that.

    A token that leaves some of the text is right only if the model goes on with the rest: the likeliest way through
    both is taken, and a token is taken back when another one alone is likelier than that.
    """
    while not middle.ended and opinion.leaves_text_to_heal((choice := opinion.choose(p)).token):
        check()
        following = decoder.commit([choice.token])[0]
        middle.steps += 1
        if choice.probability * opinion.share_behind(choice.token, following) < choice.rival_probability:
            decoder.truncate(len(decoder.tokens) - 1)
            opinion.refuse(choice.token)
        else:
            middle.decide_(choice, opinion)
            p = following
        yield Progress("verify", None)
    return p


def _denoise(
    decoder: Decoder, canvas: Canvas, opinion: Opinion, options: FillOptions, middle: Middle, check: Check
) -> Iterator[Progress]:
    """Reveals the slots of a block, the sure ones first, until none is masked before the end of the middle."""
    schedule = schedules_of(options)[0]
    index = 0
    while index < schedule.total:
        check()
        steps = decoder.denoise_(canvas, schedule, index, opinion.kind)
        middle.steps += steps - index
        index = steps
        yield Progress("denoise", canvas)
        if _settled(canvas, opinion):
            break
    canvas.reveal_(canvas.masked)
    weak = canvas.confidence < options.remask_below
    weak[0] = False
    if not options.verify and bool(weak.any()):
        check()
        canvas.tokens = canvas.tokens.masked_fill(weak, opinion.mask)
        canvas.masked = weak
        decoder.denoise_(canvas, ALL_AT_ONCE, 0, opinion.kind)
        middle.steps += 1
        yield Progress("remask", canvas)


def _worth_verifying(draft: list[int], confidences: list[float], opinion: Opinion, gauge: DraftGauge) -> list[int]:
    """The start of a draft: up to what ends the middle, and as long as more tokens are gained than they cost."""
    ends = next((index for index, token in enumerate(draft, 1) if opinion.ends(token)), len(draft))
    return draft[: gauge.length(confidences[:ends])]


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
        choice = opinion.choose(rows[index])
        if choice.token != proposed or middle.ended:
            return index
        middle.decide_(choice, opinion)
    return len(draft)


def _take(draft: list[int], confidences: list[float], opinion: Opinion, middle: Middle) -> None:
    """Decides the whole draft, up to the end of the middle."""
    for token, confidence in zip(draft, confidences, strict=True):
        if not middle.ended:
            middle.decide_(Choice(token, confidence), opinion)

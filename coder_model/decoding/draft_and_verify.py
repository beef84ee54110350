"""The loop that fills a middle: draft a block, verify it, go on until the end of the middle.

A draft comes from the text itself (a copied run) or from denoising a block of masks; its first slot is always decided
by the distribution that the pass before has left. With `verify`, a commit pass over the draft accepts the
longest run that decoding one token at a time would have chosen too, and has then already written its keys and values.
Without it, the denoised block is taken as it is.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from coder_kernels.policies import Policy, PolicyOptions, Schedule, top_k
from coder_model.decoding.acceptance import DraftAcceptance
from coder_model.decoding.completion import Completion
from coder_model.decoding.token_selector import Choice, TokenSelector
from coder_model.runtime.canvas import Canvas
from coder_model.runtime.sequence import Check, Sequence

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
class DecodingStep:
    """One step of the loop, for whoever watches."""

    kind: Literal["denoise", "verify", "remask"]
    canvas: Canvas | None
    """The block after a denoise step; None after a verify pass."""


def fill_middle(
    sequence: Sequence,
    p: Tensor,
    selector: TokenSelector,
    options: FillOptions,
    acceptance: DraftAcceptance,
    middle: Completion,
    check: Check,
) -> Iterator[DecodingStep]:
    """Decodes the middle that follows what `sequence` has committed.

    Args:
        sequence: holds the context; afterwards also the accepted tokens.
        p: [V] float32, what follows the context.
        selector: decides each token.
        options: how.
        acceptance: whether a block is denoised where nothing can be copied; only with `verify`.
        middle: filled in; right after every pass, so that a deadline can take it as it is.
        check: called before every pass.

    Yields:
        After every pass.
    """
    p = yield from _heal(sequence, p, selector, middle, check)
    while not middle.ended:
        choice = selector.choose(p)
        middle.decide_(choice, selector)
        if middle.ended:
            return
        draft: list[int] = []
        if options.copies and options.verify:
            draft = selector.proposals(options.block_length - 1)
        denoised = bool(options.policy) and not selector.heal and len(draft) < options.min_copy
        if denoised and options.verify:
            denoised = acceptance.wants_denoising()
        if denoised:
            canvas = Canvas.opening([choice.token], options.denoised_slots, selector.mask, choice.probability)
            yield from _denoise(sequence, canvas, selector, options, middle, check)
            draft = canvas.tokens[1:].tolist()
            if options.verify:
                draft = _worth_verifying(draft, canvas.confidence[1:].tolist(), selector, acceptance)
            else:
                _take(draft, canvas.confidence[1:].tolist(), selector, middle)
                if middle.ended:
                    return
        check()
        start = len(sequence.tokens)
        rows = sequence.commit([choice.token, *draft])
        middle.steps += 1
        accepted = _verify(draft, rows, selector, middle) if options.verify else len(draft)
        sequence.truncate(start + 1 + accepted)
        if denoised and draft:
            acceptance.note(accepted)
        yield DecodingStep("verify", None)
        p = rows[accepted]


def _heal(
    sequence: Sequence, p: Tensor, selector: TokenSelector, middle: Completion, check: Check
) -> Generator[DecodingStep, None, Tensor]:
    """Says the text to heal again up to its last token, where it takes more than one; returns what follows that.

    A token that leaves some of the text is right only if the model goes on with the rest: the likeliest way through
    both is taken, and a token is taken back when another one alone is likelier than that.
    """
    while not middle.ended and selector.leaves_text_to_heal((choice := selector.choose(p)).token):
        check()
        following = sequence.commit([choice.token])[0]
        middle.steps += 1
        share = selector.share_behind(choice.token, following)
        if choice.probability * share < choice.rival_probability and not selector.was_refused(choice.token):
            sequence.truncate(len(sequence.tokens) - 1)
            selector.refuse(choice.token)
        else:
            middle.decide_(choice, selector)
            p = following
        yield DecodingStep("verify", None)
    return p


def _denoise(
    sequence: Sequence, canvas: Canvas, selector: TokenSelector, options: FillOptions, middle: Completion, check: Check
) -> Iterator[DecodingStep]:
    """Reveals the slots of a block, the sure ones first, until none is masked before the end of the middle."""
    schedule = schedules_of(options)[0]
    index = 0
    while index < schedule.total:
        check()
        steps = sequence.denoise_(canvas, schedule, index, selector.kind)
        middle.steps += steps - index
        index = steps
        yield DecodingStep("denoise", canvas)
        if _settled(canvas, selector):
            break
    canvas.reveal_(canvas.masked)
    weak = canvas.confidence < options.remask_below
    weak[0] = False
    if not options.verify and bool(weak.any()):
        check()
        canvas.tokens = canvas.tokens.masked_fill(weak, selector.mask)
        canvas.masked = weak
        sequence.denoise_(canvas, ALL_AT_ONCE, 0, selector.kind)
        middle.steps += 1
        yield DecodingStep("remask", canvas)


def _worth_verifying(
    draft: list[int], confidences: list[float], selector: TokenSelector, acceptance: DraftAcceptance
) -> list[int]:
    """The start of a draft: up to what ends the middle, and as long as more tokens are gained than they cost."""
    ends = next((index for index, token in enumerate(draft, 1) if selector.ends(token)), len(draft))
    return draft[: acceptance.length(confidences[:ends])]


def _settled(canvas: Canvas, selector: TokenSelector) -> bool:
    """True when no slot is masked, or none before the first revealed token that ends the middle."""
    for token, masked in zip(canvas.tokens.tolist(), canvas.masked.tolist(), strict=True):
        if masked:
            return False
        if selector.ends(token):
            return True
    return True


def _verify(draft: list[int], rows: Tensor, selector: TokenSelector, middle: Completion) -> int:
    """Decides along the draft while the selector agrees with it; returns how many of its tokens were right."""
    for index, proposed in enumerate(draft):
        choice = selector.choose(rows[index])
        if choice.token != proposed or middle.ended:
            return index
        middle.decide_(choice, selector)
    return len(draft)


def _take(draft: list[int], confidences: list[float], selector: TokenSelector, middle: Completion) -> None:
    """Decides the whole draft, up to the end of the middle."""
    for token, confidence in zip(draft, confidences, strict=True):
        if not middle.ended:
            middle.decide_(Choice(token, confidence), selector)

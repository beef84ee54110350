"""The loop that fills a middle: draft a block, verify it, go on until the end of the middle.

A draft comes from the text itself (a copied run) or from denoising a block of masks; its first slot is always decided
by the distribution that the pass before has left. With `verify`, a commit pass over the draft accepts the
longest run that decoding one token at a time would have chosen too, and has then already written its keys and values.
Without it, the denoised block is taken as it is.

A loop runs no commit pass itself: it yields it, and goes on when it was run, alone or with those of other loops.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Literal, cast

from torch import Tensor

from coder_kernels.policies import Policy, PolicyOptions, Schedule, top_k
from coder_model.decoding.acceptance import DraftAcceptance
from coder_model.decoding.completion import Completion
from coder_model.decoding.read_ahead import ReadAhead
from coder_model.decoding.token_selector import Choice, TokenSelector
from coder_model.runtime.canvas import Canvas
from coder_model.runtime.passes import Commit
from coder_model.runtime.sequence import Check

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
    """A copied run shorter than this many tokens is no draft; the block is denoised instead. Where passes are measured,
    the one that is worth more is taken."""
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
    drafted: tuple[int, ...] = ()
    """Tokens that a verify pass has read behind those that were decided."""
    kept: int = 0
    """How many of them, from the first on, are decided now."""


Loop = Iterator[DecodingStep | Commit]
"""Yields each commit pass before it is run, and a step after every pass."""


@dataclass(frozen=True, slots=True)
class MiddleLoop:
    """Decodes one middle."""

    ahead: ReadAhead
    """Stands behind the context, or behind the start of the middle."""
    selector: TokenSelector
    """Decides each token."""
    options: FillOptions
    acceptance: DraftAcceptance
    """How much of a draft is verified, and whether a block is denoised where nothing can be copied."""
    middle: Completion
    """Filled in; right after every pass, so that a deadline can take it as it is."""
    check: Check
    """Called before every pass."""

    def run(self, start: tuple[Choice, ...] = ()) -> Loop:
        """Decodes the middle that follows a context.

        Args:
            start: how its first tokens were chosen, if they are decided; all but the last one are committed.
        """
        if self.ahead.has_draft:
            self.middle.steps += 1
            yield DecodingStep("verify", None)
        for choice in start:
            self.middle.decide_(choice, self.selector)
        if start:
            last = None if self.middle.ended else start[-1]
        else:
            yield from self._heal()
            last = self._follow()
        while last:
            draft = draft_from_text(self.selector, self.options, self.acceptance)
            copied = self.selector.chances(len(draft))
            if denoised := self._wants_denoising(copied):
                block, confidences = yield from self._denoised(last)
                if self.middle.ended:
                    return
                if not self.acceptance.prefers(copied, confidences):
                    draft = block
            self.check()
            decided = last.token
            yield from self._read([decided, *draft])
            self.ahead.take(1 if self.options.verify else 1 + len(draft))
            last = self._follow()
            if denoised and self.options.verify:
                self.acceptance.note(self.ahead.taken - 1, len(draft))
            yield DecodingStep("verify", None, (decided, *draft), self.ahead.taken)

    def _wants_denoising(self, copied: list[float]) -> bool:
        if not self.options.policy or self.selector.heal:
            return False
        if len(copied) >= self.options.min_copy and not self.acceptance.costs:
            return False
        return not self.options.verify or self.acceptance.wants_denoising(copied)

    def _heal(self) -> Loop:
        """Says the text to heal again up to its last token, where it takes more than one.

        A token that leaves some of the text is right only if the model goes on with the rest: the likeliest way
        through both is taken, and a token is taken back when another one alone is likelier than that.
        """
        ahead, selector, middle = self.ahead, self.selector, self.middle
        while not middle.ended and selector.leaves_text_to_heal((choice := selector.choose(ahead.following)).token):
            is_read = ahead.behind(choice.token) is not None
            if not is_read:
                self.check()
                draft = draft_from_text(selector, self.options, self.acceptance, behind=choice.token)
                yield from self._read([choice.token, *draft])
            share = selector.share_behind(choice.token, cast(Tensor, ahead.behind(choice.token)))
            if choice.probability * share < choice.rival_probability and not selector.was_refused(choice.token):
                selector.refuse(choice.token)
            else:
                middle.decide_(choice, selector)
                ahead.take()
            if not is_read:
                yield DecodingStep("verify", None)

    def _follow(self) -> Choice | None:
        """Decides tokens as far as passes have read; returns the first that none has read, None at the middle's end."""
        while not self.middle.ended:
            choice = self.selector.choose(self.ahead.following)
            is_read = self.ahead.behind(choice.token) is not None
            self.middle.decide_(choice, self.selector)
            if is_read:
                self.ahead.take()
            elif not self.middle.ended:
                return choice
        return None

    def _read(self, tokens: list[int]) -> Iterator[Commit]:
        """Reads tokens behind those that are decided."""
        began = time.perf_counter()
        yield from self.ahead.read(tokens)
        self.acceptance.took(len(tokens), (time.perf_counter() - began) * 1e3)
        self.middle.steps += 1

    def _denoised(self, first: Choice) -> Generator[DecodingStep, None, tuple[list[int], list[float]]]:
        """Denoises a block behind a choice, and decides it without `verify`.

        Returns:
            What of it is worth verifying, and how sure each token is.
        """
        options, selector = self.options, self.selector
        canvas = Canvas.opening([first.token], options.denoised_slots, selector.mask, first.probability)
        began = time.perf_counter()
        yield from self._denoise(canvas)
        self.acceptance.took_draft((time.perf_counter() - began) * 1e3)
        draft, confidences = canvas.tokens[1:].tolist(), canvas.confidence[1:].tolist()
        if options.verify:
            ends = next((index for index, token in enumerate(draft, 1) if selector.ends(token)), len(draft))
            worth = self.acceptance.length(confidences[:ends])
            return draft[:worth], confidences[:worth]
        for token, confidence in zip(draft, confidences, strict=True):
            if not self.middle.ended:
                self.middle.decide_(Choice(token, confidence), selector)
        return draft, confidences

    def _denoise(self, canvas: Canvas) -> Iterator[DecodingStep]:
        """Reveals the slots of a block, the sure ones first, until none is masked before the end of the middle."""
        options, selector, sequence = self.options, self.selector, self.ahead.sequence
        schedule = schedules_of(options)[0]
        index = 0
        while index < schedule.total:
            self.check()
            steps = sequence.denoise_(canvas, schedule, index, selector.kind)
            self.middle.steps += steps - index
            index = steps
            yield DecodingStep("denoise", canvas)
            if _settled(canvas, selector):
                break
        canvas.reveal_(canvas.masked)
        weak = canvas.confidence < options.remask_below
        weak[0] = False
        if not options.verify and bool(weak.any()):
            self.check()
            canvas.tokens = canvas.tokens.masked_fill(weak, selector.mask)
            canvas.masked = weak
            sequence.denoise_(canvas, ALL_AT_ONCE, 0, selector.kind)
            self.middle.steps += 1
            yield DecodingStep("remask", canvas)


def draft_from_text(
    selector: TokenSelector, options: FillOptions, acceptance: DraftAcceptance, behind: int | None = None
) -> list[int]:
    """Returns what the text proposes to go on with, as far as more tokens are gained than verifying them costs.

    Args:
        selector: proposes.
        options: of the loop.
        acceptance: knows what passes cost.
        behind: a token that is not decided yet; nothing is proposed unless it is the first proposed one.
    """
    if not (options.copies and options.verify):
        return []
    first = 0 if behind is None else 1
    found = selector.proposals(options.block_length - 1 + first)
    if found[:first] != ([] if behind is None else [behind]):
        return []
    chances = selector.chances(len(found))
    return found[first : first + acceptance.length(chances[first:])]


def _settled(canvas: Canvas, selector: TokenSelector) -> bool:
    """True when no slot is masked, or none before the first revealed token that ends the middle."""
    for token, masked in zip(canvas.tokens.tolist(), canvas.masked.tolist(), strict=True):
        if masked:
            return False
        if selector.ends(token):
            return True
    return True

"""One request on its way through the engine: the hole, the prompt, the document's session, the drafts made of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from coder_model.decoding.completion import Completion
from coder_model.decoding.draft_and_verify import DeadlineReached, DecodingStep
from coder_model.decoding.prompt_lookup import PromptLookup
from coder_model.decoding.sampling import Sampling
from coder_model.decoding.strategies import Branch, EngineContext
from coder_model.decoding.token_selector import TokenSelector
from coder_model.engine.options import EngineOptions
from coder_model.engine.output import Output
from coder_model.engine.sessions import Faults, Said, Session
from coder_model.engine.syntax_repair import NEARLY_CHOSEN, SyntaxCheck, branches, parsing_run
from coder_model.prompt.fim_prompt import Prompt
from coder_model.text.fill_region import FillRegion
from coder_model.text.normalize import newlines
from coder_model.types import Cancelled, Draft, FillRequest

LONGER = 32
"""Tokens by which a middle that is tried beside another one may be longer: what mends a wrong one seldom is."""


@dataclass(frozen=True, slots=True)
class FillState:
    """A request, what was made of it, and what it is filled with."""

    request: FillRequest
    region: FillRegion
    """What of the text the model sees, and where the hole ends."""
    prompt: Prompt
    output: Output
    """Makes drafts of a middle."""
    session: Session
    """Nobody else has it meanwhile."""
    context: EngineContext
    options: EngineOptions
    copies_count: bool
    """Whether what the text proposes takes part in choosing a token."""
    least_log_probability: float
    """Of a middle as a whole, in nats; what is less likely is given up."""
    limit: int
    """Most tokens of a middle."""
    cancelled: Callable[[], bool]
    deadline: float
    """As `time.perf_counter` tells it."""

    def check(self) -> None:
        """Called before every pass.

        Raises:
            Cancelled: when nobody wants the work any more.
            DeadlineReached: when what is decided so far is the answer.
        """
        if self.cancelled():
            raise Cancelled
        if time.perf_counter() >= self.deadline:
            raise DeadlineReached

    def drafts(self) -> Generator[Draft, None, None]:
        """Fills the hole; yields a draft after every pass, and a last one with `final` set."""
        middles = [middle := Completion(self.limit, self.least_log_probability)]
        finished = True
        try:
            for step in self._decode(middle, self._recalled([])[0], 0):
                yield self.output.draft(middle, step)
        except DeadlineReached:
            finished = False
        finally:
            # whatever becomes of it: at the next key it is a draft
            self._note(middle)
        syntax = SyntaxCheck.of(self.request)
        unlikely = middle.unlikely
        if unlikely or not finished:
            middle.tokens = parsing_run(middle.tokens, self.output.text, syntax, whole_lines=unlikely)
        elif self.request.count > 1:
            middles = self._ranked(middle, syntax)
        elif self.options.alternatives:
            middles = [self._sound(middle if middle.limited else self._repaired(middle, syntax), syntax)]
        finished = finished and not middles[0].limited
        final = self.output.final(middles, finished=finished, unlikely=unlikely)
        # as the latest, behind those that were tried instead
        self._note(middle)
        yield final

    def _note(self, middle: Completion, faults: Faults | None = None) -> None:
        text = self.request.prefix + self.output.text(middle.tokens)
        self.session.note(Said(text, self.request.suffix, tuple(middle.tokens), faults))

    def _recalled(self, start: list[int]) -> tuple[list[int], Said | None]:
        """The tokens that were decided here before, behind a start of the middle, the text to heal included."""
        said = self.output.text(start)
        found = self.session.recalled(self.request.prefix + said, or_ended=bool(start))
        if found is None:
            return start, None
        text = self.prompt.heal.decode() + newlines(found.text[len(self.request.prefix) :])
        tokens = self.output.tokenizer.encode(text)
        return (tokens, found) if tokens[: len(start)] == start else (start, None)

    def _decode(self, middle: Completion, start: list[int], forced: int) -> Iterator[DecodingStep]:
        """Fills a middle; takes tokens that are proposed, and how many of them are forced."""
        return self.session.strategy.fill(self.prompt, self._selector(start, forced), middle, self.context, self.check)

    def _selector(self, proposed: list[int], forced: int) -> TokenSelector:
        prompt, copies = self.prompt, None
        if self.options.copy and self.session.strategy.proposes:
            # where copies count, what the model said itself would make it say that again
            said = [] if self.copies_count else [list(one.tokens) for one in self.session.said]
            copies = PromptLookup(prompt.document, prompt.after, [*said, *prompt.others], self.copies_count)
        rules = self.region.stop_rules
        sampling = Sampling(self.options.temperature, self.options.seed) if self.options.temperature else None
        return TokenSelector(self.context.vocabulary, prompt.heal, rules, copies, proposed, forced, sampling)

    def _another(self, other: Completion, start: list[int], proposed: list[int]) -> None:
        """Fills another middle that begins with `start`, and of which more may be proposed."""
        try:
            for _ in self._decode(other, proposed, len(start)):
                pass
        finally:
            self._note(other)

    def _faults(self, middle: Completion, syntax: SyntaxCheck) -> Faults:
        text = self.output.text(middle.tokens)
        # what is there already; nothing is an answer too, but not to an empty line
        is_wanted = bool(text.strip()) or syntax.is_empty_line
        shows_nothing = is_wanted and not self.output.shown(middle)[0].strip()
        does_nothing = syntax.leaves_block_empty(text) or syntax.leaves_idle_loop(text)
        return shows_nothing, syntax.errors(text), does_nothing

    def _repaired(self, middle: Completion, syntax: SyntaxCheck) -> Completion:
        """The middle, or if it is wrong the first of the likeliest others that is less so."""
        best, least = middle, self._faults(middle, syntax)
        nearly = 0.0 if least[1] else NEARLY_CHOSEN
        starts = branches(middle.choices[: len(middle.tokens)], self.options.alternatives, nearly)
        with contextlib.suppress(DeadlineReached):
            for start in starts:
                if not any(least):
                    break
                proposed, said = self._recalled(start)
                if said and said.faults and said.suffix == self.request.suffix and said.faults >= least:
                    # it was tried at an earlier key
                    continue
                other = Completion(self._limit_beside(middle), middle.least_log_probability, steps=best.steps)
                # what followed the token that another one stands for may follow that one too
                self._another(other, start, proposed if said else [*start, *middle.tokens[len(start) :]])
                found = self._faults(other, syntax)
                best.steps = other.steps
                says_something = bool(self.output.text(other.tokens).strip())
                if found < least and says_something and not (other.unlikely or other.limited):
                    best, least = other, found
                else:
                    self._note(other, found)
        return best

    def _limit_beside(self, middle: Completion) -> int:
        return min(self.limit, len(middle.tokens) + LONGER)

    def _sound(self, middle: Completion, syntax: SyntaxCheck) -> Completion:
        """The middle, or if it breaks what parses without it, idles or has no end, its first lines that parse."""
        text = self.output.text(middle.tokens)
        if middle.limited or syntax.breaks(text) or syntax.leaves_idle_loop(text):
            middle.tokens = parsing_run(middle.tokens, self.output.text, syntax, whole_lines=True)
        return middle

    def _ranked(self, middle: Completion, syntax: SyntaxCheck) -> list[Completion]:
        """The best of a middle and the likeliest others, of different texts: few errors, no idle loop, then likely.

        Another one is given up as soon as it is less likely than as many as are wanted.
        """
        count, strategy = self.request.count, self.session.strategy
        found = {self.output.said(middle): middle}
        branches = self._branches(middle, 2 * count)
        others = [branch.middle for branch in branches]
        try:
            for _ in strategy.fill_branches(self.prompt, branches, self.context, self.check):
                self._take_ended(others, found)
        except DeadlineReached:
            pass
        finally:
            for other in others:
                self._note(other)
        self._take_ended(others, found)

        def rank(text: str) -> tuple[bool, int, bool, float]:
            return not text, syntax.errors(text), syntax.leaves_idle_loop(text), -found[text].log_probability

        order = sorted(found, key=rank)
        sound = [found[text] for text in order if not (found[text].limited or syntax.breaks(text))]
        return sound[:count] or [self._sound(found[order[0]], syntax)]

    def _branches(self, middle: Completion, count: int) -> list[Branch]:
        """The likeliest other middles, as far as they are given."""
        tokens = middle.tokens
        return [
            Branch(
                (*middle.choices[: len(start) - 1], middle.choices[len(start) - 1].instead),
                self._selector([*start, *tokens[len(start) :]], len(start)),
                Completion(self._limit_beside(middle)),
            )
            for start in branches(middle.choices[: len(tokens)], count)
        ]

    def _take_ended(self, others: list[Completion], found: dict[str, Completion]) -> None:
        """Adds middles that have ended, if they are likely enough, and says to the others what that is."""
        for other in others:
            if other.ended and not other.unlikely:
                found.setdefault(self.output.said(other), other)
        likely = sorted((one.log_probability for text, one in found.items() if text), reverse=True)
        for other in others:
            if not other.ended and len(likely) >= self.request.count:
                other.least_log_probability = likely[self.request.count - 1]

"""The facade: a request in, drafts out. Owns the weights and one KV cache per recent document."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import msgspec
import torch

from coder_model.decoding.acceptance import DraftAcceptance
from coder_model.decoding.draft_and_verify import schedules_of
from coder_model.decoding.strategies import EngineContext, GenerationConfig, strategy_of
from coder_model.engine import judging
from coder_model.engine.fill_options import controls, fill_options
from coder_model.engine.fill_state import FillState
from coder_model.engine.options import EngineOptions
from coder_model.engine.output import Output
from coder_model.engine.runner import runner_for
from coder_model.engine.sessions import Said, Session, Sessions
from coder_model.engine.suggestion_time import SESSION, suggestion_ms, usual_request
from coder_model.model import weights
from coder_model.model.checksum import ON_THE_SAME, network_checksum, same_checksum
from coder_model.model.drafter_files import StoredDrafter
from coder_model.model.embedded import DEFAULT_MODEL
from coder_model.model.transformer import Transformer
from coder_model.prompt import fim_prompt
from coder_model.prompt.tokenizer import CodeTokenizer
from coder_model.prompt.vocabulary import Vocabulary
from coder_model.runtime.pass_costs import pass_costs
from coder_model.runtime.sequence import common_length
from coder_model.text.fill_region import FillRegion
from coder_model.types import Cancelled, Decoding, Draft, FillRequest, InvalidInput

MIN_CONTEXT_TOKENS = 256
"""With less context than this a model is not worth asking."""
LEAST_IN_TIME, LEAST_READ = 96, 64
"""Tokens that are read however long that takes, a few lines; and from how many on the time that they take is that of
reading, not of what is decided behind them: fewer, so that it is measured there too."""
FASTER, SLOWER = 0.6, 1.5
"""Shares of the time of reading that is known, between which another one is the same."""
READING_SHARE = 0.5
"""Share of a request's deadline that may go by with reading: the rest is for the middle."""


def never() -> bool:
    """Returns False: the work stays wanted."""
    return False


class Engine:
    """A loaded model that fills holes. It takes the model over: weights change their place, and some their format."""

    def __init__(
        self,
        model: Transformer,
        tokenizer: CodeTokenizer,
        name: str = "",
        options: EngineOptions | None = None,
        generation: GenerationConfig | None = None,
        drafter: StoredDrafter | None = None,
    ) -> None:
        self.options = options or EngineOptions()
        self.name = name
        self.parameters = weights.parameters(model.config)
        self._tokenizer = tokenizer
        self.can_verify = model.config.can_verify
        """Whether it can verify what another model drafts."""
        self._generation = generation or GenerationConfig(fim_prompt.suffix_first(tokenizer.special_tokens))
        self.judges = model.config.attention == "causal" and self.parameters >= judging.LEAST_PARAMETERS
        """Whether it answers `FillRequest.judged`."""
        self._budget = fim_prompt.Budget.of(model.config.context_tokens)
        self.suggestion_ms = math.nan
        """Milliseconds of a usual suggestion on this machine, see `suggestion_time.py`; known after `warm_up`."""
        self._reading_ms = 0.0
        """Milliseconds of each token of a context, as it was read lately; known after `warm_up`."""
        self._clock = time.perf_counter
        """In seconds."""
        self._known_answer = math.nan
        vocabulary, operations = Vocabulary(tokenizer, self._generation.ends), self._generation.operations
        self._runner = runner_for(model, vocabulary, operations, self.options, drafter)
        self._context = EngineContext(
            self._runner,
            vocabulary,
            fill_options(self.options, model.config, operations, self._runner.drafted_slots),
            DraftAcceptance(self.options.min_accepted),
            self.options.refresh_every,
        )
        most = self.options.sessions if self.options.reuse else 0
        self.controls = controls(model.config, self._runner.drafted_slots)
        """Fields of `Decoding` that change what this model does."""
        self._sessions = Sessions(partial(strategy_of, self._context), most, self.options.cache_mb << 20)

    @classmethod
    def load(cls, directory: Path | None = None, options: EngineOptions | None = None) -> Engine:
        """Loads a model directory; the embedded model when none is named.

        Raises:
            ModelFileError: when a file is missing, broken, or of another model.
        """
        directory = directory or DEFAULT_MODEL
        model, tokenizer = weights.load(directory)
        return cls(model, tokenizer, directory.name, options)

    @property
    def max_concurrent(self) -> int:
        """Fills that may run at the same time, each in a thread of its own; after `warm_up` what the memory allows."""
        return self._runner.most

    def warm_up(self, known_ms: float | None = None) -> None:
        """Runs small passes, so that the first real fill costs no more than later ones; notes time and checksum.

        Args:
            known_ms: what a suggestion takes here; it is measured when None.
        """
        self._known_answer = network_checksum(self._runner.network)
        options = self._context.options
        barred: list[int | None] = []
        if not self.can_verify:
            barred = [None, options.operations[0]] if options.operations else [None]
        self._runner.warm_up(options.block_length, schedules_of(options) if self.can_verify else [], barred)
        slots = self._runner.drafted_slots
        if slots or (self.can_verify and not options.policy and not self._generation.copies_count):
            # not where a model denoises itself: what that is worth is judged by what is accepted
            steps = options.max_steps if slots else 0
            self._context.acceptance.measured(pass_costs(self._runner, slots or options.block_length, steps))
        self.warm(usual_request())
        self.suggestion_ms = suggestion_ms(self.warm, self.fill) if known_ms is None else known_ms
        self._sessions.forget(SESSION)

    def is_intact(self) -> bool:
        """Returns whether the model answers its known text as in `warm_up`: else the weights in memory are damaged."""
        return same_checksum(network_checksum(self._runner.network), self._known_answer, ON_THE_SAME)

    def reduce_memory(self) -> bool:
        """Lets go of all caches and reads half as much context from now on; False when that is too little to work."""
        self._sessions.forget()
        if self._budget.context // 2 < MIN_CONTEXT_TOKENS:
            return False
        self._budget = fim_prompt.Budget.of(self._budget.context // 2)
        return True

    @torch.inference_mode()
    def fill(self, request: FillRequest, cancelled: Callable[[], bool] = never, watch: bool = False) -> Iterator[Draft]:
        """Fills the hole of a request, or judges what stands there.

        Args:
            request: what to fill.
            cancelled: asked before every pass.
            watch: True adds the canvas to the drafts.

        Yields:
            A draft after every pass, and a last one with `final` set.

        Raises:
            Cancelled: within one pass after `cancelled` says so.
            InvalidInput: when the text to judge is too long, the model does not judge, or `decoding` is out of range.
        """
        if request.judged is not None and not self.judges:
            raise InvalidInput(judging.REFUSAL)
        began = time.perf_counter()
        options, context = self._decoding(request.decoding)
        region = FillRegion.of(request)
        prompt = self._prompt_in_time(request, region)
        with self._sessions.lent(request.session, prompt.context) as session:
            if request.judged is not None:
                budget, vocabulary = self._budget.middle, self._context.vocabulary
                yield judging.judged(request.judged, prompt, session.strategy, vocabulary, budget, cancelled)
                return
            if request.decoding:
                session.said = ()
            state = FillState(
                request,
                region,
                prompt,
                Output(
                    self._tokenizer, prompt.heal, region, self.options.filters_off, began, watch, len(prompt.context)
                ),
                session,
                context,
                options,
                self._generation.copies_count,
                self._least_log_probability(request),
                self._budget.middle,
                cancelled,
                began + request.deadline_ms / 1000 if request.deadline_ms else math.inf,
            )
            with contextlib.closing(state.drafts()) as drafts:
                with self._timed(session, prompt):
                    first = next(drafts)
                yield first
                yield from drafts

    def _decoding(self, wanted: Decoding | None) -> tuple[EngineOptions, EngineContext]:
        """The options of one fill, and what its loop goes by."""
        if wanted is None:
            return self.options, self._context
        chosen = asdict(wanted)
        frugal = chosen.pop("frugal")
        options = EngineOptions.of(msgspec.structs.asdict(self.options) | chosen)
        operations, drafted_slots = self._generation.operations, self._runner.drafted_slots
        context = replace(
            self._context,
            options=fill_options(options, self._runner.config, operations, drafted_slots),
            acceptance=self._context.acceptance if frugal else DraftAcceptance(0.0),
        )
        return options, context

    @torch.inference_mode()
    def warm(self, request: FillRequest, cancelled: Callable[[], bool] = never) -> int:
        """Reads the text around the hole of a request into the document's cache, so that its fill need not.

        Args:
            request: what somebody may want filled soon.
            cancelled: asked before every piece of `WARM_TOKENS`.

        Returns:
            Tokens that stand before the hole's middle.

        Raises:
            Cancelled: within one piece after `cancelled` says so; what is read by then stays.
        """

        def check() -> None:
            if cancelled():
                raise Cancelled

        prompt = self.prompt(request, FillRegion.of(request))
        with self._sessions.lent(request.session, prompt.context) as session, self._timed(session, prompt):
            session.strategy.read(prompt, check)
        return len(prompt.context)

    @contextlib.contextmanager
    def _timed(self, session: Session, prompt: fim_prompt.Prompt) -> Iterator[None]:
        """Takes note of how long reading takes now, also where it is stopped."""
        known, began = common_length(session.strategy.held, prompt.context), self._clock()
        try:
            yield
        finally:
            n_read = common_length(session.strategy.held, prompt.context) - known
            took, before = (self._clock() - began) * 1e3 / max(1, n_read), self._reading_ms
            # with each little change the prompts of a place would begin elsewhere, and be read anew at every key
            if n_read >= LEAST_READ and not FASTER * before < took < SLOWER * before:
                self._reading_ms = took

    def prompt(
        self, request: FillRequest, region: FillRegion, budget: fim_prompt.Budget | None = None
    ) -> fim_prompt.Prompt:
        """Returns what the model is given of a request, whose hole ends where its region says."""
        shown = region.request if self._generation.shows_empty_line else request
        return fim_prompt.build(shown, self._tokenizer, budget or self._budget, self._generation.form)

    def _prompt_in_time(self, request: FillRequest, region: FillRegion) -> fim_prompt.Prompt:
        """The prompt; of a text that takes too long to read only what stands nearest, until `warm` has read it all."""
        prompt = self.prompt(request, region)
        most_ms = READING_SHARE * (request.deadline_ms or math.inf)
        if self._sessions.unread(request.session, prompt.context) * self._reading_ms <= most_ms:
            return prompt
        tokens = max(int(most_ms / self._reading_ms), LEAST_IN_TIME)
        return self.prompt(request, region, self._budget.reading(tokens))

    def _least_log_probability(self, request: FillRequest) -> float:
        measured = self._generation.calibration.least_probability(request.least_right)
        least = max(request.least_probability, measured)
        return math.log(least) if least else -math.inf

    def expected(self, request: FillRequest) -> str:
        """Returns what the document's last suggestion would go on with, if its text agrees with that."""
        session = self._sessions.latest(request.session)
        return session.expected(request.prefix) if session else ""

    def expect(self, request: FillRequest, text: str) -> None:
        """Takes a middle that somebody else suggests as the draft of the next fill of this request."""
        with self._sessions.lent(request.session, []) as session:
            session.note(Said(request.prefix + text, request.suffix))

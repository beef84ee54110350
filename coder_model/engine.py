"""The facade: a request in, drafts out. Owns the weights and one KV cache per recent document."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from coder_kernels.processor import fastest
from coder_model import prompt, weights
from coder_model.copying import CopySource
from coder_model.decoder import Check
from coder_model.denoise import DeadlineReached, Progress, schedules_of
from coder_model.drafter_files import StoredDrafter
from coder_model.drafter_network import DrafterNetwork
from coder_model.drafting_decoder import pass_costs
from coder_model.gauge import DraftGauge
from coder_model.known_answer import ON_THE_SAME, known_answer, same_answer
from coder_model.middle import Middle
from coder_model.model import Transformer
from coder_model.network import network_of
from coder_model.opening import Opening
from coder_model.opinion import Opinion
from coder_model.options import PRECISIONS, EngineOptions, fill_options
from coder_model.passes import SLACK, shared_passes
from coder_model.repair import NEARLY_CHOSEN, SyntaxCheck, branches, parsing_run
from coder_model.text import newlines
from coder_model.tokenizer import CodeTokenizer
from coder_model.types import Cancelled, Draft, FillRequest
from coder_model.view import View
from coder_model.vocabulary import Vocabulary
from coder_model.ways import Habits, Kit, Way, way_of

MIN_CONTEXT_TOKENS = 256
"""With less context than this a model is not worth asking."""
DEFAULT_MODEL = Path(__file__).parent / "default"

Decode = Callable[[Middle, list[int], int], Iterator[Progress]]
"""Fills a middle; takes tokens that are proposed, and how many of them are forced."""


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
        habits: Habits | None = None,
        drafter: StoredDrafter | None = None,
    ) -> None:
        self.options = options or EngineOptions()
        self.name = name
        self.parameters = weights.parameters(model.config)
        self._model, self._tokenizer = model, tokenizer
        self.has_opinion = model.config.attention in ("causal", "causal_context")
        """Whether it can verify what another model drafts."""
        self._habits = habits or Habits(prompt.suffix_first(tokenizer.marks))
        self._budget = prompt.Budget.of(model.config.context_tokens)
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._known_answer = math.nan
        self._in_use = threading.Lock()
        precision = PRECISIONS[self.options.precision]()
        # weights that are short already are read with as they are
        reads_short = precision == "bfloat16" and model.embed_tokens.weight.dtype == torch.float32
        vocabulary = Vocabulary(tokenizer, self._habits.ends)
        network = passes = None
        if model.config.attention != "bidirectional":
            network = network_of(model, model.config.context_tokens + SLACK, precision)
        if network and self.has_opinion:
            passes = shared_passes(network, vocabulary, self.options)
        drafts = None
        if network and drafter and not passes and self.options.drafter:
            drafts = DrafterNetwork(drafter.drafter, network, drafter.ids, network.capacity, fastest() == "int8")
        slots = drafter.drafter.config.block_length + 1 if drafter and drafts else 0
        self._kit = Kit(
            model,
            vocabulary,
            fill_options(self.options, model.config, self._habits.operations, slots),
            DraftGauge(self.options.min_accepted),
            torch.bfloat16 if reads_short else torch.float32,
            self.options.refresh_every,
            network,
            passes,
            self.options.look_every,
            drafts,
        )

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
    def at_a_time(self) -> int:
        """Fills that may run at the same time, each in a thread of its own; after `warm_up` what the memory allows."""
        return self._kit.passes.most if self._kit.passes else 1

    def warm_up(self) -> None:
        """Runs one small fill, so that the first real one pays for nothing but itself, and notes the known answer."""
        self._known_answer = known_answer(self._model)
        if self._kit.passes:
            self._kit.passes.warm_up(self._kit.options.block_length, schedules_of(self._kit.options))
        for _ in self.fill(FillRequest("warm-up", "def add(a, b):\n    return ", "\n", path="a.py")):
            pass
        self._sessions.pop("warm-up", None)
        kit = self._kit
        if kit.drafter and kit.network:
            steps, slots = kit.options.max_steps, kit.options.denoised_slots
            kit.gauge.measured(pass_costs(kit.network, kit.vocabulary.forbidden, kit.drafter, slots, steps))

    def is_intact(self) -> bool:
        """Returns whether the model answers its known text as in `warm_up`: else the weights in memory are damaged."""
        return same_answer(known_answer(self._model), self._known_answer, ON_THE_SAME)

    def relieve(self) -> bool:
        """Lets go of all caches and reads half as much context from now on; False when that is too little to work."""
        with self._in_use:
            self._sessions.clear()
        if self._budget.context // 2 < MIN_CONTEXT_TOKENS:
            return False
        self._budget = prompt.Budget.of(self._budget.context // 2)
        return True

    @torch.inference_mode()
    def fill(self, request: FillRequest, cancelled: Callable[[], bool] = never, watch: bool = False) -> Iterator[Draft]:
        """Fills the hole of a request.

        Args:
            request: what to fill.
            cancelled: asked before every pass.
            watch: True adds the canvas to the drafts.

        Yields:
            A draft after every pass, and a last one with `final` set.

        Raises:
            Cancelled: within one pass after `cancelled` says so.
        """
        began = time.perf_counter()
        deadline = began + request.deadline_ms / 1000 if request.deadline_ms else math.inf

        def check() -> None:
            if cancelled():
                raise Cancelled
            if time.perf_counter() >= deadline:
                raise DeadlineReached

        opening = Opening.of(request)
        shown = opening.request if self._habits.shows_empty_line else request
        built = prompt.build(shown, self._tokenizer, self._budget, self._habits.form)
        view = View(self._tokenizer, built.heal, opening, self.options.filters_off, began, watch)
        with self._session(request.session) as session:
            yield from self._filled(request, opening, built, view, session, check)

    def _filled(
        self, request: FillRequest, opening: Opening, built: prompt.Prompt, view: View, session: _Session, check: Check
    ) -> Iterator[Draft]:
        """The drafts of a fill whose document's session nobody else has."""
        may_copy = self.options.copy and session.way.proposes
        expected = session.expected(request.prefix)
        recalled = self._tokenizer.encode(built.heal.decode() + newlines(expected)) if expected else []

        def decode(middle: Middle, start: list[int], forced: int) -> Iterator[Progress]:
            counts = self._habits.copies_count
            copies = CopySource(built.document, built.after, built.others, counts) if may_copy else None
            opinion = Opinion(self._kit.vocabulary, built.heal, opening.bounds, copies, start, forced)
            return session.way.fill(built, opinion, middle, check)

        least = math.log(request.least_probability) if request.least_probability else -math.inf
        middles = [middle := Middle(self._budget.middle, least)]
        finished = True
        try:
            for progress in decode(middle, recalled, 0):
                yield view.draft(middle, progress)
        except DeadlineReached:
            finished = False
        syntax = SyntaxCheck.of(request)
        unlikely = middle.unlikely
        if unlikely or not finished:
            middle.tokens = parsing_run(middle.tokens, view.text, syntax, whole_lines=unlikely)
        elif request.count > 1:
            middles = self._ranked(middle, request.count, syntax, view, decode)
        elif self.options.alternatives:
            middles = [self._repaired(middle, syntax, view, decode)]
        final = view.final(middles, finished=finished, unlikely=unlikely)
        session.suggested = request.prefix + final.text
        yield final

    def _repaired(self, middle: Middle, syntax: SyntaxCheck, view: View, decode: Decode) -> Middle:
        """The middle, or if it is wrong the first of the likeliest others that is less so."""

        def faults(found: Middle) -> tuple[bool, int]:
            """Whether it is nothing new, and how many syntax errors it leaves."""
            text = view.text(found.tokens)
            return bool(text.strip()) and not view.shown(found)[0].strip(), syntax.errors(text)

        best, least = middle, faults(middle)
        nearly = 0.0 if least[1] else NEARLY_CHOSEN
        starts = branches(middle.choices[: len(middle.tokens)], self.options.alternatives, nearly)
        with contextlib.suppress(DeadlineReached):
            for start in starts:
                if least == (False, 0):
                    break
                other = Middle(self._budget.middle, middle.least_log_probability, steps=best.steps)
                # what followed the token that another one stands for may follow that one too
                for _ in decode(other, [*start, *middle.tokens[len(start) :]], len(start)):
                    pass
                found = faults(other)
                best.steps = other.steps
                if found < least and not other.unlikely:
                    best, least = other, found
        return best

    def _ranked(self, middle: Middle, count: int, syntax: SyntaxCheck, view: View, decode: Decode) -> list[Middle]:
        """The best `count` of a middle and the likeliest others, of different texts: few syntax errors, then likely."""
        found = {view.shown(middle)[0]: middle}
        with contextlib.suppress(DeadlineReached):
            for start in branches(middle.choices[: len(middle.tokens)], 2 * count):
                other = Middle(self._budget.middle)
                for _ in decode(other, [*start, *middle.tokens[len(start) :]], len(start)):
                    pass
                found.setdefault(view.shown(other)[0], other)
        order = sorted(found, key=lambda text: (not text, syntax.errors(text), -found[text].log_probability))
        return [found[text] for text in order[:count]]

    def expected(self, request: FillRequest) -> str:
        """Returns what the document's last suggestion would go on with, if its text agrees with that."""
        session = self._sessions.get(request.session)
        return session.expected(request.prefix) if session else ""

    def expect(self, request: FillRequest, text: str) -> None:
        """Takes a middle that somebody else suggests as the draft of the next fill of this request."""
        with self._session(request.session) as session:
            session.suggested = request.prefix + text

    def forget_suggestions(self) -> None:
        """Drops what was suggested so far; the caches stay."""
        for session in self._sessions.values():
            session.suggested = ""

    @contextlib.contextmanager
    def _session(self, name: str) -> Iterator[_Session]:
        """The document's session, as the last request left it; nobody else finds it until it is put back."""
        with self._in_use:
            session = self._sessions.pop(name, None) if self.options.reuse else None
        session = session or _Session(way_of(self._kit))
        try:
            yield session
        finally:
            with self._in_use:
                self._sessions[name] = session
                while len(self._sessions) > self.options.sessions:
                    self._sessions.popitem(last=False)


@dataclass(slots=True)
class _Session:
    """What is kept of a document between its requests."""

    way: Way
    """With the cache of the last request."""
    suggested: str = ""
    """The last request's prefix and its suggestion."""

    def expected(self, prefix: str) -> str:
        """Returns what the last suggestion would go on with after `prefix`, if `prefix` agrees with it."""
        return self.suggested[len(prefix) :] if self.suggested.startswith(prefix) else ""

"""The facade: a request in, drafts out. Owns the weights and one KV cache per recent document."""

from __future__ import annotations

import contextlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from coder_kernels.ops import prefill_dtype
from coder_model import prompt, weights
from coder_model.config import ModelConfig
from coder_model.copying import CopySource
from coder_model.denoise import DeadlineReached, FillOptions, Progress
from coder_model.filters import FILTERS
from coder_model.gauge import DenoiseGauge
from coder_model.known_answer import ON_THE_SAME, known_answer, same_answer
from coder_model.middle import Middle
from coder_model.model import Transformer
from coder_model.opening import Opening
from coder_model.opinion import Opinion, Vocabulary
from coder_model.policies import POLICIES, PolicyOptions, top_k
from coder_model.repair import SyntaxCheck, branches, parsing_run
from coder_model.text import newlines
from coder_model.tokenizer import CodeTokenizer
from coder_model.types import Cancelled, Draft, FillRequest, InvalidInput
from coder_model.view import View
from coder_model.ways import Habits, Kit, Way, way_of

MIN_CONTEXT_TOKENS = 256
"""With less context than this a model is not worth asking."""
DEFAULT_MODEL = Path(__file__).parent / "default"
ONE_TOKEN = "one_token"
VERIFIED_STEPS = 2
"""Denoise steps of a draft that is verified afterwards."""
PRECISIONS: dict[str, Callable[[], torch.dtype]] = {
    "auto": prefill_dtype,
    "float32": lambda: torch.float32,
    "bfloat16": lambda: torch.bfloat16,
}


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How the engine fills.

    Raises:
        InvalidInput: names the option, what was expected and what was found.
    """

    policy: str = "threshold"
    """A name of `policies.POLICIES`, or `one_token`: no drafts, the reference of all speed."""
    threshold: float = 0.9
    factor: float = 1.0
    entropy_bound: float = 0.1
    k: int = 2
    block_length: int = 0
    """Slots per block; 0: the model's own."""
    max_steps: int = 0
    """Denoise steps per block; 0: 2 for a draft that is verified, else as many as there are slots."""
    verify: bool = True
    copy: bool = True
    """Proposals from the text itself."""
    min_copy: int = 2
    """Tokens that a copied run needs to be a draft."""
    min_accepted: float = 3.0
    """Tokens of a denoised draft that verify must accept on average for denoising to go on. On two cores a block of 16
    takes 5 ms to denoise and 5 ms to verify, one token 3 ms."""
    remask_below: float = 0.3
    alternatives: int = 3
    """Middles tried instead of one that leaves syntax errors."""
    filters_off: tuple[str, ...] = ()
    """Names of `filters.FILTERS` that are left out."""
    precision: str = "auto"
    """Of the passes that read a long context: `float32`, `bfloat16`, or `auto`, the faster one on this processor."""
    refresh_every: int = 4
    """For models in which prefix and suffix see the canvas: so many passes share what those wrote; 1: none, exact."""
    reuse: bool = True
    """Keep the KV cache of a document between requests."""
    sessions: int = 8
    """Documents whose cache is kept."""

    def __post_init__(self) -> None:
        if self.policy not in (*POLICIES, ONE_TOKEN):
            raise InvalidInput(f"policy must be one of {', '.join((*POLICIES, ONE_TOKEN))}, got {self.policy!r}")
        if unknown := set(self.filters_off) - FILTERS.keys():
            raise InvalidInput(f"filters_off must be among {', '.join(FILTERS)}, got {', '.join(sorted(unknown))}")
        if self.precision not in PRECISIONS:
            raise InvalidInput(f"precision must be one of {', '.join(PRECISIONS)}, got {self.precision!r}")
        if self.block_length and self.block_length < 2:
            raise InvalidInput(f"block_length must be 0 or at least 2, got {self.block_length}")
        for name, least in (("k", 1), ("max_steps", 0), ("refresh_every", 1), ("sessions", 1)):
            if getattr(self, name) < least:
                raise InvalidInput(f"{name} must be at least {least}, got {getattr(self, name)}")


Decode = Callable[[Middle, list[int], bool], Iterator[Progress]]
"""Fills a middle; takes the tokens to begin with, and whether they are forced or only proposed."""


def never() -> bool:
    """Returns False: the work stays wanted."""
    return False


class Engine:
    """A loaded model that fills holes, one request at a time."""

    def __init__(
        self,
        model: Transformer,
        tokenizer: CodeTokenizer,
        name: str = "",
        options: EngineOptions | None = None,
        habits: Habits | None = None,
    ) -> None:
        self.options = options or EngineOptions()
        self.name = name
        self.parameters = weights.parameters(model.config)
        self._model, self._tokenizer = model, tokenizer
        self._habits = habits or Habits(prompt.suffix_first(tokenizer.marks))
        self._budget = prompt.Budget.of(model.config.context_tokens)
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._known_answer = math.nan
        # weights that are short already are read with as they are
        is_float32 = model.embed_tokens.weight.dtype == torch.float32
        self._kit = Kit(
            model,
            Vocabulary(tokenizer),
            _fill_options(self.options, model.config, self._habits),
            DenoiseGauge(self.options.min_accepted),
            PRECISIONS[self.options.precision]() if is_float32 else torch.float32,
            self.options.refresh_every,
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

    def warm_up(self) -> None:
        """Runs one small fill, so that the first real one pays for nothing but itself, and notes the known answer."""
        self._known_answer = known_answer(self._model)
        for _ in self.fill(FillRequest("warm-up", "def add(a, b):\n    return ", "\n", path="a.py")):
            pass
        self._sessions.pop("warm-up", None)

    def is_intact(self) -> bool:
        """Returns whether the model answers its known text as in `warm_up`: else the weights in memory are damaged."""
        return same_answer(known_answer(self._model), self._known_answer, ON_THE_SAME)

    def relieve(self) -> bool:
        """Lets go of all caches and reads half as much context from now on; False when that is too little to work."""
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
        built = prompt.build(opening.request, self._tokenizer, self._budget, self._habits.form)
        view = View(self._tokenizer, built.heal, opening, self.options.filters_off, began, watch)
        session = self._session(request.session)
        may_copy = self.options.copy and session.way.proposes
        expected = session.expected(request.prefix)
        recalled = self._tokenizer.encode(built.heal.decode() + newlines(expected)) if expected else []

        def decode(middle: Middle, start: list[int], forced: bool) -> Iterator[Progress]:
            counts = self._habits.copies_count
            copies = CopySource(built.document, built.after, built.others, counts) if may_copy else None
            opinion = Opinion(self._kit.vocabulary, built.heal, opening.bounds, copies, start, forced)
            return session.way.fill(built, opinion, middle, check)

        least = math.log(request.least_probability) if request.least_probability else -math.inf
        middles = [middle := Middle(self._budget.middle, least)]
        finished = True
        try:
            for progress in decode(middle, recalled, False):
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
        """The middle, or if it leaves syntax errors the first of the likeliest others that leaves fewest."""
        best, errors = middle, syntax.errors(view.text(middle.tokens))
        starts = branches(middle.choices[: len(middle.tokens)], self.options.alternatives)
        with contextlib.suppress(DeadlineReached):
            for start in starts:
                if not errors:
                    break
                other = Middle(self._budget.middle, middle.least_log_probability, steps=best.steps)
                for _ in decode(other, start, True):
                    pass
                fewer = syntax.errors(view.text(other.tokens))
                best.steps = other.steps
                if fewer < errors:
                    best, errors = other, fewer
        return best

    def _ranked(self, middle: Middle, count: int, syntax: SyntaxCheck, view: View, decode: Decode) -> list[Middle]:
        """The best `count` of a middle and the likeliest others, of different texts: few syntax errors, then likely."""
        found = {view.shown(middle)[0]: middle}
        with contextlib.suppress(DeadlineReached):
            for start in branches(middle.choices[: len(middle.tokens)], 2 * count):
                other = Middle(self._budget.middle)
                for _ in decode(other, start, True):
                    pass
                found.setdefault(view.shown(other)[0], other)
        order = sorted(found, key=lambda text: (not text, syntax.errors(text), -found[text].log_probability))
        return [found[text] for text in order[:count]]

    def forget_suggestions(self) -> None:
        """Drops what was suggested so far; the caches stay."""
        for session in self._sessions.values():
            session.suggested = ""

    def _session(self, name: str) -> _Session:
        """The document's session, as the last request left it."""
        session = self._sessions.pop(name, None) if self.options.reuse else None
        session = session or _Session(way_of(self._kit))
        self._sessions[name] = session
        while len(self._sessions) > self.options.sessions:
            self._sessions.popitem(last=False)
        return session


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


def _fill_options(options: EngineOptions, config: ModelConfig, habits: Habits) -> FillOptions:
    """The options of the loop, as far as the model allows."""
    one_by_one = options.policy == ONE_TOKEN
    has_opinion = config.attention in ("causal", "causal_context")
    if has_opinion:
        policy = None if one_by_one or config.attention == "causal" else POLICIES[options.policy]
    else:
        policy = top_k if one_by_one else POLICIES[options.policy]
    verify = has_opinion and (options.verify or policy is None)
    # blocks that are cut from the start of the sequence have the length of the training
    is_aligned = config.attention == "block_causal"
    block_length = config.block_length if is_aligned else options.block_length or config.block_length
    return FillOptions(
        policy=policy,
        policy_options=PolicyOptions(
            options.threshold, options.factor, options.entropy_bound, 1 if one_by_one else options.k
        ),
        block_length=block_length,
        max_steps=options.max_steps or (VERIFIED_STEPS if verify else block_length if has_opinion else 0),
        verify=verify,
        copies=not one_by_one,
        min_copy=options.min_copy,
        remask_below=options.remask_below,
        operations=habits.operations,
    )

"""Two models on one hole: a diffusion model drafts, an autoregressive one has the last word.

The text is what the verifier would have said alone, token by token; the draft only makes it quicker, as far as the two
agree (speculative decoding, arXiv:2211.17192, with the greedy choice as the rule). They may have different tokenizers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from coder_model.engine.engine import Engine, never
from coder_model.engine.suggestion_time import suggestion_ms
from coder_model.types import Draft, FillRequest

DRAFT_SHARE = 0.6
"""Share of the time until the deadline that the draft may take."""


class SpeculativeEngine:
    """A drafter and its verifier, as one engine."""

    def __init__(self, drafter: Engine, verifier: Engine) -> None:
        self.name = f"{drafter.name}, verified by {verifier.name}"
        self.parameters = drafter.parameters + verifier.parameters
        self.max_concurrent = 1
        self.suggestion_ms = math.nan
        """Milliseconds of a usual suggestion on this machine; known after `warm_up`."""
        self.judges = verifier.judges
        self.controls = drafter.controls
        self._drafter, self._verifier = drafter, verifier

    def warm_up(self, known_ms: float | None = None) -> None:
        """Makes the first real fill as quick as the later ones; see `Engine.warm_up`."""
        self._drafter.warm_up(known_ms)
        self._verifier.warm_up(known_ms)
        self.suggestion_ms = suggestion_ms(self.warm, self.fill) if known_ms is None else known_ms

    def is_intact(self) -> bool:
        """Returns whether both models' weights in memory still give the answer that they gave at first."""
        return self._drafter.is_intact() and self._verifier.is_intact()

    def reduce_memory(self) -> bool:
        """Makes both do with less memory; returns False when one cannot."""
        return self._drafter.reduce_memory() and self._verifier.reduce_memory()

    def warm(self, request: FillRequest, cancelled: Callable[[], bool] = never) -> None:
        """Reads the text around the hole of a request with both models; see `Engine.warm`."""
        self._drafter.warm(request, cancelled)
        self._verifier.warm(request, cancelled)

    def fill(self, request: FillRequest, cancelled: Callable[[], bool] = never, watch: bool = False) -> Iterator[Draft]:
        """Fills the hole of a request; see `Engine.fill`. The steps of both are counted."""
        began = time.perf_counter()
        steps = 0
        if request.judged is None and not self._verifier.expected(request):
            part = request.deadline_ms and DRAFT_SHARE * request.deadline_ms
            for draft in self._drafter.fill(replace(request, deadline_ms=part), cancelled, watch):
                steps = draft.steps
                if draft.final:
                    self._verifier.expect(request, draft.text)
                else:
                    yield draft
        spent_ms = (time.perf_counter() - began) * 1000
        left = request.deadline_ms and max(1.0, request.deadline_ms - spent_ms)
        for draft in self._verifier.fill(replace(request, deadline_ms=left), cancelled, watch):
            yield replace(draft, steps=draft.steps + steps, elapsed_ms=draft.elapsed_ms + spent_ms)

"""A model that finds texts likely or not by what stands in and around them, and says what a test wrote down."""

import math
import re

from coder_model.types import Draft, Slot

LIKELY, UNLIKELY = Slot("", 0.95, False, 0.02), Slot("", 1e-4, False, 0.99)
NATS = math.log(0.95 / 1e-4)
"""By which a likely word is likelier."""


class JudgingModel:
    """`unlikely(word, request)` says which words of a text that is judged are; `said(request)` what fills a hole."""

    def __init__(self, unlikely=lambda word, request: False, said=lambda request: "", confidence=0.9):
        self.requests = []
        self._unlikely, self._said, self._confidence = unlikely, said, confidence

    async def ask(self, request):
        self.requests.append(request)
        if request.judged is None:
            said = self._said(request)
            return said if said is None else Draft(said, True, self._confidence, 1, 1, 1.0)
        slots = [self._slot(word, request) for word in re.findall(r"\s*\w+|\s*[^\w\s]|\s+", request.judged)]
        assert "".join(slot.text for slot in slots) == request.judged
        return Draft(request.judged, True, 0.5, 1, len(slots), 1.0, slots=(*slots, LIKELY))

    @property
    def judged(self):
        return [request.judged for request in self.requests if request.judged is not None]

    def _slot(self, word, request):
        kind = UNLIKELY if self._unlikely(word.strip(), request) else LIKELY
        return Slot(word, kind.confidence, False, kind.rival)

"""What a fill looks like from outside: the loop's state as drafts."""

from __future__ import annotations

import codecs
import math
import time
from collections.abc import Collection
from dataclasses import dataclass, replace

from coder_model.decoding.completion import Completion
from coder_model.decoding.draft_and_verify import DecodingStep
from coder_model.prompt.tokenizer import CodeTokenizer
from coder_model.runtime.canvas import Canvas
from coder_model.text.fill_region import FillRegion
from coder_model.text.layout import without_idle_blanks
from coder_model.types import Draft, Slot


@dataclass(frozen=True, slots=True)
class Output:
    """Turns the loop's state into drafts."""

    tokenizer: CodeTokenizer
    heal: bytes
    region: FillRegion
    filters_off: Collection[str]
    began: float
    watch: bool
    prompt_tokens: int

    def draft(self, middle: Completion, progress: DecodingStep) -> Draft:
        """The state after a step."""
        tokens = list(middle.tokens)
        slots: tuple[Slot, ...] = ()
        given = 0
        if progress.canvas is not None:
            tokens += progress.canvas.leftmost_run()
            given = progress.canvas.given
            slots = self._slots(progress.canvas) if self.watch else ()
        elif self.watch:
            slots = tuple(
                Slot(self.tokenizer.decode([token]), float(place < progress.kept), False)
                for place, token in enumerate(progress.drafted)
            )
        return self._of(
            middle, self.text(tokens), final=False, finished=True, kind=progress.kind, slots=slots, given=given
        )

    def final(self, middles: list[Completion], *, finished: bool, unlikely: bool) -> Draft:
        """The answer: the first of the middles, with the others beside it."""
        drafts = []
        for middle in middles:
            text, changed = self.shown(middle)
            drafts.append(self._of(middle, text, final=True, finished=finished, kind="final", filtered=changed))
        return replace(drafts[0], others=tuple(drafts[1:]), unlikely=unlikely)

    def shown(self, middle: Completion) -> tuple[str, tuple[str, ...]]:
        """The text of a finished middle, and the filters that changed it."""
        return self.region.filter(self.text(middle.tokens), self.filters_off)

    def said(self, middle: Completion) -> str:
        """What is shown of a finished middle, but for idle blanks: those that are equal are one suggestion."""
        return without_idle_blanks(self.shown(middle)[0], self.region.around)

    def text(self, tokens: list[int]) -> str:
        """The new text behind tokens: what the heal brought back is not new, nor what is beyond the hole."""
        data = b"".join(self.tokenizer.token_bytes[token] for token in tokens)
        text = data[len(self.heal) :].decode("utf-8", "ignore") if data.startswith(self.heal) else ""
        return self.region.trim(text)

    def _of(self, middle: Completion, text: str, **rest: object) -> Draft:
        n = len(middle.tokens)
        return Draft(
            text=text,
            confidence=math.exp(middle.log_probability / n) if n else 1.0,
            steps=middle.steps,
            tokens=n,
            elapsed_ms=(time.perf_counter() - self.began) * 1000,
            decided=self._decided(middle) if self.watch else (),
            prompt_tokens=self.prompt_tokens,
            **rest,  # type: ignore[arg-type]
        )

    def _decided(self, middle: Completion) -> tuple[Slot, ...]:
        """The tokens of a middle, without what the heal brought back and what is beyond the hole but blank."""
        decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        old = len(self.heal)
        texts = []
        for token in middle.tokens:
            data = self.tokenizer.token_bytes[token]
            texts.append(decoder.decode(data[old:]))
            old = max(0, old - len(data))
        whole, shown = "".join(texts), len(self.text(middle.tokens))
        left = shown + len(whole[shown:]) - len(whole[shown:].lstrip())
        slots = []
        for text, choice in zip(texts, middle.choices, strict=False):
            slots.append(Slot(text[:left], choice.probability, False))
            left -= min(left, len(text))
        return tuple(slots)

    def _slots(self, canvas: Canvas) -> tuple[Slot, ...]:
        rows = zip(canvas.tokens.tolist(), canvas.confidence.tolist(), canvas.masked.tolist(), strict=True)
        return tuple(Slot("" if m else self.tokenizer.decode([t]), c, m) for t, c, m in rows)

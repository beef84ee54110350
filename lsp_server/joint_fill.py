"""All holes of a text filled so that they agree: the surest first, the others asked for again behind what it says.

A diffusion model would denoise the blocks of all holes together; a model that fills one hole at a time comes near to it
by the order. After a first draft of each hole the likeliest is taken. Then the next likeliest is drafted again, now
that the text says more, and is taken if no other one is likelier by its last draft, else it goes back. That is lazy:
a hole far from its turn is not asked for again, and none more than `MOST_DRAFTS` times. At last the half that was taken
first is drafted once more, as a diffusion model masks again: it has seen the least, and what is surest among stubs is
often trivial.

Knows neither the editor nor documents: the language server and the command line call it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from coder_model.text.fill_mode import WINDOW_AFTER, WINDOW_BEFORE
from coder_model.text.holes import MARK, Hole, says_nothing
from coder_model.text.syntax import errors_in
from coder_model.types import Draft, FillRequest
from lsp_server.place import PREFIX_CHARS, SUFFIX_CHARS, line_end_of

MOST_DRAFTS = 3
"""Of one hole before it is taken."""

Ask = Callable[[FillRequest], Awaitable[Draft | None]]
"""Gets the final draft of a request; None where the model has failed to make one."""


@dataclass(frozen=True, slots=True)
class FilledHole:
    """A hole and its new text."""

    hole: Hole
    text: str
    probability: float
    """Of a line of the text, by the model: the geometric mean of its lines, so that short texts are not the surest."""


@dataclass(slots=True)
class _Candidate:
    hole: Hole
    text: str = ""
    """Empty where the last draft is not to be used."""
    probability: float = 0.0
    drafts: int = 0
    seen: int = -1
    """Holes that were filled when it was drafted."""


async def fill_jointly(
    text: str, holes: tuple[Hole, ...], common: FillRequest, ask: Ask, told: Callable[[int], None]
) -> list[FilledHole]:
    """Returns what the holes of a text are filled with, in order; those that the model is not sure of are left out.

    Args:
        text: without lone surrogates.
        holes: disjoint and in order.
        common: what is asked at each hole, but for the text around it; `least_probability` is that of a line.
        ask: gets an answer.
        told: gets the number of holes that are decided, after each draft.
    """
    waiting, filled = [_Candidate(hole) for hole in holes], list[FilledHole]()
    for candidate in waiting:
        await _draft(text, holes, candidate, filled, common, ask)
        told(0)
    while waiting:
        best = max(waiting, key=lambda one: one.probability)
        if best.seen < len(filled) and best.drafts < MOST_DRAFTS:
            await _draft(text, holes, best, filled, common, ask)
        else:
            waiting.remove(best)
            if best.text:
                filled.append(FilledHole(best.hole, best.text, best.probability))
        told(len(holes) - len(waiting))
    for early in filled[: len(filled) // 2]:
        others = [one for one in filled if one.hole != early.hole]
        again = _Candidate(early.hole)
        await _draft(text, holes, again, others, common, ask)
        if again.text:
            filled = [*others, FilledHole(again.hole, again.text, again.probability)]
        told(len(holes))
    return sorted(filled, key=lambda one: one.hole.start)


def with_fills(text: str, filled: list[FilledHole], start: int = 0, end: int | None = None) -> str:
    """Returns a text, or what is between two code points of it, with its holes filled; everything else stays."""
    end = len(text) if end is None else end
    pieces, at = [], start
    for one in sorted(filled, key=lambda one: one.hole.start):
        if start <= one.hole.start and one.hole.end <= end:
            pieces += [text[at : one.hole.start], one.text]
            at = one.hole.end
    return "".join([*pieces, text[at:end]])


async def _draft(
    text: str, holes: tuple[Hole, ...], candidate: _Candidate, filled: list[FilledHole], common: FillRequest, ask: Ask
) -> None:
    """Asks for a hole in the text as it is so far."""
    hole = candidate.hole
    shown = [*filled, *_hidden(text, holes, filled)]
    prefix = with_fills(text, shown, 0, hole.start) + hole.lead
    suffix = with_fills(text, shown, hole.end)
    # a block is not given up because it is long
    least = common.least_probability if hole.mode == "line" else 0.0
    prefix, suffix = prefix[-PREFIX_CHARS:], suffix[:SUFFIX_CHARS]
    draft = await ask(replace(common, prefix=prefix, suffix=suffix, hole=hole.mode, least_probability=least))
    candidate.drafts, candidate.seen = candidate.drafts + 1, len(filled)
    candidate.text, candidate.probability = "", 0.0
    if draft is None or draft.unlikely or not draft.finished or says_nothing(draft.text):
        return
    said = draft.text.replace("\n", line_end_of(text))
    probability = draft.probability ** (1 / len(draft.text.strip().splitlines()))
    if probability >= common.least_probability and _fits(text, hole, said, filled, common.language):
        candidate.text, candidate.probability = said, probability


def _hidden(text: str, holes: tuple[Hole, ...], filled: list[FilledHole]) -> list[FilledHole]:
    """Holes as the model is shown them while another one is filled: where it reads a stub it likes to say one too."""
    open_ones = [hole for hole in holes if all(one.hole != hole for one in filled)]
    return [FilledHole(hole, "", 0.0) for hole in open_ones if hole.mode == "block" or _is_mark(text, hole)]


def _fits(text: str, hole: Hole, said: str, filled: list[FilledHole], language: str) -> bool:
    """True when a text is no worse syntax than the stub in its place."""
    around = with_fills(text, filled, 0, hole.start)[-WINDOW_BEFORE:], with_fills(text, filled, hole.end)[:WINDOW_AFTER]
    stub = "x" if _is_mark(text, hole) else text[hole.start : hole.end]
    return errors_in(said.join(around), language) <= errors_in(stub.join(around), language)


def _is_mark(text: str, hole: Hole) -> bool:
    return text[hole.start : hole.end] == MARK

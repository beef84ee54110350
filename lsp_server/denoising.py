"""A pass of a fill as people watch it: the text with its masks, and how sure the model is of each character.

The page of `unmask play`, `unmask fill --watch` and the editors show the same drafts. Knows neither of them.
"""

from __future__ import annotations

from typing import Any

from coder_model.types import Draft, Slot

MASK_SIGN = "░"
"""Stands for a slot that is masked."""


def facts_of(draft: Draft) -> dict[str, Any]:
    """Returns what is said of a pass beside its text: how far the fill is, and how long that took."""
    return {
        "kind": draft.kind,
        "final": draft.final,
        "finished": draft.finished,
        "steps": draft.steps,
        "tokens": draft.tokens,
        "ms": round(draft.elapsed_ms, 2),
    }


def shown_slots(draft: Draft) -> tuple[Slot, ...]:
    """Returns the hole as it is after a pass: what is decided, then what is drafted or masked; at last the answer.

    What a pass has refused is not there any more. Of a server elsewhere, which tells of no slots, it is the text.
    """
    if draft.text and not (draft.decided or draft.slots):
        return (Slot(draft.text, draft.confidence, False),)
    if draft.final:
        return _answer(draft)
    return draft.decided if draft.kind == "verify" else (*draft.decided, *draft.slots[draft.given :])


def masked_text(draft: Draft) -> tuple[str, list[float]]:
    """Returns the hole as it is after a pass, and how sure the model is of it.

    Returns:
        The text, in which `MASK_SIGN` is a masked slot, and for each of its code points a probability in [0, 1]: of the
        token that it belongs to, or of the likeliest one where the slot is masked.
    """
    pieces = [(MASK_SIGN if slot.masked else slot.text, round(slot.confidence, 4)) for slot in shown_slots(draft)]
    return "".join(text for text, _ in pieces), [sure for text, sure in pieces for _ in text]


def _answer(draft: Draft) -> tuple[Slot, ...]:
    """The decided tokens as far as they say the answer, and in one piece what filters or a repair made of the rest."""
    shown, left = [], draft.text
    for slot in draft.decided:
        # blanks at the end are no part of the answer
        part = slot.text if left.startswith(slot.text) else slot.text.rstrip()
        if not left.startswith(part):
            break
        shown.append(Slot(part, slot.confidence, False))
        left = left[len(part) :]
    return (*shown, Slot(left, draft.confidence, False)) if left else tuple(shown)

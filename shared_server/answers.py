"""What clients are answered, in the words of each protocol: whole, or as events of a stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from coder_model.types import Draft
from lsp_server.backends.served_apis import (
    Json,
    before_stops,
    completion_object,
    infill_answer,
    text_choice,
    usage,
)
from shared_server.gateway import Answered
from shared_server.shapes import InfillBody, Wanted, read_edit, read_fim, read_infill

_CHAT = "chat.completion"


@dataclass(frozen=True, slots=True)
class Dialect:
    """A protocol."""

    read: Callable[[bytes], Wanted]
    whole: Callable[[str, str, Wanted, Answered], Json]
    """(id, engine, what was wanted, answer) -> the JSON."""
    draft: Callable[[str, str, Wanted, Draft], Json] | None
    """The same of a draft before the last, as an event; None where none is sent."""
    last: Callable[[str, str, Wanted, Answered], Json]
    """The same of the last event of a stream."""
    ends_with_done: bool = True


def texts_of(wanted: Wanted, answer: Answered) -> list[str]:
    """Returns the answer and those beside it, each up to the first of the strings that it is to end at."""
    drafts = (answer.draft, *answer.draft.others)
    return [before_stops(draft.text, wanted.body.stops) for draft in drafts[: wanted.count]]


def _finish(answer: Answered) -> str:
    return "length" if answer.is_cut else "stop"


def _fim_whole(request: str, engine: str, wanted: Wanted, answer: Answered) -> Json:
    finish = _finish(answer)
    choices = [text_choice(text, finish, i) for i, text in enumerate(texts_of(wanted, answer))]
    return completion_object(request, engine, choices) | {"usage": usage(answer.draft)}


def _fim_draft(request: str, engine: str, wanted: Wanted, draft: Draft) -> Json:
    text = before_stops(draft.text, wanted.body.stops)
    return completion_object(request, engine, [text_choice(text, None)])


def _rewritten(wanted: Wanted, middle: str) -> str:
    """The lines with what fills the hole; `None`, in the protocol's words, where they stay as they are."""
    assert wanted.edited
    if not middle:
        return "None"
    return f"```\n{wanted.edited.before}{middle}{wanted.edited.after}\n```"


def _edit_whole(request: str, engine: str, wanted: Wanted, answer: Answered) -> Json:
    content = _rewritten(wanted, texts_of(wanted, answer)[0])
    message = {"role": "assistant", "content": content}
    choices = [{"index": 0, "message": message, "finish_reason": _finish(answer)}]
    return completion_object(request, engine, choices, _CHAT) | {"usage": usage(answer.draft)}


def _edit_draft(request: str, engine: str, wanted: Wanted, draft: Draft) -> Json:
    delta = {"content": _rewritten(wanted, before_stops(draft.text, wanted.body.stops))}
    choices = [{"index": 0, "delta": delta, "finish_reason": None}]
    return completion_object(request, engine, choices, f"{_CHAT}.chunk")


def _edit_last(request: str, engine: str, wanted: Wanted, answer: Answered) -> Json:
    delta = {"role": "assistant", "content": _rewritten(wanted, texts_of(wanted, answer)[0])}
    choices = [{"index": 0, "delta": delta, "finish_reason": _finish(answer)}]
    return completion_object(request, engine, choices, f"{_CHAT}.chunk") | {"usage": usage(answer.draft)}


def _infill_whole(request: str, engine: str, wanted: Wanted, answer: Answered) -> Json:  # noqa: ARG001
    body = wanted.body
    assert isinstance(body, InfillBody)
    text = texts_of(wanted, answer)[0]
    return infill_answer(engine, text, answer.draft, answer.is_cut, body.response_fields)


COMPLETION = Dialect(read_fim, _fim_whole, _fim_draft, _fim_whole)
EDIT = Dialect(read_edit, _edit_whole, _edit_draft, _edit_last)
# its events add up, and a draft may change: the only one is the last
INFILL = Dialect(read_infill, _infill_whole, None, _infill_whole, ends_with_done=False)

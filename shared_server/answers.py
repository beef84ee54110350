"""What clients are answered, in the words of each protocol: whole, or as events of a stream."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from coder_model.types import Draft
from shared_server.gateway import Answered
from shared_server.problems import Problem
from shared_server.shapes import InfillBody, Wanted, read_edit, read_fim, read_infill

Object = dict[str, Any]
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Dialect:
    """A protocol."""

    read: Callable[[bytes], Wanted]
    whole: Callable[[str, str, Wanted, Answered], Object]
    """(id, engine, what was wanted, answer) -> the JSON."""
    draft: Callable[[str, str, Wanted, Draft], Object] | None
    """The same of a draft before the last, as an event; None where none is sent."""
    last: Callable[[str, str, Wanted, Answered], Object]
    """The same of the last event of a stream."""
    ends_with_done: bool = True


def texts_of(wanted: Wanted, answer: Answered) -> list[str]:
    """Returns the answer and those beside it, each up to the first of the strings that it is to end at."""
    drafts = (answer.draft, *answer.draft.others)
    return [_stopped(draft.text, wanted.body.stops) for draft in drafts[: wanted.count]]


def event(data: Object) -> bytes:
    """Returns one event of a stream."""
    return b"data: " + msgspec.json.encode(data) + b"\n\n"


def error_object(problem: Problem) -> Object:
    """Returns a problem as OpenAI's clients know it."""
    kind = "invalid_request_error" if problem.status < 500 else "server_error"
    return {"error": {"message": problem.reason, "type": kind, "code": problem.status}}


def _stopped(text: str, stops: tuple[str, ...]) -> str:
    ends = [place for stop in stops if (place := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text


def _finish(answer: Answered) -> str:
    return "length" if answer.is_cut else "stop"


def _usage(answer: Answered) -> Object:
    # a gateway knows no tokenizer: the prompt's tokens are not told
    return {"completion_tokens": answer.draft.tokens}


def _completion(request: str, engine: str, choices: list[Object]) -> Object:
    about = {"id": request, "object": "text_completion", "created": int(time.time()), "model": engine}
    return about | {"choices": choices}


def _fim_whole(request: str, engine: str, wanted: Wanted, answer: Answered) -> Object:
    finish = _finish(answer)
    choices = [{"index": i, "text": text, "finish_reason": finish} for i, text in enumerate(texts_of(wanted, answer))]
    return _completion(request, engine, choices) | {"usage": _usage(answer)}


def _fim_draft(request: str, engine: str, wanted: Wanted, draft: Draft) -> Object:
    text = _stopped(draft.text, wanted.body.stops)
    return _completion(request, engine, [{"index": 0, "text": text, "finish_reason": None}])


def _chat(request: str, engine: str, choices: list[Object], kind: str = "chat.completion") -> Object:
    return _completion(request, engine, choices) | {"object": kind}


def _rewritten(wanted: Wanted, middle: str) -> str:
    """The lines with what fills the hole; `None`, in the protocol's words, where they stay as they are."""
    assert wanted.edited
    if not middle:
        return "None"
    return f"```\n{wanted.edited.before}{middle}{wanted.edited.after}\n```"


def _edit_whole(request: str, engine: str, wanted: Wanted, answer: Answered) -> Object:
    content = _rewritten(wanted, texts_of(wanted, answer)[0])
    message = {"role": "assistant", "content": content}
    choices = [{"index": 0, "message": message, "finish_reason": _finish(answer)}]
    return _chat(request, engine, choices) | {"usage": _usage(answer)}


def _edit_draft(request: str, engine: str, wanted: Wanted, draft: Draft) -> Object:
    delta = {"content": _rewritten(wanted, _stopped(draft.text, wanted.body.stops))}
    return _chat(request, engine, [{"index": 0, "delta": delta, "finish_reason": None}], "chat.completion.chunk")


def _edit_last(request: str, engine: str, wanted: Wanted, answer: Answered) -> Object:
    delta = {"role": "assistant", "content": _rewritten(wanted, texts_of(wanted, answer)[0])}
    choices = [{"index": 0, "delta": delta, "finish_reason": _finish(answer)}]
    return _chat(request, engine, choices, "chat.completion.chunk") | {"usage": _usage(answer)}


def _infill_whole(request: str, engine: str, wanted: Wanted, answer: Answered) -> Object:  # noqa: ARG001
    draft, body = answer.draft, wanted.body
    assert isinstance(body, InfillBody)
    rate = draft.tokens / draft.elapsed_ms * 1000 if draft.elapsed_ms else 0.0
    timings = {"predicted_n": draft.tokens, "predicted_ms": draft.elapsed_ms, "predicted_per_second": rate}
    said = {
        "content": texts_of(wanted, answer)[0],
        "stop": True,
        "stop_type": "limit" if answer.is_cut else "eos",
        "model": engine,
        "tokens_predicted": draft.tokens,
        "truncated": False,
        "timings": timings,
    }
    flat = said | {f"timings/{name}": value for name, value in timings.items()}
    return {name: flat[name] for name in body.response_fields if name in flat} if body.response_fields else said


COMPLETION = Dialect(read_fim, _fim_whole, _fim_draft, _fim_whole)
EDIT = Dialect(read_edit, _edit_whole, _edit_draft, _edit_last)
# its events add up, and a draft may change: the only one is the last
INFILL = Dialect(read_infill, _infill_whole, None, _infill_whole, ends_with_done=False)

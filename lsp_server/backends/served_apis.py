"""What `unmask http` and `unmask serve` have in common of the protocols that they answer; no network.

`remote_apis.py` is the other side of the same. Which fields there are, and what becomes of unknown ones, each says
itself: an editor of this machine may send anything, a client of a team gets a reason.

Sources: OpenAI's API reference for `/v1/completions`, llama.cpp's `tools/server/README.md` for `/infill`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from coder_model.text.normalize import newlines
from coder_model.text.pieces import piece_of
from coder_model.types import Draft, InvalidInput, Snippet

Json = dict[str, Any]
B = TypeVar("B")
PREFIX_CHARS, SUFFIX_CHARS = 64_000, 16_000
"""Code points of a file that are looked at on either side of the cursor, as in an editor: more only takes time."""
MOST_PIECES, MOST_PIECES_CHARS, MOST_NAMES_CHARS = 16, 1 << 16, 1 << 11
"""Pieces of other files that are taken of those sent, their code points together, and those of their names, which it
takes long to look at; the last ones are the newest."""
DONE = b"data: [DONE]\n\n"


def decoded(body: bytes, kind: type[B]) -> B:
    """Returns a body as what a path takes.

    Raises:
        InvalidInput: names the field and what it must be; quotes no text.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidInput(f"the body must be what this path takes: {error}") from None


def shown_pieces(sent: Sequence[tuple[str, str]], may: Callable[[str], bool]) -> tuple[Snippet, ...]:
    """Returns the pieces of other files that a model may see, without secrets, in the order in which they were sent.

    Args:
        sent: names of files, and texts of them.
        may: whether a file of that name may be shown.
    """
    shown: list[Snippet] = []
    left, of_names = MOST_PIECES_CHARS, MOST_NAMES_CHARS
    for name, text in reversed(sent[-MOST_PIECES:]):
        of_names -= len(name)
        # a piece is taken whole or not at all: the part of a key is no key that could be found
        if of_names >= 0 and len(text) <= left and may(name):
            left -= len(text)
            shown.append(piece_of(name, newlines(text)))
    return tuple(reversed(shown))


def stops_of(stop: str | Iterable[str] | None) -> tuple[str, ...]:
    """Returns the strings that an answer is to end before."""
    return (stop,) if isinstance(stop, str) else tuple(stop or ())


def before_stops(text: str, stops: Iterable[str]) -> str:
    """Returns a text up to the first of the strings that it is to end before."""
    ends = [place for stop in stops if stop and (place := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text


def event(data: Json) -> bytes:
    """Returns one event of a stream."""
    return b"data: " + msgspec.json.encode(data) + b"\n\n"


def error_object(status: int, reason: str) -> Json:
    """Returns what went wrong, as OpenAI's clients know it."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": reason, "type": kind, "code": status}}


def model_list(names: Iterable[str]) -> Json:
    """Returns the answer of `/v1/models`; when a model was made nobody knows, and strict clients want a time."""
    about = {"object": "model", "created": int(time.time()), "owned_by": "unmask"}
    return {"object": "list", "data": [{"id": name, **about} for name in names]}


def completion_object(request: str, model: str, choices: Sequence[Json], kind: str = "text_completion") -> Json:
    """Returns an answer in OpenAI's words, or one of its events, without what was used."""
    return {"id": request, "object": kind, "created": int(time.time()), "model": model, "choices": choices}


def text_choice(text: str, finish: str | None, index: int = 0) -> Json:
    """Returns one middle of an answer of `/v1/completions`; `finish` says why it ends, None where it goes on."""
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish}


def usage(draft: Draft) -> Json:
    """Returns what an answer took, with those beside it."""
    said = draft.tokens + sum(other.tokens for other in draft.others)
    return {
        "prompt_tokens": draft.prompt_tokens,
        "completion_tokens": said,
        "total_tokens": draft.prompt_tokens + said,
    }


def infill_answer(model: str, text: str, draft: Draft, is_cut: bool, fields: Sequence[str]) -> Json:
    """Returns the answer of `/infill`, or its one event.

    Args:
        model: that answered.
        text: the middle.
        draft: it came from.
        is_cut: whether it would have gone on.
        fields: paths of what is wanted, such as `timings/predicted_ms`; all of it when empty.
    """
    ms, n = max(draft.elapsed_ms, 0.001), draft.tokens
    timings = {"prompt_n": 0, "prompt_ms": 0.0, "prompt_per_token_ms": 0.0, "prompt_per_second": 0.0}
    timings |= {"predicted_n": n, "predicted_ms": ms}
    timings |= {"predicted_per_token_ms": ms / max(n, 1), "predicted_per_second": 1000 * n / ms}
    answer = {"content": text, "stop": True, "stop_type": "limit" if is_cut else "eos", "model": model}
    answer |= {"tokens_predicted": n, "tokens_cached": 0, "truncated": False, "timings": timings}
    flat = answer | {f"timings/{name}": value for name, value in timings.items()}
    return {name: flat[name] for name in fields if name in flat} if fields else answer

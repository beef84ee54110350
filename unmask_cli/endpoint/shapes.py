"""What editors send and what they are answered, in OpenAI's words for `/v1/completions` and llama.cpp's for `/infill`.

Fields that say how another engine samples or caches are passed over, as are unknown ones: editors send all sorts.
`lsp_server/backends/remote_apis.py` is the other side of the same.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from coder_model.ranges import NotNegative
from coder_model.text.fill_mode import hole_at
from coder_model.text.normalize import newlines
from coder_model.text.privacy import Privacy
from coder_model.text.redaction import redacted
from coder_model.text.syntax import language_of
from coder_model.types import Draft, FillRequest, InvalidInput, Snippet
from lsp_server.place import PREFIX_CHARS, SUFFIX_CHARS
from lsp_server.settings import Settings
from lsp_server.trigger_policy import PresetName, least_right
from unmask_cli.endpoint.prompts import AskedText, read_prompt

MOST_FILES = 16
"""Pieces of other files that are taken of those sent; the last ones are the newest."""
Json = dict[str, Any]


class CompletionCall(msgspec.Struct, frozen=True):
    """A body of `/v1/completions`."""

    prompt: str
    """What stands before the cursor; or all of it between marks, where there is no suffix."""
    suffix: str | None = None
    stop: str | list[str] | None = None
    stream: bool = False
    path: str = ""
    """Ours: of the file."""


class ExtraText(msgspec.Struct, frozen=True):
    """A piece of another file."""

    text: str
    filename: str = ""


class InfillCall(msgspec.Struct, frozen=True):
    """A body of `/infill`."""

    input_prefix: str = ""
    input_suffix: str = ""
    input_extra: list[ExtraText] = []
    prompt: str = ""
    """Follows the prefix."""
    stop: str | list[str] | None = None
    stream: bool = False
    n_predict: int = -1
    """0 from who only wants pieces read ahead."""
    t_max_predict_ms: NotNegative = 0
    """0: until the deadline of an editor's request."""
    response_fields: list[str] = []
    """Paths of what is wanted of the answer, such as `timings/predicted_ms`; all of it when empty."""
    path: str = ""
    """Ours: of the file."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a body asks for."""

    text: AskedText
    stops: tuple[str, ...] = ()
    streams: bool = False
    most_ms: float | None = None
    fields: tuple[str, ...] = ()
    wants_text: bool = True

    def request(self, session: str, preset: PresetName) -> FillRequest | None:
        """Returns what to ask the model; None where nothing should be offered.

        Args:
            session: names the client.
            preset: says how sure the model must be.

        Raises:
            InvalidInput: when the path is that of a file that no model may see, or a text is no valid Unicode.
        """
        privacy, text = Privacy([]), self.text
        if objection := privacy.objection("complete", text.path) if text.path else "":
            raise InvalidInput(f"path must be that of a file that a model may see: {objection}")
        prefix, suffix = newlines(text.prefix)[-PREFIX_CHARS:], newlines(text.suffix)[:SUFFIX_CHARS]
        language = language_of(text.path)
        hole = hole_at(prefix, suffix, language, "single" if "\n" in self.stops else "auto")
        least = least_right(preset, suffix.partition("\n")[0], 0)
        if hole is None or least is None or not self.wants_text:
            return None
        shown = [one for one in text.others[-MOST_FILES:] if privacy.may("show", one[0])]
        return FillRequest(
            session=session,
            prefix=prefix,
            suffix=suffix,
            path=text.path,
            language=language,
            hole=hole,
            snippets=tuple(Snippet(path, redacted(newlines(piece), path=path)) for path, piece in shown),
            least_right=least,
            deadline_ms=self.most_ms or Settings().deadline_ms,
        )

    def stopped(self, text: str) -> str:
        """Returns a text up to the first of the strings that it is to end before."""
        ends = [place for stop in self.stops if stop and (place := text.find(stop)) >= 0]
        return text[: min(ends)] if ends else text


def read_completion(body: bytes) -> Asked:
    """Reads a body of `/v1/completions`.

    Raises:
        InvalidInput: names the field and what it must be; quotes no text.
    """
    call = _read(body, CompletionCall)
    text = read_prompt(call.prompt) if call.suffix is None else AskedText(call.prompt, call.suffix)
    return Asked(replace(text, path=call.path or text.path), _stops(call.stop), call.stream)


def read_infill(body: bytes) -> Asked:
    """Reads a body of `/infill`.

    Raises:
        InvalidInput: names the field and what it must be; quotes no text.
    """
    call = _read(body, InfillCall)
    others = tuple((one.filename, one.text) for one in call.input_extra)
    text = AskedText(call.input_prefix + call.prompt, call.input_suffix, call.path, others)
    fields = tuple(call.response_fields)
    most_ms = call.t_max_predict_ms or None
    return Asked(text, _stops(call.stop), call.stream, most_ms, fields, wants_text=call.n_predict != 0)


def completion_answer(number: str, model: str, text: str, draft: Draft) -> Json:
    """Returns the answer of `/v1/completions`, or its one event; the prompt's tokens are not counted here."""
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": "stop" if draft.finished else "length"}
    usage = {"prompt_tokens": 0, "completion_tokens": draft.tokens, "total_tokens": draft.tokens}
    about = {"id": f"cmpl-{number}", "object": "text_completion", "created": int(time.time()), "model": model}
    return {**about, "choices": [choice], "usage": usage}


def infill_answer(model: str, text: str, draft: Draft, fields: tuple[str, ...]) -> Json:
    """Returns the answer of `/infill`, or its one event: all of it, or the fields that are wanted, each by its path."""
    ms, n = max(draft.elapsed_ms, 0.001), draft.tokens
    speed = {"predicted_per_token_ms": ms / max(n, 1), "predicted_per_second": 1000 * n / ms}
    timings = {"prompt_n": 0, "prompt_ms": 0.0, "prompt_per_token_ms": 0.0, "prompt_per_second": 0.0}
    timings |= {"predicted_n": n, "predicted_ms": ms, **speed}
    cut = "limit" if not draft.finished else "eos"
    answer = {"content": text, "stop": True, "stop_type": cut, "model": model, "tokens_predicted": n}
    answer |= {"tokens_cached": 0, "truncated": False, "timings": timings}
    flat = answer | {f"timings/{name}": value for name, value in timings.items()}
    return {name: flat[name] for name in fields if name in flat} if fields else answer


def _stops(stop: str | list[str] | None) -> tuple[str, ...]:
    return (stop,) if isinstance(stop, str) else tuple(stop or ())


def _read(body: bytes, kind: type[CompletionCall | InfillCall]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidInput(f"the body must be what this path takes: {error}") from None

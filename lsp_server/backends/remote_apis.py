"""What remote services are asked, and where their answers have the text: one function pair per protocol, no network.

Sources: Inception's API reference for `/v1/fim/completions` and `/v1/edit/completions`, OpenAI's for `/v1/completions`,
llama.cpp's `tools/server/README.md` for `/infill`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from coder_model.text.fill_region import FillRegion
from coder_model.text.normalize import file_name, newlines
from coder_model.text.redaction import LONGEST_KEY, REDACTED, redacted, redacted_parts
from coder_model.types import Draft, FillRequest

Kind = Literal["mercury", "mercury-edit", "openai", "llama.cpp"]
MAX_PREFIX_CHARS, MAX_SUFFIX_CHARS = 24_000, 8_000
"""Code points that leave the machine on either side of the cursor."""
LINES_TO_EDIT = 4
"""Lines on each side of the cursor that `/v1/edit/completions` may rewrite."""
_FENCE = "```"
_MARK = re.compile(
    r"<(?=/?[|\uff5c][^|\uff5c<>\n]{1,40}[|\uff5c]>|fim[_-]\w{1,16}>|/?s>|(?:mask|pad|unk|bos|eos|PRE|SUF|MID|EOT)>"
    r"|(?:file_sep|repo_name|reponame|filename|gh_stars|end_of_turn|start_of_turn)>)"
    r"|\[(?=(?:/?INST|SUFFIX|PREFIX|MIDDLE)\])"
)
"""The first character of a mark of Qwen, StarCoder, Llama, DeepSeek, Mistral, Gemma or SantaCoder."""
_JOINER = "\u2060"
"""Invisible; keeps a mark in somebody's text from being one."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A middle that a service has answered, and what it took as far as the service says so."""

    text: str
    tokens: int = 0
    prompt_tokens: int = 0
    is_cut: bool = False
    """By the most tokens that were asked for."""

    def draft(self, region: FillRegion, filters_off: Collection[str], elapsed_ms: float) -> Draft:
        """Returns the answer to a request; what has reached the end of its hole is whole."""
        raw = newlines(self.text)
        trimmed = region.trim(raw)
        text, filtered = region.filter(trimmed, filters_off)
        finished = not (text and self.is_cut and trimmed.startswith(raw.rstrip()))
        # a service that counts otherwise has said no more than was asked for
        tokens = min(self.tokens, region.request.max_tokens or self.tokens)
        return Draft(
            text, True, 1.0, 0, tokens, elapsed_ms, finished, filtered=filtered, prompt_tokens=self.prompt_tokens
        )


@dataclass(frozen=True, slots=True)
class Shape:
    """A protocol."""

    path: str
    url: str
    """The service's own address; empty when the user must name one."""
    model: str
    body: Callable[[FillRequest, str, int], dict[str, Any]]
    """(request, model, most tokens) -> the JSON to send."""
    read: Callable[[Any, FillRequest], Reply]
    """(the JSON that came, request) -> the middle; raises LookupError, TypeError or ValueError for another shape."""
    needs_key: bool = True


def without_secrets(request: FillRequest) -> tuple[str, str]:
    """Returns what may leave the machine of the text before and after the cursor."""
    prefix = request.prefix[-MAX_PREFIX_CHARS - LONGEST_KEY :]
    suffix = request.suffix[: MAX_SUFFIX_CHARS + LONGEST_KEY]
    at = len(prefix)
    places = max(0, at - MAX_PREFIX_CHARS), at, at + min(len(suffix), MAX_SUFFIX_CHARS)
    before, after = redacted_parts(prefix + suffix, places, request.language, request.path)
    return before, after


def as_text(text: str) -> str:
    """Returns text in which nothing is a mark of a prompt: many servers read marks in what a user has written."""
    return _MARK.sub(lambda mark: mark.group() + _JOINER, text)


def _fim_body(request: FillRequest, model: str, max_tokens: int) -> dict[str, Any]:
    prefix, suffix = map(as_text, without_secrets(request))
    body = {"model": model, "prompt": prefix, "suffix": suffix, "max_tokens": max_tokens, "temperature": 0.0}
    return body | ({"stop": ["\n"]} if request.hole == "line" else {})


def _read_fim(answer: Any, _: FillRequest) -> Reply:
    choice = answer["choices"][0]
    text = choice["text"] if "text" in choice else choice["message"]["content"]
    return _reply(_string(text).replace(_JOINER, ""), answer)


def _reply(text: str, answer: Any) -> Reply:
    """A middle with what OpenAI's protocol says beside it."""
    usage = answer.get("usage")
    tokens, of_prompt = (_count(usage, name) for name in ("completion_tokens", "prompt_tokens"))
    return Reply(text, tokens, of_prompt, answer["choices"][0].get("finish_reason") == "length")


def _count(counts: Any, name: str) -> int:
    """A number of tokens; 0 where the service says none."""
    count = counts.get(name) if isinstance(counts, dict) else None
    return count if isinstance(count, int) and count > 0 else 0


def _infill_body(request: FillRequest, _: str, max_tokens: int) -> dict[str, Any]:
    prefix, suffix = without_secrets(request)
    extra = [{"filename": file_name(s.path), "text": redacted(s.text, path=s.path)} for s in request.snippets]
    body = {"input_prefix": prefix, "input_suffix": suffix, "input_extra": extra, "n_predict": max_tokens}
    return body | {"temperature": 0.0, "stream": False} | ({"stop": ["\n"]} if request.hole == "line" else {})


def _read_infill(answer: Any, _: FillRequest) -> Reply:
    counts = _count(answer, "tokens_predicted"), _count(answer, "tokens_evaluated")
    return Reply(_string(answer["content"]), *counts, answer.get("stop_type") == "limit")


def _region(request: FillRequest) -> tuple[str, str, str, str]:
    """The text before the lines around the cursor, those up to it, those from it on, and the text behind them."""
    prefix, suffix = map(as_text, without_secrets(request))
    before, after = prefix.split("\n"), suffix.split("\n")
    head, upto = "\n".join(before[: -LINES_TO_EDIT - 1]), "\n".join(before[-LINES_TO_EDIT - 1 :])
    since, tail = "\n".join(after[: LINES_TO_EDIT + 1]), "\n".join(after[LINES_TO_EDIT + 1 :])
    return head, upto, since, tail


def _edit_body(request: FillRequest, model: str, max_tokens: int) -> dict[str, Any]:
    return next_edit_body(request, (), model, max_tokens)


def next_edit_body(request: FillRequest, diffs: Sequence[str], model: str, max_tokens: int) -> dict[str, Any]:
    """Returns what `/v1/edit/completions` is asked: to rewrite the lines around a cursor.

    Args:
        request: the text around the cursor, and what was looked at lately.
        diffs: the last edits as unified diffs, the newest last, without secrets.
        model: of the service.
        max_tokens: of the answer.
    """
    head, upto, since, tail = _region(request)
    viewed = "\n".join(
        f"<|recently_viewed_code_snippet|>\ncode_snippet_file_path: {as_text(file_name(s.path))}\n"
        f"{as_text(redacted(s.text, path=s.path))}\n<|/recently_viewed_code_snippet|>"
        for s in request.snippets
    )
    content = (
        f"<|recently_viewed_code_snippets|>\n{viewed}\n<|/recently_viewed_code_snippets|>\n\n"
        f"<|current_file_content|>\ncurrent_file_path: {as_text(file_name(request.path))}\n{head}\n"
        f"<|code_to_edit|>\n{upto}<|cursor|>{since}\n<|/code_to_edit|>\n{tail}\n<|/current_file_content|>\n\n"
        f"<|edit_diff_history|>\n{chr(10).join(map(as_text, diffs))}\n<|/edit_diff_history|>\n"
    )
    return {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": max_tokens}


def edited_region(answer: Any, request: FillRequest) -> tuple[str, str] | None:
    """Returns the lines around the cursor and what the service made of them; None where they stay.

    Lines that hold a secret stay: what was sent in its place must not be written.

    Raises:
        LookupError, TypeError: for an answer of another shape.
    """
    new = _unfenced(answer)
    _, upto, since, _ = _region(request)
    old = f"{upto}{since}"
    is_whole = old == as_text(old) and request.prefix.endswith(upto) and request.suffix.startswith(since)
    if new is None or not is_whole or new == old or as_text(new) != new or (REDACTED in new and REDACTED not in old):
        return None
    return old, new


def _unfenced(answer: Any) -> str | None:
    """The code of an answer; None where it says that nothing is to be changed."""
    content = _string(answer["choices"][0]["message"]["content"]).strip("\n")
    if content.strip() == "None":
        return None
    return (
        content.partition("\n")[2].rpartition(_FENCE)[0].removesuffix("\n") if content.startswith(_FENCE) else content
    )


def _read_edit(answer: Any, request: FillRequest) -> Reply:
    return _reply(_edit_text(answer, request), answer)


def _edit_text(answer: Any, request: FillRequest) -> str:
    """What stands between the text before and after the cursor; nothing when other places were rewritten too."""
    content = _unfenced(answer)
    if content is None:
        return ""
    _, upto, since, _ = _region(request)
    if content.startswith(upto) and content.endswith(since) and len(content) > len(upto) + len(since):
        return content[len(upto) : len(content) - len(since)].replace(_JOINER, "")
    return ""


def _string(text: Any) -> str:
    if not isinstance(text, str):
        raise TypeError(f"the text must be a string, found {type(text).__name__}")
    return text


_INCEPTION = "https://api.inceptionlabs.ai"
SHAPES: dict[Kind, Shape] = {
    "mercury": Shape("/v1/fim/completions", _INCEPTION, "mercury-coder", _fim_body, _read_fim),
    "mercury-edit": Shape("/v1/edit/completions", _INCEPTION, "mercury-edit-2", _edit_body, _read_edit),
    "openai": Shape("/v1/completions", "", "", _fim_body, _read_fim, needs_key=False),
    "llama.cpp": Shape("/infill", "", "", _infill_body, _read_infill, needs_key=False),
}

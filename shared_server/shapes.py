"""What clients send, field by field with its range, and what it asks for. Unknown fields are refused; no network here.

Sources: Inception's API reference for `/v1/fim/completions` and `/v1/edit/completions`, OpenAI's for `/v1/completions`,
llama.cpp's `tools/server/README.md` for `/infill`. `lsp_server/backends/served_apis.py` has what `unmask http` shares.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

import msgspec

from coder_model.ranges import NotNegative, Share
from coder_model.text.file_names import is_secret
from coder_model.text.normalize import newlines
from coder_model.types import FillRequest, HoleMode, InvalidInput, Snippet
from lsp_server.backends.prompt_marks import read_prompt
from lsp_server.backends.served_apis import PREFIX_CHARS, SUFFIX_CHARS, decoded, shown_pieces, stops_of
from shared_server.edit_prompt import EditedFile, edited_file
from shared_server.problems import invalid

Short = Annotated[str, msgspec.Meta(max_length=256)]
Stop = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Stops = Stop | Annotated[list[Stop], msgspec.Meta(max_length=16)]
Tokens = Annotated[int, msgspec.Meta(ge=1, le=8192)]
Seed = Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 1)]
Temperature = Annotated[float, msgspec.Meta(ge=0, le=2)]
Penalty = Annotated[float, msgspec.Meta(ge=-2, le=2)]
B = TypeVar("B", bound="Body")
_SCHEME = re.compile(r"^(?:file:(?://)?)+", re.IGNORECASE)


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the protocols have in common. Decoding takes the likeliest tokens, whatever temperature or seed say."""

    model: Short = ""
    """One of `/v1/models`; the first one when empty."""
    temperature: Temperature = 0.0
    top_p: Share = 1.0
    seed: Seed | None = None
    stop: Stops | None = None
    """The answer ends before the first of these; a line end among them asks for one line."""
    stream: bool = False

    @property
    def stops(self) -> tuple[str, ...]:
        """All of them."""
        return stops_of(self.stop)

    @property
    def hole(self) -> HoleMode:
        """One line where the answer is to end with it, else several where they fit."""
        return "line" if "\n" in self.stops else "block"


class OpenAIBody(Body, frozen=True, kw_only=True):
    """What OpenAI's protocol and those like it have in common."""

    max_tokens: Tokens | None = None
    presence_penalty: Penalty = 0.0
    frequency_penalty: Penalty = 0.0
    user: Short = ""
    """Ignored: the token says who asks."""
    diffusing: bool = False
    """With `stream`: every draft is sent, and takes the place of the one before."""
    stream_options: dict[Literal["include_usage"], bool] | None = None


class SentSnippet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A piece of another file, in llama.cpp's words."""

    text: str
    filename: Annotated[str, msgspec.Meta(max_length=1024)] = ""
    time: float | Annotated[list[float], msgspec.Meta(max_length=4)] = 0.0
    """When an editor took it, by a clock of its own; ignored."""


class FimBody(OpenAIBody, frozen=True, kw_only=True):
    """Of `/v1/fim/completions` and `/v1/completions`; the last four fields are ours, `best_of` changes nothing."""

    prompt: str
    suffix: str = ""
    echo: Literal[False] = False
    logprobs: Literal[0] | None = None
    best_of: Annotated[int, msgspec.Meta(ge=1, le=20)] = 1
    n: Annotated[int, msgspec.Meta(ge=1, le=3)] = 1
    path: Annotated[str, msgspec.Meta(max_length=1024)] = ""
    language: Short = ""
    block: bool | None = None
    snippets: Annotated[tuple[SentSnippet, ...], msgspec.Meta(max_length=32)] = ()


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message of a chat; there is one."""

    content: str
    role: Literal["user"] = "user"


class EditBody(OpenAIBody, frozen=True, kw_only=True):
    """Of `/v1/edit/completions`."""

    messages: Annotated[list[Message], msgspec.Meta(min_length=1, max_length=1)]


class InfillBody(Body, frozen=True, kw_only=True):
    """Of `/infill`, as editors send it; what only steers another engine's sampling or cache is taken and ignored."""

    input_prefix: str
    input_suffix: str
    input_extra: Annotated[tuple[SentSnippet, ...], msgspec.Meta(max_length=256)] = ()
    prompt: str = ""
    """Follows the prefix."""
    n_predict: Annotated[int, msgspec.Meta(ge=-1, le=8192)] = -1
    """Tokens at most; -1: as many as the engine gives, 0 from who only wants pieces read ahead."""
    t_max_predict_ms: Annotated[int, msgspec.Meta(ge=0, le=600_000)] = 0
    """Milliseconds that it may take; 0: until the deadline."""
    t_max_prompt_ms: Annotated[int, msgspec.Meta(ge=0, le=600_000)] = 0
    n_indent: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    top_k: Annotated[int, msgspec.Meta(ge=0, le=2**31)] = 0
    min_p: Share = 0.0
    repeat_penalty: NotNegative = 1.0
    samplers: Annotated[list[Short], msgspec.Meta(max_length=32)] = []
    cache_prompt: bool = True
    id_slot: Annotated[int, msgspec.Meta(ge=-1, le=1 << 16)] = -1
    response_fields: Annotated[list[Short], msgspec.Meta(max_length=64)] = []
    """Paths of the answer's fields that are wanted, such as `timings/predicted_ms`; all when empty."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a body asks for, in the words of the gateway."""

    body: Body
    prefix: str
    suffix: str
    hole: HoleMode
    path: str = ""
    language: str = ""
    snippets: tuple[Snippet, ...] = ()
    count: int = 1
    max_tokens: int | None = None
    """0: nothing is filled."""
    most_ms: float | None = None
    """Milliseconds of the fill itself."""
    edited: EditedFile | None = None
    """Of `/v1/edit/completions`: what is around the hole."""
    shows_drafts: bool = False

    def request(self, session: str) -> FillRequest:
        """Returns the request to an engine.

        Raises:
            Problem: 400 for a file with secrets, or a text that is no valid Unicode.
        """
        if is_secret(self.path):
            raise invalid("path must not be that of a file with secrets")
        try:
            return FillRequest(
                session,
                newlines(self.prefix)[-PREFIX_CHARS:],
                newlines(self.suffix)[:SUFFIX_CHARS],
                self.path,
                self.language,
                self.hole,
                self.snippets,
                self.count,
                max_tokens=self.max_tokens,
            )
        except InvalidInput as error:
            raise invalid(str(error)) from None


def read_fim(data: bytes) -> Wanted:
    """Reads a body of `/v1/fim/completions` or `/v1/completions`.

    Raises:
        Problem: 400 that names the field and what it must be.
    """
    body = _read(data, FimBody)
    if not body.suffix and read_prompt(body.prompt).prefix != body.prompt:
        raise invalid("prompt must be the text before the cursor, and suffix that behind it: marks are not read here")
    hole = body.hole if body.block is None else "block" if body.block else "line"
    return Wanted(
        body,
        body.prompt,
        body.suffix,
        hole,
        _path(body.path),
        body.language,
        _snippets(body.snippets),
        body.n,
        body.max_tokens,
        shows_drafts=body.stream and body.diffusing,
    )


def read_edit(data: bytes) -> Wanted:
    """Reads a body of `/v1/edit/completions`; what is asked is to fill at the cursor.

    Raises:
        Problem: 400 that names the field and what it must be.
    """
    body = _read(data, EditBody)
    edited = edited_file(body.messages[0].content)
    return Wanted(
        body,
        edited.head + edited.before,
        edited.after + edited.tail,
        body.hole,
        _path(edited.path),
        snippets=_shown(edited.snippets),
        max_tokens=body.max_tokens,
        edited=edited,
        shows_drafts=body.stream and body.diffusing,
    )


def read_infill(data: bytes) -> Wanted:
    """Reads a body of `/infill`.

    Raises:
        Problem: 400 that names the field and what it must be.
    """
    body = _read(data, InfillBody)
    return Wanted(
        body,
        body.input_prefix + body.prompt,
        body.input_suffix,
        body.hole,
        snippets=_snippets(body.input_extra),
        max_tokens=body.n_predict if body.n_predict >= 0 else None,
        most_ms=float(body.t_max_predict_ms) or None,
    )


def _snippets(sent: tuple[SentSnippet, ...]) -> tuple[Snippet, ...]:
    return _shown([(one.filename, one.text) for one in sent])


def _shown(sent: Sequence[tuple[str, str]]) -> tuple[Snippet, ...]:
    # the paths are those of another machine: nothing of this one is looked at
    return shown_pieces([(_path(name), text) for name, text in sent], lambda name: not is_secret(name))


def _path(sent: str) -> str:
    """The path alone of what may be a URI: the links that a `file:` leads to are those of this machine."""
    return _SCHEME.sub("", sent)


def _read(data: bytes, kind: type[B]) -> B:
    try:
        # both protocols take null for a field that is not there
        fields = decoded(data, dict[str, msgspec.Raw])
        given = {name: value for name, value in fields.items() if bytes(value) != b"null"}
        return decoded(msgspec.json.encode(given), kind)
    except InvalidInput as error:
        raise invalid(str(error)) from None

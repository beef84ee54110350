"""What editors send, in OpenAI's words for `/v1/completions` and llama.cpp's for `/infill`.

Fields that say how another engine samples or caches are passed over, as are unknown ones: editors send all sorts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from coder_model.ranges import NotNegative
from coder_model.text.fill_mode import hole_at
from coder_model.text.normalize import newlines
from coder_model.text.privacy import Privacy
from coder_model.text.syntax import language_of
from coder_model.types import FillRequest, InvalidInput
from lsp_server.backends.prompt_marks import AskedText, read_prompt
from lsp_server.backends.served_apis import PREFIX_CHARS, SUFFIX_CHARS, decoded, shown_pieces, stops_of
from lsp_server.settings import Settings
from lsp_server.trigger_policy import PresetName, least_right


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
        return FillRequest(
            session=session,
            prefix=prefix,
            suffix=suffix,
            path=text.path,
            language=language,
            hole=hole,
            snippets=shown_pieces(text.others, lambda name: privacy.may("show", name)),
            least_right=least,
            deadline_ms=self.most_ms or Settings().deadline_ms,
        )


def read_completion(body: bytes) -> Asked:
    """Reads a body of `/v1/completions`.

    Raises:
        InvalidInput: names the field and what it must be; quotes no text.
    """
    call = decoded(body, CompletionCall)
    text = read_prompt(call.prompt) if call.suffix is None else AskedText(call.prompt, call.suffix)
    return Asked(replace(text, path=call.path or text.path), stops_of(call.stop), call.stream)


def read_infill(body: bytes) -> Asked:
    """Reads a body of `/infill`.

    Raises:
        InvalidInput: names the field and what it must be; quotes no text.
    """
    call = decoded(body, InfillCall)
    others = tuple((one.filename, one.text) for one in call.input_extra)
    text = AskedText(call.input_prefix + call.prompt, call.input_suffix, call.path, others)
    fields = tuple(call.response_fields)
    most_ms = call.t_max_predict_ms or None
    return Asked(text, stops_of(call.stop), call.stream, most_ms, fields, wants_text=call.n_predict != 0)

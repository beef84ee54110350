"""What the page and its server say to each other: JSON objects, one a WebSocket message, told apart by `type`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from coder_model.engine.options import ONE_TOKEN, PolicyName
from coder_model.ranges import Count, Share
from coder_model.types import Decoding, Draft, InvalidInput, Slot
from lsp_server.denoising import facts_of

MOST_MESSAGE_BYTES = 1 << 20
"""Of one message of the page: a text of a megabyte is no example any more."""
HoleChoice = Literal["auto", "line", "block"]
Lane = Literal["own", "compared"]
"""The fill by the chosen options, or the same hole one token at a time."""
_Steps = Annotated[int, msgspec.Meta(ge=0, le=64)]
_Block = Annotated[int, msgspec.Meta(ge=0, le=64)]


class Controls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the controls of the page say; see `Decoding`."""

    policy: PolicyName = "threshold"
    threshold: Share = 0.9
    max_steps: _Steps = 0
    block_length: _Block = 0
    copy: bool = True
    frugal: bool = True

    def decoding(self) -> Decoding:
        """Returns them as the engine takes them."""
        block_length = 0 if self.block_length == 1 else self.block_length
        return Decoding(self.policy, self.threshold, self.max_steps, block_length, self.copy, self.frugal)


class AskFill(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="fill"):
    """The page asks for a hole to be filled; what still runs for it ends."""

    id: Count
    """Comes back with every step."""
    prefix: str
    suffix: str
    path: Annotated[str, msgspec.Meta(max_length=100)] = ""
    """A file's name, which says what language it is; nothing is opened."""
    hole: HoleChoice = "auto"
    controls: Controls = Controls()
    compare: bool = False
    """AskFill it a second time, one token at a time."""


class AskStop(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="stop"):
    """Whatever runs is no longer wanted."""


class TakeModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="take"):
    """Another model is chosen."""

    model: str


class AskStatistics(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="statistics"):
    """The figures of the second tab are wanted."""


FromPage = AskFill | AskStop | TakeModel | AskStatistics


class OfferedModel(msgspec.Struct, frozen=True):
    """A model that can be taken."""

    name: str
    parameters: float
    """In billions; 0 where it is not known."""
    suggestion_ms: float | None
    """Of a usual suggestion on this machine; None where it was not measured lately."""


class Greeting(msgspec.Struct, frozen=True, tag="greeting"):
    """The first message of a connection."""

    version: str
    models: list[OfferedModel]
    chosen: str
    text: str
    """Of the file that `unmask play` was started with; empty without one."""
    file: str
    policies: tuple[str, ...]


class Status(msgspec.Struct, frozen=True, tag="status"):
    """How the model is."""

    state: str
    model: str
    description: str
    reason: str
    share_loaded: float
    controls: tuple[str, ...]
    """Which fields of `Controls` change what this model does."""


class ShownStep(msgspec.Struct, frozen=True, tag="step"):
    """The state of a fill after one pass; see `Draft`."""

    id: int
    lane: Lane
    hole: str
    draft: dict[str, Any]


class Stopped(msgspec.Struct, frozen=True, tag="stopped"):
    """A fill ended without an answer."""

    id: int
    reason: str
    """Empty when it was no longer wanted."""


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """A message was not understood, and nothing else has changed."""

    reason: str


class Statistics(msgspec.Struct, frozen=True, tag="statistics"):
    """The figures of the second tab; see `figures`."""

    figures: dict[str, Any]


ToPage = Greeting | Status | ShownStep | Stopped | Refused | Statistics

_decoder: msgspec.json.Decoder[FromPage] = msgspec.json.Decoder(FromPage)
_encoder = msgspec.json.Encoder()
ONE_BY_ONE = Controls(policy=ONE_TOKEN)


def read(message: str | bytes) -> FromPage:
    """Returns what the page says.

    Raises:
        InvalidInput: says what was expected; quotes no text.
    """
    if isinstance(message, bytes):
        raise InvalidInput("a message must be text, got bytes")
    try:
        return _decoder.decode(message)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise InvalidInput(f"a message must be one of the page's: {error}") from error


def written(message: ToPage) -> str:
    """Returns a message as it is sent."""
    return _encoder.encode(message).decode()


def draft_values(draft: Draft) -> dict[str, Any]:
    """Returns what the page draws of a draft: a slot is [text, confidence], and its text null while it is masked."""
    return {
        **facts_of(draft),
        "text": draft.text,
        "confidence": round(draft.confidence, 4),
        "filtered": draft.filtered,
        "given": draft.given,
        "slots": [_pair(slot) for slot in draft.slots],
        "decided": [_pair(slot) for slot in draft.decided],
    }


def _pair(slot: Slot) -> tuple[str | None, float]:
    return None if slot.masked else slot.text, round(slot.confidence, 4)

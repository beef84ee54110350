"""The words that cross process borders: what is asked of the model and what it answers.

Imports nothing slow: the language server imports this module, and never torch. Texts are Python strings that hold no
lone surrogates (`FillRequest` refuses them), because neither a tokenizer nor a pipe can carry one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HoleMode = Literal["line", "block"]
Reach = Literal["auto", "single", "multi"]
"""How much a person wants: what the cursor's place suggests, never more than a line, or a block wherever it fits."""


class Cancelled(Exception):
    """Control flow, not an error: the work is no longer wanted (superseded, cancelled, or the worker went away)."""


class InvalidInput(ValueError):
    """A caller's input that cannot be used; the message names it and what was expected."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """A piece of another file that may help: shown to the model before the prefix."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Decoding:
    """How one fill is decoded, whatever the engine's options are: for who watches and compares.

    The fields are those of `EngineOptions` with the same names, and are checked there. Nothing that was said at this
    place before is a draft, so that the same request shows the same work.
    """

    policy: str = "threshold"
    threshold: float = 0.9
    max_steps: int = 0
    block_length: int = 0
    copy: bool = True
    frugal: bool = False
    """Denoise and verify only as far as it pays on this machine, as for an editor; else every draft, and all of it."""


@dataclass(frozen=True, slots=True)
class FillRequest:
    """Fill the hole between `prefix` and `suffix` of one document.

    Raises:
        InvalidInput: when a text holds a lone surrogate, `deadline_ms` or `count` is not positive, or
            `least_probability` or `least_right` is not in [0, 1).
    """

    session: str
    """Names the document. Its KV cache is reused, and a newer request of the same session takes the model."""
    prefix: str
    suffix: str
    path: str = ""
    """Shown to the model as a hint at the language and the role of the file; never opened."""
    language: str = ""
    """LSP language id, for example `python`; empty when unknown."""
    hole: HoleMode = "line"
    """`line` ends before the first line end; `block` may hold several lines."""
    snippets: tuple[Snippet, ...] = ()
    count: int = 1
    """Distinct middles wanted, the best first; the others come with the final draft."""
    least_probability: float = 0.0
    """A middle that is less likely than this as a whole is not wanted, nor the work to finish it: of a block its first
    lines are the answer, as far as they are likely enough together, otherwise nothing."""
    least_right: float = 0.0
    """Of suggestions that the model finds as likely as the answer at least this share must have been right, where that
    was measured (`decoding/calibration.py`); what is less likely is given up as by `least_probability`."""
    speculative: bool = False
    """Nobody waits for the answer yet: every other request goes first."""
    judged: str | None = None
    """A text that stands in the hole: nothing is filled, the answer says how likely the model finds it, token by token.
    For backends that say so of themselves (`judges`)."""
    max_tokens: int | None = None
    """Tokens of the answer at most, for a server elsewhere and the gateway before it; None: as many as are given."""
    deadline_ms: float | None = None
    """Milliseconds from the moment the engine takes the request; then the leftmost run that parses is the answer."""
    decoding: Decoding | None = None
    """None: as the engine's options say. A server elsewhere decodes as it likes."""

    def __post_init__(self) -> None:
        for name in ("session", "prefix", "suffix", "path", "judged"):
            text: str = getattr(self, name) or ""
            if not is_encodable(text):
                raise InvalidInput(f"{name} must be valid Unicode text, found a lone surrogate")
        if self.count < 1:
            raise InvalidInput(f"count must be positive, got {self.count}")
        for name in ("least_probability", "least_right"):
            if not 0 <= getattr(self, name) < 1:
                raise InvalidInput(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if self.deadline_ms is not None and not self.deadline_ms > 0:
            raise InvalidInput(f"deadline_ms must be positive, got {self.deadline_ms}")


@dataclass(frozen=True, slots=True)
class Slot:
    """One position of the canvas, or one token of a text that was judged."""

    text: str
    """Decoded token; empty while the slot holds the mask."""
    confidence: float
    """Probability of the token in (0, 1]; of the best candidate while the slot holds the mask. After a verify pass
    1 for what is kept of a draft, and 0 for what is not."""
    masked: bool
    rival: float = 0.0
    """Of a text that was judged: probability of the likeliest other token."""


@dataclass(frozen=True, slots=True)
class Draft:
    """The state of a fill after a step. The last draft of a request has `final` set and nothing follows it."""

    text: str
    """The leftmost finished run: what could be shown now, without holes."""
    final: bool
    confidence: float
    """Geometric mean of the probabilities of the tokens behind `text`, in [0, 1]; 1.0 when `text` is empty."""
    steps: int
    """Forward passes over slots or drafts so far (denoise and verify), the commit of the context not counted."""
    tokens: int
    """Tokens behind `text`, the end-of-middle token included once it is found."""
    elapsed_ms: float
    finished: bool = True
    """On the final draft: False when the deadline cut it short."""
    unlikely: bool = False
    """On the final draft: True when the middle was given up as too unlikely."""
    kind: Literal["denoise", "verify", "remask", "final"] = "final"
    slots: tuple[Slot, ...] = ()
    """The canvas; empty unless the caller asked to watch. Of a text that was judged its tokens, whose texts joined are
    the text, and the end of the middle."""
    given: int = 0
    """Slots at the start of a denoised canvas that stand before the middle, or among its decided tokens."""
    decided: tuple[Slot, ...] = ()
    """The tokens of the middle so far, each with its probability: as far as they are new text, and blanks behind it.
    Empty unless the caller asked to watch. A token that ends in the middle of a character leaves that to the next."""
    filtered: tuple[str, ...] = ()
    """On the final draft: the names of the filters that changed the text, see `filters.FILTERS`."""
    prompt_tokens: int = 0
    """Tokens that the model was given to read."""
    others: tuple[Draft, ...] = ()
    """On the final draft: the next best middles, none of the same text, at most `count` - 1."""

    @property
    def probability(self) -> float:
        """Of all its tokens together, by the model, in [0, 1]."""
        return float(self.confidence**self.tokens)


def is_encodable(text: str) -> bool:
    """Returns True when `text` holds no lone surrogate."""
    return not any("\ud800" <= ch <= "\udfff" for ch in text) if not text.isascii() else True

"""How the engine fills, as a user or a benchmark may set it. Travels to the worker; imports nothing slow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from coder_model.ranges import Count, NotNegative, Positive, Share
from coder_model.text.filters import FilterName
from coder_model.types import InvalidInput

PolicyName = Literal["threshold", "entropy_bound", "top_k", "cosine", "one_token"]
CpuPrecision = Literal["auto", "float32", "bfloat16", "int8"]
ONE_TOKEN: PolicyName = "one_token"
MOST_CONCURRENT = 32
"""Fills that share a GPU."""


class EngineOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the engine fills. `of` and `from_json` check what somebody else has written against the types here."""

    policy: PolicyName = "threshold"
    """Which slots a denoise step reveals; or `one_token`: no drafts, the reference of all speed."""
    threshold: Share = 0.9
    factor: NotNegative = 1.0
    entropy_bound: NotNegative = 0.1
    k: Positive = 2
    block_length: Count = 0
    """Slots per block, at least 2; 0: the model's own."""
    max_steps: Count = 0
    """Denoise steps per block; 0: 2 for a draft that is verified, else as many as there are slots."""
    verify: bool = True
    drafter: bool = True
    """Drafts by a small model that was trained on this one, where there is one."""
    adapter: bool = True
    """Weights with what was trained for this model, where there is something: other text, in the same time."""
    copy: bool = True
    """Proposals from the text itself."""
    min_copy: Count = 2
    """Tokens that a copied run needs to be a draft."""
    min_accepted: NotNegative = 3.0
    """Tokens of a denoised draft that verify must accept on average for denoising to go on, where passes are not
    measured. On two cores a block of 16 takes 5 ms to denoise and 5 ms to verify, one token 3 ms."""
    remask_below: Share = 0.3
    temperature: NotNegative = 0.0
    """New text is drawn from p ** (1 / temperature); 0: the likeliest token is taken."""
    seed: Count = 0
    """Of what is drawn: the same one draws the same text."""
    alternatives: Count = 3
    """Middles tried instead of one that leaves syntax errors; what is broken all the same is cut where it parses. 0: it
    stays as it is."""
    filters_off: tuple[FilterName, ...] = ()
    """Names of `filters.FILTERS` that are left out."""
    precision: CpuPrecision = "auto"
    """How a CPU multiplies where the weights are float32: `float32`; `bfloat16` in passes that read a long context;
    `int8`, weights and activations, in all; or `auto`, the fastest on this processor."""
    refresh_every: Positive = 4
    """For models in which prefix and suffix see the canvas: so many passes share what those wrote; 1: none, exact."""
    reuse: bool = True
    """Keep the KV cache of a document between requests."""
    sessions: Positive = 8
    """Caches that are kept: of documents, and of several places in one."""
    cache_mb: Count = 128
    """Units of 2**20 bytes that the kept caches take together on a CPU; the last one is kept whatever it takes."""
    max_concurrent: Count = 0
    """Fills that share the passes of the device; 0: 32 on a GPU, and one, by itself, on a CPU."""
    sync_interval: Positive = 2
    """Denoise steps until the host looks at a block, where passes are shared."""

    def __post_init__(self) -> None:
        if self.block_length == 1:
            raise InvalidInput("block_length must be 0 or at least 2, got 1")

    def concurrent_on(self, device_type: str) -> int:
        """Returns how many fills may share the passes of a device, `cuda` or `cpu`."""
        return self.max_concurrent or (MOST_CONCURRENT if device_type == "cuda" else 1)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> EngineOptions:
        """Reads options by name, as a command or a file has them.

        Raises:
            InvalidInput: names the option and what was expected.
        """
        try:
            return msgspec.convert(values, cls)
        except msgspec.ValidationError as error:
            raise InvalidInput(f"options must be those of the engine: {error}") from error

    @classmethod
    def from_json(cls, text: str | bytes) -> EngineOptions:
        """Reads what `to_json` has written, or a user.

        Raises:
            InvalidInput: names the option and what was expected.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.DecodeError as error:
            raise InvalidInput(f"options must be those of the engine: {error}") from error

    def to_json(self) -> str:
        """Returns the options that are not the usual ones as a JSON object."""
        return msgspec.json.encode(self).decode()

"""The shape of the transformer, as a frozen dataclass read from and written to `config.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from coder_model.errors import ModelFileError
from coder_model.ranges import AboveZero, Layers, Length, Size

AttentionPattern = Literal["causal_context", "causal", "block_causal", "bidirectional"]
"""The mask. `causal_context`: clean tokens causally, a block of slots itself and all before it; `causal`: there
are no slots; `block_causal`: every token its own aligned block and all before it; `bidirectional`: all see all."""


@dataclass(frozen=True)
class Yarn:
    """Rotary positions stretched to a longer context (YaRN, arXiv:2309.00071, section 3.2 to 3.4)."""

    factor: float
    original_context: int
    """Tokens of the first training."""
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    mscale: float = 0.0
    mscale_all: float = 0.0
    """Both 0: the paper's temperature."""


@dataclass(frozen=True)
class ModelConfig:
    """Sizes and switches of the decoder. Names follow Qwen2 where it has one.

    Raises:
        ValueError: when the sizes contradict each other.
    """

    vocab_size: Size = 8192
    d_model: Size = 256
    n_layers: Layers = 6
    n_heads: Size = 4
    n_kv_heads: Size = 2
    head_dim: Size = 64
    d_ff: Size = 704
    rope_theta: AboveZero = 10_000.0
    norm_eps: AboveZero = 1e-6
    context_tokens: Length = 1024
    """Longest sequence seen in training: suffix, prefix and middle together."""
    block_length: Size = 16
    """Slots of the canvas at inference; training draws from several lengths."""
    attention: AttentionPattern = "causal_context"
    shifted: bool = True
    """True: a slot's scores come from the slot before it, as in autoregression; False: from the slot itself."""
    qkv_bias: bool = False
    qk_norm: bool = True
    tied_head: bool = True
    """The head is the embedding table."""
    yarn: Yarn | None = None

    def __post_init__(self) -> None:
        if self.n_heads % self.n_kv_heads:
            raise ValueError(f"n_heads must be a multiple of n_kv_heads, got {self.n_heads} and {self.n_kv_heads}")
        if self.head_dim % 2:
            raise ValueError(f"head_dim must be even for rotary positions, got {self.head_dim}")
        if not 2 <= self.block_length <= self.context_tokens:
            raise ValueError(f"block_length must be in [2, {self.context_tokens}], got {self.block_length}")

    @property
    def can_verify(self) -> bool:
        """Whether a pass over clean tokens says what decoding them one at a time would have said."""
        return self.attention in ("causal", "causal_context")

    @classmethod
    def load(cls, path: Path) -> ModelConfig:
        """Reads `config.json`.

        Raises:
            ModelFileError: when it is missing, no JSON, or has fields that this class has not.
        """
        try:
            values = json.loads(path.read_text("utf-8"))
            if not isinstance(values, dict) or not values.keys() >= REQUIRED:
                raise ValueError("a field is missing")
            if values.get("yarn"):
                values["yarn"] = Yarn(**values["yarn"])
            return cls(**values)
        except (OSError, TypeError, ValueError) as error:
            names = ", ".join(f.name for f in fields(cls))
            raise ModelFileError(f"{path} must be a JSON object of {names}: {error}") from error

    def save(self, path: Path) -> None:
        """Writes `config.json`."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", "utf-8")


REQUIRED = {"vocab_size", "d_model", "n_layers", "n_heads", "n_kv_heads", "head_dim", "d_ff", "context_tokens"}
"""Fields without which a `config.json` is not this project's."""

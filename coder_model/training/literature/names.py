"""Which models of the papers there are, and in which sizes. Imports nothing slow."""

from __future__ import annotations

from dataclasses import replace

from coder_model.errors import CorpusError
from coder_model.model.config import ModelConfig

BLOCK_LENGTH = 8
"""Of block diffusion and of ours."""
SIZES = {
    "tiny": ModelConfig(d_model=64, n_layers=2, n_heads=2, n_kv_heads=2, head_dim=32, d_ff=128),
    "small": ModelConfig(d_model=192, n_layers=4, n_heads=3, n_kv_heads=3, head_dim=64, d_ff=512),
    "medium": ModelConfig(d_model=256, n_layers=6, n_heads=4, n_kv_heads=4, head_dim=64, d_ff=704),
}
"""About 0.1, 1.8 and 5 million parameters beside the embeddings."""
DISTILLED, TEACHER = "mdlm_sdtt", "mdlm"
ESO = ("eso_b-0", "eso_b-0.25", "eso_b-0.5", "eso_b-1", "eso_a-0.5")
"""Eso-LM with the share of the tokens that diffusion fills behind the hyphen."""
_MASKED = ("sedd", "llada", "maskgit", "d3pm_absorbing", "d3pm_uniform")
NAMES = ("ar", TEACHER, "bd3", "joint", *ESO, *_MASKED, "diffusion_lm", DISTILLED)
"""In the order in which they are trained."""


def check_tokens(tokens: int) -> None:
    """Refuses to train on nothing.

    Raises:
        CorpusError: when there is not one token.
    """
    if tokens < 1:
        raise CorpusError(f"--tokens must be at least 1, got {tokens}")


def shape_of(size: str) -> ModelConfig:
    """Returns the shape of a size by its name, with the usual vocabulary.

    Raises:
        CorpusError: when there is no such size.
    """
    if size not in SIZES:
        raise CorpusError(f"--size must be one of {', '.join(SIZES)}, got {size!r}")
    return replace(SIZES[size], shifted=False, block_length=BLOCK_LENGTH)


def named(wanted: str) -> tuple[str, ...]:
    """Returns the models of a comma-separated list; `eso_b` is all that begin so; of an empty one, all.

    Raises:
        CorpusError: when a name is none.
    """
    parts = [part.strip() for part in wanted.split(",") if part.strip()]
    families = dict.fromkeys(name.partition("-")[0] for name in ESO)
    for part in parts:
        if part not in (*NAMES, *families):
            whole = " or ".join(families)
            raise CorpusError(f"--only must be of {', '.join(NAMES)}, or {whole} for all that begin so, got {part!r}")
    return tuple(name for name in NAMES if not parts or any(part in (name, name.partition("-")[0]) for part in parts))

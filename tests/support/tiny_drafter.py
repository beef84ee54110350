"""A tiny larger model, drafters for it, and corpora of random tokens."""

from pathlib import Path

import numpy as np
import torch

from coder_model.model.config import ModelConfig
from coder_model.model.drafter import Drafter, DrafterConfig
from coder_model.model.transformer import Transformer
from coder_model.training.drafter.options import DrafterHoles
from coder_model.training.published.holes import HoleTokens
from coder_model.training.shards import write_split

VOCABULARY, LINE_END = 64, 9
OPTIONS = DrafterHoles(length=96, longest_middle=24, longest_suffix=32, anchors=8, block_length=5)
TARGET = ModelConfig(
    vocab_size=VOCABULARY, d_model=32, n_layers=4, n_heads=2, n_kv_heads=1, head_dim=16, d_ff=64, context_tokens=128,
    attention="causal", qk_norm=False, tied_head=False,
)  # fmt: skip


def marks() -> HoleTokens:
    breaks = np.full((VOCABULARY, 2), -1)
    breaks[LINE_END] = -1, LINE_END
    # token 10 is what token 11 and a line end make together
    breaks[10] = 11, LINE_END
    return HoleTokens(1, 2, 3, 4, VOCABULARY - 1, breaks)


def corpus(folder: Path, texts: list[list[int]]) -> Path:
    for split in ("train", "valid"):
        names = [str(index) for index in range(len(texts))]
        write_split(folder, split, names, (np.array(text, np.uint16).tobytes() for text in texts))
    return folder


def random_texts(seed: int, lengths: list[int]) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(5, VOCABULARY - 1, length).tolist() for length in lengths]


def target(seed: int = 0) -> Transformer:
    model = Transformer(TARGET)
    model.initialise_(seed)
    for parameter in model.parameters():
        if parameter.dim() == 2 and not parameter.any():
            torch.nn.init.normal_(parameter, 0.0, 0.3)
    return model.requires_grad_(False)


def drafter(seed: int = 0) -> Drafter:
    model = Drafter(DrafterConfig(32, 2, 1, 16, 10_000.0, 1e-6, (1, 3), 2, 48, OPTIONS.block_length))
    model.initialise_(seed)
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, 0.0, 0.3)
    return model

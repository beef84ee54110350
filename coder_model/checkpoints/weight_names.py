"""What families of published weights call the tensors and sizes of the transformer that we know by Qwen2's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Names:
    """How a family's names come from ours."""

    prefix: str = "model."
    """Before the name of everything but the head."""
    head: str = "lm_head.weight"
    parts: Mapping[str, str] = field(default_factory=dict)
    """Pieces of our names, between dots, that are called otherwise; not at all where empty."""
    top: Mapping[str, str] = field(default_factory=dict)
    """Names outside of the layers that are called otherwise, without the prefix."""

    def theirs(self, ours: str) -> str:
        """Returns what a tensor of our transformer is called in the family's files."""
        if ours == "lm_head.weight":
            return self.head
        if ours in self.top:
            return self.prefix + self.top[ours]
        parts = (self.parts.get(part, part) for part in ours.split("."))
        return self.prefix + ".".join(part for part in parts if part)


QWEN = Names()
NEMOTRON = Names(prefix="encoder.", head="diffusion_head.weight")
LLADA = Names(
    prefix="model.transformer.",
    head="model.transformer.ff_out.weight",
    parts={
        "layers": "blocks",
        "self_attn": "",
        "mlp": "",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ff_norm",
        "o_proj": "attn_out",
        "gate_proj": "ff_proj",
        "down_proj": "ff_out",
    },
    top={"embed_tokens.weight": "wte.weight", "norm.weight": "ln_f.weight"},
)
"""`modeling_llada.py`, block type `llama`: attention and MLP hang in the block itself, without a name between."""
GGUF = Names(
    prefix="",
    head="output.weight",
    parts={
        "layers": "blk",
        "self_attn": "",
        "mlp": "",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
        "q_proj": "attn_q",
        "k_proj": "attn_k",
        "v_proj": "attn_v",
        "o_proj": "attn_output",
        "q_norm": "attn_q_norm",
        "k_norm": "attn_k_norm",
        "gate_proj": "ffn_gate",
        "up_proj": "ffn_up",
        "down_proj": "ffn_down",
    },
    top={"embed_tokens.weight": "token_embd.weight", "norm.weight": "output_norm.weight"},
)
"""llama.cpp's names, whatever the family (`gguf-py/gguf/constants.py`)."""

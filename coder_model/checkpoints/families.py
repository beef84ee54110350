"""The families of published checkpoints: one row each, data only.

Sources: the configuration, generation code and README of each repository, as `docs/published.md` lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from coder_model.checkpoints.weight_names import LLADA, NEMOTRON, QWEN, Names
from coder_model.model.config import AttentionPattern

FormName = Literal["between", "left_to_right", "prefix_first", "suffix_first", "appended"]
"""How the hole is put to the model, see `prompt_formats.py`."""


@dataclass(frozen=True)
class Family:
    """What the weights alone do not say of a model."""

    name: str
    model_types: frozenset[str]
    """Values of `model_type` in its `config.json`."""
    attention: AttentionPattern
    shifted: bool
    form: FormName
    end: tuple[str, ...]
    """Tokens that end a text, the usual one first; any that the tokenizer has ends a middle."""
    mask: tuple[str, ...] = ()
    """What the mask token may be called where neither `config.json` nor the tokenizer's configuration says."""
    start: str = ""
    """Token before every sequence; none when empty."""
    fim: tuple[str, str, str] = ("", "", "")
    """Tokens before prefix, suffix and middle."""
    file: str = ""
    """Token before the name and text of a file; without one, other files are not shown."""
    repository: str = ""
    """Token before the name of the folder that the files are in, where there are others."""
    measured: Mapping[int, FormName] = field(default_factory=dict)
    """Models that another form suits better, by `hidden_size`: measured in `docs/published.md`."""
    expand: str = ""
    """Token that makes a slot two; `end` then makes it none."""
    block_length: int = 16
    """Where the configuration does not say."""
    names: Names = QWEN
    qkv_bias: bool = False
    qk_norm: bool = False
    sizes: Mapping[str, str] = field(default_factory=dict)
    """Fields of `config.json` that have another name than Qwen2's."""
    context_tokens: int = 2048
    """Most tokens it is shown, whatever it could take."""

    def form_of(self, hidden_size: int) -> FormName:
        """Returns how the hole is put to a model of this size."""
        return self.measured.get(hidden_size, self.form)

    @property
    def has_mask(self) -> bool:
        """False for autoregressive models."""
        return self.attention != "causal"


_QWEN_FIM = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
_QWEN_ENDS = ("<|endoftext|>", "<|im_end|>")
_QWEN_FIM_ENDS = (*_QWEN_ENDS, "<|fim_pad|>", "<|file_sep|>", "<|repo_name|>")
"""A middle may be over because the file is: then comes the mark of the next one."""
_LLADA_SIZES = {
    "hidden_size": "d_model",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "num_key_value_heads": "n_kv_heads",
    "intermediate_size": "mlp_hidden_size",
    "tie_word_embeddings": "weight_tying",
    "hidden_act": "activation_type",
    "attention_bias": "include_bias",
}

FAMILIES: tuple[Family, ...] = (
    Family(
        "dreamon", frozenset({"Dream"}), "bidirectional", True, "between", _QWEN_ENDS,
        mask=("<|mask|>",), start="<|beginoftext|>", expand="<|expand|>", qkv_bias=True,
    ),
    Family(
        "dream", frozenset({"Dream"}), "bidirectional", True, "between", _QWEN_ENDS,
        mask=("<|mask|>",), start="<|beginoftext|>", qkv_bias=True,
    ),
    Family(
        "open-dcoder", frozenset({"qwen2"}), "bidirectional", True, "between", _QWEN_ENDS,
        mask=("[MASK]", "<M>", "<|mask|>"), qkv_bias=True,
    ),
    Family(
        "qwen2.5-coder", frozenset({"qwen2"}), "causal", True, "prefix_first", _QWEN_FIM_ENDS,
        fim=_QWEN_FIM, file="<|file_sep|>", repository="<|repo_name|>", qkv_bias=True,
        measured={896: "appended", 1536: "appended"},
    ),
    Family(
        "qwen2-mdlm", frozenset({"a2d-qwen2"}), "bidirectional", False, "between", _QWEN_ENDS,
        mask=("<|mask|>",), qkv_bias=True,
    ),
    Family(
        "qwen2-bd3lm", frozenset({"a2d-qwen2"}), "block_causal", False, "left_to_right", _QWEN_ENDS,
        mask=("<|mask|>",), block_length=32, qkv_bias=True,
    ),
    Family(
        "qwen3-mdlm", frozenset({"a2d-qwen3"}), "bidirectional", False, "between", _QWEN_ENDS,
        mask=("<|mask|>",), qk_norm=True,
    ),
    Family(
        "qwen3-bd3lm", frozenset({"a2d-qwen3"}), "block_causal", False, "left_to_right", _QWEN_ENDS,
        mask=("<|mask|>",), block_length=32, qk_norm=True,
    ),
    Family(
        "llada", frozenset({"llada"}), "bidirectional", False, "between", ("<|endoftext|>", "<|eot_id|>"),
        mask=("<|mdm_mask|>",), start="<|startoftext|>", names=LLADA, sizes=_LLADA_SIZES,
    ),
    Family(
        "coda", frozenset({"CoDA"}), "bidirectional", True, "between", _QWEN_ENDS,
        mask=("<|mask|>",), qk_norm=True,
    ),
    Family(
        "stable-diffcoder", frozenset({"stable_diffcoder", "seed_coder", "llama"}), "block_causal", False,
        "suffix_first", ("<[end▁of▁sentence]>",), start="<[begin▁of▁sentence]>",
        mask=("<[MASK_never_used_51bce0c785ca2f68081bfa7d91973934]>",),
        fim=("<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>"), block_length=4,
    ),
    Family(
        "sdar", frozenset({"sdar"}), "block_causal", False, "left_to_right", _QWEN_ENDS,
        mask=("<|MASK|>",), block_length=4, qk_norm=True,
    ),
    Family(
        "fast-dllm-v2", frozenset({"Fast_dLLM_Qwen"}), "block_causal", True, "left_to_right", _QWEN_ENDS,
        mask=("|<MASK>|",), block_length=32, qkv_bias=True,
    ),
    Family(
        "nemotron-labs-diffusion", frozenset({"ministral_dlm", "nemotron_labs_diffusion"}), "causal_context", False,
        "left_to_right", ("</s>",), mask=("<SPECIAL_100>",), start="<s>", block_length=32, names=NEMOTRON,
    ),
    Family(
        "qwen3", frozenset({"qwen3"}), "causal", True, "prefix_first", _QWEN_ENDS,
        fim=_QWEN_FIM, file="<|file_sep|>", qk_norm=True,
    ),
    Family(
        "llama", frozenset({"llama"}), "causal", True, "left_to_right",
        ("<|end_of_text|>", "<|endoftext|>", "<|eot_id|>"), start="<|begin_of_text|>",
    ),
)  # fmt: skip
"""In the order in which they are tried: those that need a token of the tokenizer before those that do not."""

UNSUPPORTED: Mapping[str, str] = {
    "llada_moe": "a mixture of experts; our transformer is dense",
    "llada2_moe": "a mixture of experts; our transformer is dense",
    "diffusion_gemma": "it has no mask token (uniform noise) and is a mixture of experts",
    "wedlm": "it reorders tokens by topology, and its licence excludes the European Union",
    "efficient_dlm": "its licence is for research alone, and its configuration is not public enough to test against",
}
"""`model_type` -> why it cannot be used."""

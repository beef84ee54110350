"""What a user would take instead, on the same shape and machine: milliseconds of a pass over a block of slots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from shapes import Shape
from timing import wall


def transformers_ms(shape: Shape, context: int, block: int, device: torch.device, compiled: bool) -> dict[str, float]:
    """A pass of Qwen2 with a static cache, eager or compiled (`reduce-overhead`: with CUDA graphs)."""
    from transformers import Qwen2Config, Qwen2ForCausalLM, StaticCache

    options: dict[str, Any] = {
        "vocab_size": shape.vocab_size,
        "hidden_size": shape.d_model,
        "intermediate_size": shape.d_ff,
        "num_hidden_layers": shape.n_layers,
        "num_attention_heads": shape.n_heads,
        "num_key_value_heads": shape.n_kv_heads,
        "head_dim": shape.head_dim,
        "tie_word_embeddings": shape.tied_head,
        "attn_implementation": "sdpa",
    }
    config = Qwen2Config(**options)

    def make() -> Callable[[], object]:
        with torch.device(device):
            model: Any = Qwen2ForCausalLM(config)
        model = model.to(torch.bfloat16 if device.type == "cuda" else torch.float32).eval()
        cache = StaticCache(config=config, max_cache_len=context + 2 * block)
        prompt = torch.randint(0, shape.vocab_size, (1, context), device=device)
        model(prompt, past_key_values=cache, use_cache=True, logits_to_keep=1)
        tokens = torch.randint(0, shape.vocab_size, (1, block), device=device)
        places = torch.arange(context, context + block, device=device)
        forward = torch.compile(model, mode="reduce-overhead", fullgraph=False) if compiled else model

        def step() -> object:
            for layer in cache.layers:
                # the block is written over the one of the last pass
                _set_length_(layer, context)
            out = forward(tokens, past_key_values=cache, use_cache=True, position_ids=places[None])
            return out.logits.float().softmax(-1).max(-1)

        return step

    return _timed(make, device)


def _set_length_(layer: Any, length: int) -> None:
    """Makes a layer of a static cache hold so many tokens; versions of transformers keep that in two ways."""
    if isinstance(getattr(layer, "cumulative_length", None), torch.Tensor):
        layer.cumulative_length.fill_(length)
    elif hasattr(layer, "cumulative_length"):
        layer.cumulative_length = length


def flex_attention_ms(shape: Shape, context: int, block: int, device: torch.device) -> dict[str, float]:
    """One layer's attention of the block by torch's flex attention, compiled on a GPU."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    def make() -> Callable[[], object]:
        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        q = torch.randn(1, shape.n_heads, block, shape.head_dim, device=device, dtype=dtype)
        k, v = (
            torch.randn(1, shape.n_kv_heads, context + 2 * block, shape.head_dim, device=device, dtype=dtype)
            for _ in range(2)
        )
        end = context + block
        size = context + 2 * block
        mask = create_block_mask(lambda _b, _h, _q, key: key < end, 1, 1, block, size, device=str(device))
        run = torch.compile(flex_attention) if device.type == "cuda" else flex_attention
        return lambda: run(q, k, v, block_mask=mask, enable_gqa=True)

    return _timed(make, device)


def _timed(make: Callable[[], Callable[[], object]], device: torch.device) -> dict[str, float]:
    with torch.no_grad():
        return {"ms": wall(make(), device)}

"""What a user would take instead, on the same shape and machine: milliseconds of a pass over a block of slots."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from shapes import Shape
from timing import wall


def transformers_ms(
    shape: Shape, context: int, block: int, device: torch.device, compiled: bool
) -> dict[str, float | str]:
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


def flex_attention_ms(shape: Shape, context: int, block: int, device: torch.device) -> dict[str, float | str]:
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


def fast_dllm_ms(
    repository: Path, shape: Shape, context: int, block: int, device: torch.device
) -> dict[str, float | str]:
    """A pass of Fast-dLLM's own loop (dual cache, blocks) over Dream's model of the same shape: fill time over passes.

    Args:
        repository: a checkout of github.com/NVlabs/Fast-dLLM; it is run as it is, with random weights.
        shape: of the model.
        context: tokens of the prompt.
        block: slots of a block; two are filled.
        device: where.
    """

    def make() -> Callable[[], object]:
        from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

        # transformers 5 has left the plain embedding out of the table that the model of Dream asks
        ROPE_INIT_FUNCTIONS.setdefault("default", _plain_rotary)
        sys.path.insert(0, str(repository / "dream"))
        from model.configuration_dream import DreamConfig  # type: ignore[import-not-found]
        from model.generation_utils_block import DreamGenerationMixin  # type: ignore[import-not-found]
        from model.modeling_dream import DreamModel  # type: ignore[import-not-found]

        config = DreamConfig(
            vocab_size=shape.vocab_size,
            hidden_size=shape.d_model,
            intermediate_size=shape.d_ff,
            num_hidden_layers=shape.n_layers,
            num_attention_heads=shape.n_heads,
            num_key_value_heads=shape.n_kv_heads,
            mask_token_id=5,
            pad_token_id=3,
        )
        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        with torch.device(device):
            model = DreamModel(config).to(dtype).eval()
        passes = [0]
        forward = model.forward

        def counted(*arguments: Any, **more: Any) -> Any:
            passes[0] += 1
            return forward(*arguments, **more)

        model.forward = counted
        options = types.SimpleNamespace(
            output_history=False,
            return_dict_in_generate=False,
            max_length=context + 2 * block,
            mask_token_id=5,
            steps=block,
            temperature=0.0,
            top_p=None,
            top_k=None,
            alg="confidence_threshold",
            alg_temp=None,
            eps=1e-3,
        )
        prompt = torch.randint(10, shape.vocab_size, (1, context), device=device)

        def fill() -> int:
            passes[0] = 0
            DreamGenerationMixin._sample(model, prompt, None, options, 0.9, block, True)
            return passes[0]

        return fill

    found = _timed(make, device)
    if "ms" in found and "result" in found:
        found["ms"] = float(found["ms"]) / float(found["result"])
    return found


def _plain_rotary(config: Any, device: Any = None, **_: Any) -> tuple[torch.Tensor, float]:
    width = config.hidden_size // config.num_attention_heads
    return config.rope_theta ** (-torch.arange(0, width, 2, device=device).float() / width), 1.0


def _timed(make: Callable[[], Callable[[], Any]], device: torch.device) -> dict[str, float | str]:
    """The time of one call, or why there is none: a peer that cannot run here is said to be so."""
    last: list[Any] = []
    try:
        with torch.no_grad():
            step = make()
            ms = wall(lambda: last.append(step()), device)
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"[:200]}
    return {"ms": ms, **({"result": last[-1]} if isinstance(last[-1], int) else {})}

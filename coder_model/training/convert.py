"""An autoregressive published model in the project's own layout, to be trained on as a block diffusion model.

Suffix first, causal context, a block of masks: the weights stay, the tokenizer stays, and the marks of the sequence are
tokens that the model knows with that meaning, or rows of its table that no token uses. The diffusion half has then
still to be learnt; the autoregressive half has to get used to the order of the parts.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from coder_model.checkpoints.hf_config import Published
from coder_model.checkpoints.loading import load_weights
from coder_model.errors import ModelFileError
from coder_model.model.transformer import Transformer
from coder_model.prompt.tokenizer import CodeTokenizer, SpecialTokens

BLOCK_LENGTH = 16
PAD_TOKEN = "<|fim_pad|>"


def convert(published: Published) -> tuple[Transformer, CodeTokenizer]:
    """Returns the model in float32 and its tokenizer, both as `weights.save` takes them.

    The mask begins as the mean of all embeddings, so that a slot says nothing yet; a snippet's mark as that of a file,
    the end of the suffix as that of a text.

    Raises:
        ModelFileError: when the model is not autoregressive with fill-in-the-middle tokens, or has no row to spare.
    """
    family, tokens, config = published.family, published.tokens, published.config
    if family.attention != "causal" or not all(family.fim):
        raise ModelFileError(
            f"{published.path} must be an autoregressive model with fill-in-the-middle tokens, such as "
            f"qwen2.5-coder-0.5b-base; found {family.name}"
        )
    loaded = load_weights(published, "float32")
    used = {i for i, data in enumerate(loaded.tokenizer.token_bytes) if data} | set(tokens.values())
    spare = [i for i in range(config.vocab_size) if i not in used]
    if len(spare) < 4:
        raise ModelFileError(f"{published.path} must have 4 rows that no token uses, found {len(spare)}")
    prefix, suffix, _ = (tokens[token] for token in family.fim)
    end = published.special_tokens.eom
    mask, snippet, suffix_end, pad = spare[:4]
    special_tokens = SpecialTokens(
        tokens.get(PAD_TOKEN, pad), mask, end, suffix, prefix, tokens[family.file], snippet, suffix_end
    )
    shape = replace(
        loaded.model.config,
        attention="causal_context",
        shifted=True,
        block_length=min(BLOCK_LENGTH, config.context_tokens),
    )
    model = Transformer(shape)
    model.load_state_dict(loaded.model.state_dict())
    with torch.no_grad():
        tables = [model.embed_tokens.weight] + ([] if shape.tied_head else [model.lm_head.weight])
        for table in tables:
            table[mask] = table[sorted(used)].mean(dim=0)
            table[snippet] = table[special_tokens.file]
            table[suffix_end] = table[end]
    return model.eval().requires_grad_(False), loaded.tokenizer.marked(special_tokens)

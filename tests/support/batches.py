"""A batcher on a tiny model, and a look at the batches that it makes."""

import torch

from coder_model.model.fused_transformer import FusedTransformer
from coder_model.model.kv_cache import KVCache
from coder_model.model.transformer import Transformer
from coder_model.prompt.vocabulary import Vocabulary
from coder_model.runtime.batcher import SLACK, Batcher

CAPACITY = 400 + SLACK


def passes_of(model, tokenizer, rows=4, widest=4, sync_interval=1):
    vocabulary = Vocabulary(tokenizer)
    network = FusedTransformer(model, torch.float32, CAPACITY)
    cache = KVCache(model.config, rows + 1, CAPACITY, torch.float32)
    return Batcher(network, cache, vocabulary.forbidden, vocabulary.ends, widest, sync_interval)


def tokens_of(tokenizer, n, seed=0):
    return torch.randint(10, tokenizer.vocab_size, (n,), generator=torch.Generator().manual_seed(seed)).tolist()


def random_transformer(config):
    """A model whose weights are random, and not near zero anywhere."""
    model = Transformer(config)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3 + (parameter.dim() == 1))
    return model.eval().requires_grad_(False)


def assert_near(found, expected):
    assert float((found - expected).abs().max()) < 1e-4


def note_batches(batcher):
    """The sizes of all batches from now on."""
    sizes = []
    note_batches_by(batcher, lambda works: sizes.append(len(works)))
    return sizes


def note_batches_by(batcher, note):
    """Calls `note` with every batch from now on."""
    scheduler = batcher._scheduler
    execute = scheduler._execute
    scheduler._execute = lambda works: (note(works), execute(works))

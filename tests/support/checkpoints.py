"""Tiny random checkpoints in the exact layout of each published family, and the independent model they came from."""

import json

import torch
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Ministral3Config,
    Ministral3ForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from coder_model.checkpoints.families import FAMILIES
from coder_model.checkpoints.hf_tokenizer import QWEN_PIECE
from coder_model.model.transformer import causally

TEXT = """def total(values, start=0):
    result = start
    for value in values:
        if value > 0:
            result += value
    return result


class Counter:
    def __init__(self, name):
        self.name = name
        self.count = 0

    def add(self, number):
        self.count = self.count + number
        return self.count
"""
N_PLAIN, VOCAB = 340, 384
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "vocab_size": VOCAB,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
    "attn_implementation": "eager",
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 1_000_000.0,
    "factor": 16.0,
    "original_max_position_embeddings": 256,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "mscale": 1.0,
    "mscale_all_dim": 1.0,
    "llama_4_scaling_beta": 0.1,
}
BY_NAME = {family.name: family for family in FAMILIES}


def some_tokens(n, seed=0):
    return torch.randint(0, N_PLAIN, (n,), generator=torch.Generator().manual_seed(seed)).tolist()


def causal_logits(model, tokens):
    """[T, V], what follows each token."""
    return model.logits(model(torch.tensor([tokens]), torch.arange(len(tokens))[None], causally))[0]


def tokens_of(family, vocab_size=VOCAB):
    """The added tokens that a family needs, with ids behind the plain ones; the mask in a padded row."""
    names = [*family.end, family.start, *family.fim, family.file, family.repository, family.expand]
    ids = {name: N_PLAIN + i for i, name in enumerate(dict.fromkeys(name for name in names if name))}
    if family.mask:
        ids[family.mask[0]] = vocab_size - 2
    return ids


def plain_tokenizer(piece=QWEN_PIECE, vocab_size=N_PLAIN, texts=(TEXT,)):
    """A byte-level BPE with the pre-tokenizer of Qwen2."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(piece), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def reference(family, sizes, seed=0):
    """A random model of transformers with the family's architecture, float32."""
    torch.manual_seed(seed)
    if family.name == "nemotron-labs-diffusion":
        config = Ministral3Config(**sizes, head_dim=8, rope_parameters=YARN)
        model = Ministral3ForCausalLM(config)
    elif family.qk_norm:
        model = Qwen3ForCausalLM(Qwen3Config(**sizes, head_dim=8, rope_theta=10_000.0))
    elif family.qkv_bias:
        model = Qwen2ForCausalLM(Qwen2Config(**sizes, rope_theta=10_000.0))
    else:
        model = LlamaForCausalLM(LlamaConfig(**sizes, rope_theta=10_000.0))
    with torch.no_grad():
        for parameter in model.parameters():
            spread = 0.3 if parameter.dim() == 2 else 0.1
            parameter.copy_(torch.randn(parameter.shape) * spread + (parameter.dim() == 1))
    return model.eval()


def published_name(family, name):
    """What a tensor of transformers' model is called in the family's files."""
    return family.names.theirs(name.removeprefix("model."))


def build(family, directory, seed=0, dtype=torch.float32, n_files=1, as_merges=False, **other_sizes):
    """Writes a checkpoint of a family, tiny unless other sizes are wanted; returns the independent model."""
    directory.mkdir(parents=True, exist_ok=True)
    sizes = {**SIZES, **other_sizes}
    model = reference(family, sizes, seed)
    tensors = {published_name(family, name): tensor.to(dtype) for name, tensor in model.state_dict().items()}
    names = sorted(tensors)
    for number in range(n_files):
        name = "model.safetensors" if n_files == 1 else f"model-{number + 1:05d}-of-{n_files:05d}.safetensors"
        save_file({n: tensors[n].contiguous() for n in names[number::n_files]}, directory / name)
    configuration = {name: value for name, value in sizes.items() if name != "attn_implementation"}
    configuration |= {"model_type": sorted(family.model_types)[0], "rms_norm_eps": model.config.rms_norm_eps}
    configuration |= {"hidden_act": "silu", "auto_map": {"AutoModel": "modeling.Evil"}}
    if family.name == "nemotron-labs-diffusion":
        configuration |= {"rope_parameters": YARN, "head_dim": 8}
    else:
        configuration |= {"rope_theta": 10_000.0} | ({"head_dim": 8} if family.qk_norm else {})
    for ours, theirs in family.sizes.items():
        if ours in configuration:
            configuration[theirs] = configuration.pop(ours)
    (directory / "config.json").write_text(json.dumps(configuration))
    write_tokenizer(directory, tokens_of(family, sizes["vocab_size"]), as_merges)
    return model


def write_tokenizer(directory, added, as_merges=False):
    """Writes `tokenizer.json` as the tokenizers library does, or `vocab.json` and `merges.txt` as Dream has them."""
    values = json.loads(plain_tokenizer().to_str())
    if as_merges:
        (directory / "vocab.json").write_text(json.dumps(values["model"]["vocab"]))
        merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in values["model"]["merges"]]
        (directory / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
        (directory / "added_tokens.json").write_text(json.dumps(added))
        return
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    values["added_tokens"] = [{"id": i, "content": text, **flags} for text, i in added.items()]
    values["normalizer"] = {"type": "NFC"}
    (directory / "tokenizer.json").write_text(json.dumps(values))

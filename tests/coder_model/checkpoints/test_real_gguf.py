"""The real 0.5B, where it lies on this machine: tokenizer and logits of transformers, text of llama.cpp."""

import random
from pathlib import Path

import gguf_files
import pytest
import torch

from coder_model.checkpoints.loading import load_weights
from coder_model.checkpoints.published import read_published

ROOT = Path(__file__).parents[3]
PROSE = (
    "Größe, naïve — «quoted» 你好、世界 🙂🙂 ½ x² Ünïcödé e\u0301 \u200b it's THEY'LL 1234567 3.14e-10\n\n\n   \t end "
)


@pytest.fixture(scope="module")
def file():
    return gguf_files.real_file()


@pytest.fixture(scope="module")
def loaded(file):
    return load_weights(read_published(file), "float32")


@pytest.fixture(scope="module")
def theirs(file):
    """transformers' tokenizer of the same file."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)


def pieces_of_code(n):
    """Pieces of this project's files, cut anywhere, and of prose in several scripts."""
    texts = [path.read_text("utf-8") for path in sorted(ROOT.glob("*/**/*.py")) if "site-packages" not in path.parts]
    rng = random.Random(0)
    for i in range(n):
        text = PROSE if i % 10 == 0 else rng.choice(texts)
        start = rng.randrange(len(text) or 1)
        yield text[start : start + rng.randint(1, 2000)]


def test_tokens_are_those_of_transformers(loaded, theirs):
    for text in pieces_of_code(500):
        ours = loaded.tokenizer.encode(text)
        # NFC, which we leave out so that bytes stay
        import unicodedata

        if unicodedata.normalize("NFC", text) == text:
            assert ours == theirs.encode(text, add_special_tokens=False, split_special_tokens=True)
        assert loaded.tokenizer.decode(ours) == text


@torch.inference_mode()
def test_logits_are_those_of_transformers(file, loaded):
    from transformers import AutoModelForCausalLM

    independent = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)

    def attend(_, q, k, v):
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)

    for text in ("def is_leap(year):\n    ", "".join(pieces_of_code(1))):
        tokens = loaded.tokenizer.encode(text)[:200]
        expected = independent(torch.tensor([tokens])).logits[0]
        hidden = loaded.model(torch.tensor([tokens]), torch.arange(len(tokens))[None], attend)
        torch.testing.assert_close(loaded.model.logits(hidden)[0], expected, atol=2e-3, rtol=1e-3)

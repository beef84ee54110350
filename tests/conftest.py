"""A tiny random model whose files have the real layout, made once per run."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch

if not torch.cuda.is_available():
    # before anything imports Triton: its own functions are made for the interpreter or for a compiler, once
    os.environ["TRITON_INTERPRET"] = "1"

from hypothesis import settings
from platformdirs import user_cache_path

from coder_model.model import weights
from coder_model.model.config import ModelConfig
from coder_model.model.transformer import Transformer
from coder_model.prompt.tokenizer import CodeTokenizer
from coder_model.worker import threads

# where this runs behind a shell's `&` an interrupt is ignored, and so it would be by every program that a test starts
signal.signal(signal.SIGINT, signal.default_int_handler)

# a shared machine may pause a test at any moment: no timing is asserted
settings.register_profile("unmask", deadline=None)
settings.load_profile("unmask")

ROOT = Path(__file__).parents[1]


def tiny_config(vocab_size: int) -> ModelConfig:
    return ModelConfig(
        vocab_size=vocab_size,
        d_model=32,
        n_layers=2,
        n_heads=4,
        n_kv_heads=2,
        head_dim=8,
        d_ff=48,
        context_tokens=256,
        block_length=8,
    )


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Commands that run in this process would take two, which on tiny tensors wait for each other most of the time."""
    threads.MAX_THREADS = 1
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _state_of_its_own(tmp_path_factory):
    """No test reads or writes what the user has; the servers that tests start inherit this."""
    # but what is only read: real weights, and the browser
    os.environ.setdefault("UNMASK_TEST_WEIGHTS", str(user_cache_path("unmask", appauthor=False) / "weights"))
    os.environ.setdefault("PLAYWRIGHT_BROWSERS_PATH", str(user_cache_path("ms-playwright", appauthor=False)))
    for name in ("STATE_HOME", "DATA_HOME", "CONFIG_HOME", "CACHE_HOME", "RUNTIME_DIR"):
        os.environ[f"XDG_{name}"] = str(tmp_path_factory.mktemp(name.partition("_")[0].lower()))


@pytest.fixture(scope="session")
def tokenizer() -> CodeTokenizer:
    # text that stays as it is: what a random model says depends on every token
    texts = [(ROOT / "coder_model" / "evaluation" / "data" / "own_cases.jsonl").read_text("utf-8")]
    return CodeTokenizer.train([json.loads(line)["prefix"] for text in texts for line in text.splitlines()], 600)


@pytest.fixture(scope="session")
def model(tokenizer) -> Transformer:
    """Random, and not near zero anywhere: fresh weights would make every layer an identity."""
    made = Transformer(tiny_config(tokenizer.vocab_size))
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in made.parameters():
            spread = 0.3 if parameter.dim() == 2 else 0.1
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread + (parameter.dim() == 1))
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def model_directory(model, tokenizer, tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("model")
    weights.save(model, tokenizer, directory)
    return directory


@pytest.fixture(scope="session")
def gpu():
    """The Triton kernels: interpreted where there is no GPU; on a GPU, with what is on the CPU moved there and back."""
    if torch.cuda.is_available():
        import native

        yield native.Native(torch.device("cuda"))
        return
    pytest.importorskip("triton", reason="Triton has no wheels for this system")
    import interpreter

    interpreter.install()
    from coder_kernels.gpu import kernels

    yield kernels
    interpreter.remove()

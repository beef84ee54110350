"""The larger model, cut to the tokens of a corpus, out of either kind of file."""

from pathlib import Path

import checkpoints
import gguf_files
import numpy as np
import pytest
import torch

from coder_model.checkpoints.hf_config import read_published
from coder_model.checkpoints.loading import load_weights
from coder_model.errors import CorpusError, ModelFileError
from coder_model.model.transformer import causally
from coder_model.training.published.holes import HoleTokens
from coder_model.training.published.target import load_cut, read_tokens, write_cut
from coder_model.training.published.vocabulary import Cut

HEAD = 20


def gguf(architecture, kind, **more):
    return lambda folder: gguf_files.build(architecture, folder / "tiny.gguf", kind, **more)


def safetensors(family, dtype, **more):
    return lambda folder: checkpoints.build(checkpoints.BY_NAME[family], folder, dtype=dtype, **more)


MODELS = {
    "qwen2 in blocks": gguf("qwen2", "Q8_0"),
    "qwen2 in blocks, without a head of its own": gguf("qwen2", "Q4_0", tied=True),
    "llama in blocks, whose rows are in another order": gguf("llama", "Q8_0"),
    "qwen3 in float16": gguf("qwen3", "F16"),
    "qwen2 in bfloat16": safetensors("qwen2.5-coder", torch.bfloat16),
    "qwen3 in several files": safetensors("qwen3", torch.float32, n_files=3),
    "as many values in a row as tokens": safetensors("qwen2.5-coder", torch.float16, intermediate_size=384),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_cut_model_says_of_the_kept_tokens_what_the_whole_one_says(name, tmp_path: Path):
    MODELS[name](tmp_path)
    published = read_published(tmp_path)
    ids = np.random.default_rng(0).permutation(checkpoints.VOCAB)[:33].astype(np.int32)
    cut, marks = Cut(ids, HEAD), HoleTokens(1, 2, 3, 4, 32, np.full((33, 2), -1), is_appended=False)
    (tmp_path / "cut").mkdir()
    write_cut(published, cut, marks, tmp_path / "cut")
    model = load_cut(tmp_path / "cut", torch.device("cpu"), torch.float32)
    whole = load_weights(published, "float32").model
    kept = torch.from_numpy(ids.astype(np.int64))
    tokens, positions = torch.randint(0, len(ids), (1, 20)), torch.arange(20)[None]
    said = model(tokens, positions, causally) @ model.lm_head.weight.T
    expected = whole(kept[tokens], positions, causally) @ whole.head[kept[:HEAD]].T
    torch.testing.assert_close(said, expected, rtol=1e-4, atol=1e-3)
    read = read_tokens(tmp_path / "cut")
    assert (read.end, read.is_appended, len(read.breaks)) == (4, False, 33)


def test_what_is_no_cut_model_is_one_clear_line(tmp_path: Path):
    with pytest.raises(ModelFileError, match="must hold a model that was cut"):
        load_cut(tmp_path, torch.device("cpu"), torch.float32)
    with pytest.raises(CorpusError, match="must hold a cut vocabulary"):
        read_tokens(tmp_path)

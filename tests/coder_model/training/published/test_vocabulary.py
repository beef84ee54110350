from pathlib import Path

import checkpoints
import numpy as np
import pytest

from coder_model.checkpoints.hf_config import read_published
from coder_model.checkpoints.loading import tokenizer_of_model
from coder_model.errors import CorpusError, ModelFileError
from coder_model.training.published.vocabulary import check_is_trainable, choose_vocabulary, cut_of, head_size

FAMILY = checkpoints.BY_NAME["qwen2.5-coder"]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("model")
    checkpoints.build(FAMILY, folder)
    return read_published(folder)


@pytest.fixture(scope="module")
def tokenizer(published):
    return tokenizer_of_model(published)


def chosen(published, tokenizer, text, **more):
    counts = np.bincount(tokenizer.encode(text), minlength=checkpoints.VOCAB)
    return choose_vocabulary(published, tokenizer, counts, **more)


def test_a_head_can_say_every_text_and_what_the_corpus_says_often(published, tokenizer):
    least = head_size(published, tokenizer, None) - 40
    cut, _ = chosen(published, tokenizer, checkpoints.TEXT, head_tokens=least)
    head = set(cut.ids[:least].tolist())
    assert {i for i, data in enumerate(tokenizer.token_bytes) if len(data) == 1} <= head
    assert {published.tokens[name] for name in (*FAMILY.fim, *FAMILY.end, FAMILY.file, FAMILY.repository)} <= head
    counts = np.bincount(tokenizer.encode(checkpoints.TEXT), minlength=checkpoints.VOCAB)
    left_out = [i for i in range(checkpoints.VOCAB) if i not in head]
    longer = [i for i in head if len(tokenizer.token_bytes[i]) > 1]
    assert min(counts[longer]) >= max(counts[left_out])


def test_the_sampler_knows_marks_and_line_ends_in_the_new_numbers(published, tokenizer):
    cut, marks = chosen(published, tokenizer, checkpoints.TEXT, head_tokens=head_size(published, tokenizer))
    names = ("fim_prefix", "fim_suffix", "fim_middle")
    for name, token in zip(names, FAMILY.fim, strict=True):
        assert cut.ids[getattr(marks, name)] == published.tokens[token]
    assert cut.ids[marks.end] == published.special_tokens.end
    assert marks.unknown == len(cut.ids) - 1
    assert not tokenizer.token_bytes[cut.ids[marks.unknown]]
    assert not marks.is_appended
    n_broken = 0
    for old, (before, after) in zip(cut.ids, marks.breaks, strict=True):
        if after >= 0:
            parts = [b"" if part < 0 else tokenizer.token_bytes[cut.ids[part]] for part in (before, after)]
            assert b"".join(parts) == tokenizer.token_bytes[old]
            assert b"\n" not in parts[0]
            assert parts[1].startswith(b"\n")
            n_broken += 1
    assert n_broken >= 3


def test_renumbered_text_is_the_same_text(published, tokenizer):
    cut, marks = chosen(published, tokenizer, checkpoints.TEXT, head_tokens=300, kept=320)
    ids = np.array(tokenizer.encode(checkpoints.TEXT))
    renumbered = cut.renumbered(ids, checkpoints.VOCAB)
    known = renumbered != marks.unknown
    assert np.array_equal(cut.ids[renumbered[known]], ids[known])
    assert known.mean() > 0.9


def test_the_most_frequent_tokens_stay():
    cut = cut_of(np.array([5, 0, 9, 1, 7]), always=[1], unknown=3, kept=4, head_tokens=2)
    assert cut.ids.tolist() == [1, 2, 4, 3]
    assert cut.renumbered(np.array([0, 1, 2, 3, 4]), 5).tolist() == [3, 0, 1, 3, 2]


@pytest.mark.parametrize("wanted", [0, 255, 384, 10_000])
def test_a_head_of_an_impossible_size_is_named(published, tokenizer, wanted):
    with pytest.raises(CorpusError, match=rf"head-tokens must be from 2\d\d to 383, got {wanted}"):
        head_size(published, tokenizer, wanted)


@pytest.mark.parametrize(
    ("family", "more", "match"),
    [
        ("llama", {}, "fill-in-the-middle tokens, .* is a llama model"),
        ("dream", {}, "must be an autoregressive model .* is a dream model"),
        ("qwen2.5-coder", {"num_hidden_layers": 1}, "at least 2 layers .* found 1 and 512"),
        ("qwen2.5-coder", {"max_position_embeddings": 128}, "see 256 tokens, found 2 and 128"),
    ],
)
def test_a_model_that_nothing_can_be_trained_for_is_named(family, more, match, tmp_path: Path):
    checkpoints.build(checkpoints.BY_NAME[family], tmp_path, **more)
    with pytest.raises(ModelFileError, match=match):
        check_is_trainable(read_published(tmp_path))

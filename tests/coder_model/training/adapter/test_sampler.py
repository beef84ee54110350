from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_drafter import OPTIONS, VOCABULARY, corpus, marks, random_texts

from coder_model.training.adapter.options import AdapterOptions
from coder_model.training.adapter.sampler import AdapterSampler
from coder_model.training.shards import Shard

UNKNOWN, SUFFIX, MIDDLE, END = VOCABULARY - 1, 2, 3, 4
PREFIX_TOKENS, PREFIX_WEIGHT = 7, 0.25


def batch_of(folder: Path, texts, head_tokens=VOCABULARY, seed=0, is_appended=True, rows=4, number=0):
    options = AdapterOptions("", "", 1.0, OPTIONS, prefix_tokens=PREFIX_TOKENS, prefix_weight=PREFIX_WEIGHT)
    known = replace(marks(), is_appended=is_appended)
    shard = Shard.open(corpus(folder, texts), "train")
    return AdapterSampler(shard, known, head_tokens, options, seed).batch(number, rows)


def with_unknown(texts):
    return [[UNKNOWN if index % 6 == 5 else token for index, token in enumerate(text)] for text in texts]


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10_000),
    st.lists(st.integers(2, 150), min_size=1, max_size=4),
    st.integers(20, VOCABULARY),
    st.booleans(),
    st.booleans(),
)
def test_what_counts_is_the_middle_with_its_end_and_some_places_of_the_prefix(
    tmp_path_factory: pytest.TempPathFactory, seed, lengths, head_tokens, has_unknown, is_appended
):
    texts = random_texts(seed, lengths)
    texts = with_unknown(texts) if has_unknown else texts
    batch = batch_of(tmp_path_factory.mktemp("corpus"), texts, head_tokens, seed, is_appended)
    for row, weights, in_middle in zip(batch.tokens.tolist(), batch.weights, batch.in_middle, strict=True):
        at, end = row.index(MIDDLE), row.index(END)
        prefix = range(at + 1, end) if is_appended else range(1, row.index(SUFFIX))
        # a middle is what is followed by its tokens and by the end mark
        middle = range(int(in_middle.nonzero()[0]), end)
        assert in_middle.nonzero().flatten().tolist() == list(middle)
        assert middle.start == at if not is_appended else middle.start >= at
        can_be_said = torch.tensor([token < head_tokens and token != UNKNOWN for token in [*row[1:], UNKNOWN]])
        assert torch.equal(weights[in_middle], can_be_said[in_middle].float())
        # the end can always be said
        assert weights[end - 1] == 1.0
        others = (weights * ~in_middle).nonzero().flatten().tolist()
        assert len(others) <= PREFIX_TOKENS
        for place in others:
            assert weights[place] == PREFIX_WEIGHT
            assert place in prefix
            assert place + 1 in prefix
            assert can_be_said[place]


def test_as_many_places_of_the_prefix_count_as_are_there_up_to_a_number(tmp_path):
    batch = batch_of(tmp_path, random_texts(3, [150, 140]), rows=16)
    for row, weights, in_middle in zip(batch.tokens.tolist(), batch.weights, batch.in_middle, strict=True):
        length = int(in_middle.nonzero()[0]) - row.index(MIDDLE)
        assert int(((weights > 0) & ~in_middle).sum()) == min(PREFIX_TOKENS, max(0, length - 1))


def test_batches_are_a_function_of_their_number(tmp_path):
    texts = random_texts(0, [100, 80])
    one, two = (batch_of(tmp_path, texts, seed=5, number=3) for _ in range(2))
    assert torch.equal(one.tokens, two.tokens)
    assert torch.equal(one.weights, two.weights)
    assert not torch.equal(one.tokens, batch_of(tmp_path, texts, seed=5, number=4).tokens)

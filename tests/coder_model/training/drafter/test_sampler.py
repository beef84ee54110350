from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_drafter import LINE_END, OPTIONS, VOCABULARY, corpus, marks, random_texts

from coder_model.training.drafter.sampler import DrafterSampler
from coder_model.training.shards import Shard


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.lists(st.integers(2, 150), min_size=1, max_size=4))
def test_a_sequence_is_a_file_cut_at_a_hole(tmp_path_factory: pytest.TempPathFactory, seed: int, lengths: list[int]):
    texts = random_texts(seed, lengths)
    shard = Shard.open(corpus(tmp_path_factory.mktemp("corpus"), texts), "train")
    batch = DrafterSampler(shard, marks(), OPTIONS, seed).batch(0, 4)
    for row, anchors, in_middle in zip(batch.tokens.tolist(), batch.anchors.tolist(), batch.in_middle, strict=True):
        assert row[:2] == [1, 2]
        at, end = row.index(3), max(i for i, token in enumerate(row) if token == 4)
        assert set(row[end + 1 :]) <= {VOCABULARY - 1}
        suffix, rest = row[2:at], row[at + 1 : end]
        # token 10 may have been cut in two
        written = [a for token in [*rest, *suffix] for a in ([11, LINE_END] if token == 10 else [token])]
        whole = [[a for token in text for a in ([11, LINE_END] if token == 10 else [token])] for text in texts]
        assert any(str(written)[1:-1] in str(text) for text in whole)
        assert all(at < anchor < end for anchor in anchors)
        assert bool(in_middle.any())


def test_batches_are_a_function_of_their_number(tmp_path: Path):
    shard = Shard.open(corpus(tmp_path, random_texts(0, [100, 80])), "train")
    one, two = (DrafterSampler(shard, marks(), OPTIONS, 5).batch(3, 2) for _ in range(2))
    assert torch.equal(one.tokens, two.tokens)
    assert torch.equal(one.weights, two.weights)


def test_nothing_counts_behind_the_end_behind_an_unknown_token_or_where_the_answer_is_shown(tmp_path: Path):
    texts = random_texts(1, [90, 70])
    for text in texts:
        text[::7] = [VOCABULARY - 1] * len(text[::7])
    shard = Shard.open(corpus(tmp_path, texts), "train")
    batch = DrafterSampler(shard, marks(), OPTIONS, 0).batch(0, 8)
    for row, block in np.ndindex(8, OPTIONS.anchors):
        tokens, anchor = batch.tokens[row], int(batch.anchors[row, block])
        end = max(i for i, token in enumerate(tokens.tolist()) if token == 4)
        for slot in range(OPTIONS.block_length):
            if batch.weights[row, block, slot] > 0:
                assert anchor + slot + 1 <= end
                assert VOCABULARY - 1 not in tokens[anchor : anchor + slot + 2]
                assert slot + 1 == OPTIONS.block_length or not batch.known[row, block, slot + 1]


def test_a_model_that_is_asked_prefix_first_is_trained_so(tmp_path: Path):
    text = [5, 6, 7, 8, LINE_END, *range(12, 60)]
    shard = Shard.open(corpus(tmp_path, [text]), "train")
    sampler = DrafterSampler(shard, replace(marks(), is_appended=False), OPTIONS, 0)
    in_prefix = 0
    for number in range(20):
        batch = sampler.batch(number, 1)
        tokens = batch.tokens[0].tolist()
        suffix, middle = tokens.index(2), tokens.index(3)
        end = tokens.index(4)
        assert tokens[0] == 1
        assert str(text).startswith(str(tokens[1:suffix] + tokens[middle + 1 : end])[:-1])
        for block, anchor in enumerate(batch.anchors[0].tolist()):
            last = suffix - 1 if anchor < suffix else end
            assert 1 <= anchor < suffix or middle <= anchor < end
            assert bool(batch.in_middle[0, block]) == (anchor >= middle)
            said = anchor + 1 + (batch.weights[0, block] > 0).nonzero()
            assert not len(said) or int(said.max()) <= last
            in_prefix += len(said) if anchor < suffix else 0
    assert in_prefix > 0

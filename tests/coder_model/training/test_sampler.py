"""Rows of a batch: what is drawn, as a function of its number, and what is masked in it."""

import random
import re
from dataclasses import replace

import pytest
import torch
from tiny_training import NOISE

from coder_model.model import weights
from coder_model.prompt.tokenizer import EOM, MASK, PRE, SNIP, SUF, CodeTokenizer
from coder_model.training.sampler import IGNORE, Sampler
from coder_model.training.shards import Shard


def test_a_batch_is_a_function_of_its_number(sampler):
    a, b = sampler.batch(5, range(2), 64), sampler.batch(5, range(2), 64)
    assert torch.equal(a.clean, b.clean)
    assert torch.equal(a.noised, b.noised)
    assert not torch.equal(a.clean, sampler.batch(6, range(2), 64).clean)


def test_some_examples_show_pieces_of_neighbouring_files(corpus):
    tokenizer = CodeTokenizer.load(corpus / weights.TOKENIZER)
    sampler = Sampler(Shard.open(corpus, "train"), tokenizer, NOISE, seed=3)
    examples = [sampler.example(random.Random(number), 400).tokens for number in range(200)]
    with_snippets = [tokens for tokens in examples if SNIP in tokens]
    assert 0.2 < len(with_snippets) / len(examples) < 0.4
    assert all(tokens.index(SUF) < tokens.index(SNIP) < tokens.index(PRE) for tokens in with_snippets)
    for tokens in with_snippets:
        snippet = tokenizer.decode(tokens[tokens.index(SNIP) + 1 : tokens.index(PRE)])
        assert re.match(r"m\d\.py\n", snippet)


def test_a_language_is_drawn_as_often_as_its_weight_says(corpus, tmp_path):
    tokenizer = CodeTokenizer.load(corpus / weights.TOKENIZER)
    shard = Shard.open(corpus, "train")
    mixed = replace(shard, names=[name.replace(".py", ".rs") if "alpha" in name else name for name in shard.names])
    for weight in (0.0, 3.0):
        sampler = Sampler(mixed, tokenizer, NOISE, seed=3, language_weights={"rust": weight})
        drawn = [tokenizer.decode(sampler.example(random.Random(number), 64).tokens[1:8]) for number in range(300)]
        share = sum(".rs" in start for start in drawn) / sum(".rs" in start or ".py" in start for start in drawn)
        assert share == pytest.approx(weight / (weight + 1), abs=0.1)


def test_processes_that_share_a_batch_see_the_rows_of_one(sampler):
    whole = sampler.batch(5, range(4), 64)
    parts = [sampler.batch(5, rows, 64) for rows in (range(2), range(2, 4))]
    for name in ("clean", "targets", "in_middle", "starts", "noised", "noised_targets", "full"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))


def test_noised_blocks_agree_with_the_clean_text_and_their_targets(sampler):
    for number in range(8):
        batch = sampler.batch(number, range(3), 64)
        length = batch.block_length
        for row in range(3):
            for k, start in enumerate(batch.starts[row].tolist()):
                clean = batch.clean[row, start : start + length].tolist()
                noised = batch.noised[row, k * length : (k + 1) * length].tolist()
                targets = batch.noised_targets[row, k * length : (k + 1) * length].tolist()
                end = clean.index(EOM) if EOM in clean else length
                assert noised[0] == clean[0]
                assert targets[-1] == IGNORE
                for slot in range(1, length):
                    assert noised[slot] in (clean[slot], MASK)
                    wanted = clean[slot] if noised[slot] == MASK and slot <= end else IGNORE
                    assert targets[slot - 1] == wanted
                    if batch.full[row, k]:
                        assert noised[slot] == MASK


def test_an_example_is_the_sequence_that_serving_builds(sampler):
    rng = random.Random(1)
    for _ in range(30):
        example = sampler.example(rng, 96)
        assert example.tokens[-1] == EOM
        assert example.tokens[example.prefix_start - 1] == PRE
        assert SUF in example.tokens[: example.prefix_start]
        assert example.prefix_start <= example.hole_start < len(example.tokens)


def test_the_marked_targets_are_those_of_the_middle(sampler):
    rng = random.Random("3/0/0")
    batch = sampler.batch(0, range(1), 64)
    expected: list[bool] = []
    while len(expected) < 64:
        example = sampler.example(rng, 64)
        expected += [example.hole_start <= i + 1 < len(example.tokens) for i in range(len(example.tokens))]
    assert batch.in_middle[0].tolist() == expected[:64]

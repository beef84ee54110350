"""What is drawn has the model's distribution, with drafts and without."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import fill, foreign_vocabulary
from tiny_engine import DOCUMENT, engine, last

from coder_model.decoding.sampling import Sampling
from coder_model.model import weights
from coder_model.model.embedded import DEFAULT_MODEL

DRAWN = 1000
CHI_SQUARED = {2: 18.4, 8: 31.8}
"""Degrees of freedom, and what is exceeded in one of ten thousand cases."""


@pytest.fixture(scope="module")
def vocabulary():
    return foreign_vocabulary()


def chi_squared(counts, chances):
    expected = np.asarray(chances) * sum(counts)
    return float(((np.asarray(counts) - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_have_the_distribution(temperature):
    shares = np.array([0.0, 0.6, 0.3, 0.0, 0.1], np.float32)
    drawn = [Sampling(temperature, seed).draw(shares, 3) for seed in range(DRAWN)]
    powers = shares[[1, 2, 4]] ** (1 / temperature)
    assert set(drawn) == {1, 2, 4}
    assert chi_squared([drawn.count(token) for token in (1, 2, 4)], powers / powers.sum()) < CHI_SQUARED[2]


def says(text):
    """Three first tokens, and after each three others by other chances."""
    first = {b"": (0.5, 0.3, 0.2), b"=": (0.7, 0.2, 0.1), b"(": (0.2, 0.2, 0.6), b"[": (0.1, 0.8, 0.1)}
    return dict(zip((b"=", b"(", b"["), first[text[-1:]], strict=True))


@pytest.mark.parametrize("draft", [b"", b"=", b"=(", b"[[", b"((=="])
def test_middles_have_the_distribution_whatever_is_drafted(vocabulary, draft):
    recalled = [vocabulary.bytes.index(bytes([byte])) for byte in draft]
    found = [
        fill(vocabulary, "", says, floor=0.0, limit=2, recalled=recalled, sampling=Sampling(1.0, seed))[0]
        for seed in range(DRAWN)
    ]
    pairs = {bytes([a, b]): says(b"")[bytes([a])] * says(bytes([a]))[bytes([b])] for a in b"=([" for b in b"=(["}
    assert chi_squared([found.count(pair) for pair in pairs], [*pairs.values()]) < CHI_SQUARED[8]


@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_a_draft_changes_no_draw(model, tokenizer, seed):
    options = {"temperature": 1.0, "seed": seed, "alternatives": 0}
    prefix = DOCUMENT + "def count(items):\n    "
    one_by_one = last(engine(model, tokenizer, policy="one_token", **options), prefix, hole="block")
    drafted = engine(model, tokenizer, **options)
    first, again = (last(drafted, prefix, hole="block") for _ in range(2))
    assert first.text == again.text == one_by_one.text


def test_without_a_temperature_the_likeliest_is_taken():
    prefix = DOCUMENT + "def count(items):\n    "

    def texts(temperature):
        options = {"temperature": temperature, "alternatives": 0}
        made = [engine(*weights.load(DEFAULT_MODEL), seed=seed, **options) for seed in range(4)]
        return {last(one, prefix, hole="block").text for one in made}

    assert len(texts(0.0)) == 1
    assert len(texts(1.5)) > 1

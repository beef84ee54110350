"""What is said of fills, of a sampler that says known tokens."""

from types import SimpleNamespace

import pytest
import torch

from coder_model.model import weights
from coder_model.prompt.tokenizer import CodeTokenizer
from coder_model.training.literature.measure import fills, shown
from coder_model.training.literature.samplers.canvas import Filled
from coder_model.training.literature.text import LENGTH, SLOTS, OpenHoles

WANTED = "return value"


@pytest.fixture(scope="module")
def tokenizer(corpus):
    return CodeTokenizer.load(corpus / weights.TOKENIZER)


def saying(*pictures):
    """A sampler whose open slots hold these tokens pass after pass, and nothing but the first of them behind them."""

    def sampler(predict, canvas, steps, chance):
        filled = Filled(canvas.clone())
        for tokens in pictures:
            filled.tokens[:, -SLOTS:] = torch.tensor(tokens + tokens[:1] * (SLOTS - len(tokens)))
            filled.note()
        return filled

    return sampler


def measured(tokenizer, tokens):
    """What is said of a hole that holds `WANTED` when it is filled with these tokens."""
    wanted = [*tokenizer.encode(WANTED), tokenizer.special_tokens.eom]
    holes = OpenHoles(torch.zeros(1, LENGTH, dtype=torch.int64), [wanted])
    found = fills(SimpleNamespace(network=None), saying(tokens, tokens), 4, holes, tokenizer)
    assert found["steps"] == 4
    assert found["passes_per_token"] == 2 / SLOTS
    return found


def test_what_stands_behind_the_end_mark_does_not_count(tokenizer):
    found = measured(tokenizer, [*tokenizer.encode(WANTED), tokenizer.special_tokens.eom])
    assert [found[key] for key in ("exact", "tokens_right", "similarity")] == [100, 100, 100]


def test_without_the_end_mark_nothing_is_exact_and_all_slots_count(tokenizer):
    wanted = tokenizer.encode(WANTED)
    found = measured(tokenizer, wanted)
    assert found["exact"] == 0
    assert found["tokens_right"] == pytest.approx(100 * len(wanted) / (len(wanted) + 1))
    assert 0 < found["similarity"] < 100


def test_a_token_too_few_moves_the_others_out_of_place_and_leaves_the_texts_alike(tokenizer):
    wanted = tokenizer.encode(WANTED)
    found = measured(tokenizer, [*wanted[1:], tokenizer.special_tokens.eom])
    assert found["exact"] == 0
    assert found["tokens_right"] < 50
    assert found["similarity"] > 50


def test_pictures_are_of_about_four_steps_and_show_masks_and_the_end(tokenizer):
    asked, special = [], tokenizer.special_tokens
    (letter,) = tokenizer.encode("v")
    tell = saying([special.mask], [letter, special.eom])

    def sampler(predict, canvas, steps, chance):
        asked.append(steps)
        return tell(predict, canvas, steps, chance)

    model = SimpleNamespace(network=None, steps=(1, 3, 8), sampler=sampler)
    row = torch.zeros(1, LENGTH, dtype=torch.int64)
    assert shown(model, [row], tokenizer) == [["░" * SLOTS, "v■" + "v" * (SLOTS - 2)]]
    assert asked == [3]

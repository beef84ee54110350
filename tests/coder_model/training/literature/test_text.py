import pytest
import torch

from coder_model.training.literature.text import (
    LENGTH,
    SLOTS,
    OpenHoles,
    held_out_holes,
    held_out_rows,
    open_text,
    shown_holes,
)


@pytest.fixture(scope="module")
def text(corpus, tmp_path_factory):
    return open_text(corpus, tmp_path_factory.mktemp("work"))


def test_bytes_are_those_of_the_text_and_marks_have_none(text):
    rows, n_bytes = held_out_rows(text, 4)
    assert rows.shape == (4, LENGTH)
    assert n_bytes == sum(len(text.tokenizer.decode(row).encode()) for row in rows.tolist())
    assert bool((rows == text.tokenizer.special_tokens.eom).any())


def test_holes_are_open_at_the_end_of_a_row_and_their_references_end_with_the_mark(text):
    holes, special = held_out_holes(text, 5), text.tokenizer.special_tokens
    is_open = torch.arange(LENGTH) >= LENGTH - SLOTS
    assert torch.equal(holes.canvas == special.mask, is_open.expand(5, LENGTH))
    for reference in holes.references:
        assert 1 < len(reference) <= SLOTS
        assert reference.index(special.eom) == len(reference) - 1
    assert holes.end == special.eom


def test_all_models_are_asked_about_the_same_rows_and_holes(text):
    assert torch.equal(held_out_rows(text, 3)[0], held_out_rows(text, 3)[0])
    first, again = held_out_holes(text, 3), held_out_holes(text, 3)
    assert torch.equal(first.canvas, again.canvas)
    assert first.references == again.references


def test_a_middle_ends_with_its_mark_or_with_the_row():
    end, other = 9, 7
    filled = torch.full((2, LENGTH), other)
    filled[0, -SLOTS + 2] = filled[0, 5] = end
    middles = OpenHoles(filled, [[other, end]]).middles(filled)
    assert middles == [[other, other, end], [other] * SLOTS]


def test_three_holes_may_be_shown(text):
    holes = shown_holes(text)
    assert len(holes) == 3
    for row, reference in holes:
        assert row.shape[1] <= LENGTH
        assert bool((row[0, -SLOTS:] == text.tokenizer.special_tokens.mask).all())
        assert reference.strip()

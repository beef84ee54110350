import random

from hypothesis import given
from hypothesis import strategies as st

from coder_model.training.hole_sampling import MAX_HOLE_CHARS, sample_hole


@given(
    text=st.text("ab (\n\t)=:é", min_size=1, max_size=900), language=st.sampled_from(["python", ""]), seed=st.integers()
)
def test_a_hole_lies_in_the_text(text, language, seed):
    hole = sample_hole(text, language, random.Random(seed))
    assert 0 <= hole.start <= hole.end <= len(text)
    assert hole.end - hole.start <= MAX_HOLE_CHARS


def test_cursors_stand_inside_words_and_indentation_is_left_to_the_model():
    text = "def function_of_things(first_argument):\n    return compute(first_argument)\n" * 20
    holes = [sample_hole(text, "python", random.Random(seed)) for seed in range(2_000)]
    inside = sum(text[h.start - 1].isalpha() and text[h.start : h.start + 1].isalpha() for h in holes if h.start)
    assert inside > 400
    whole = [h for h in holes if h.kind == "whole line" and text[: h.start].endswith(("\n", "\n    "))]
    before = sum(text[: h.start].endswith("\n") and text[h.start] == " " for h in whole)
    after = sum(text[: h.start].endswith("\n    ") for h in whole)
    assert 0.3 < before / (before + after) < 0.7

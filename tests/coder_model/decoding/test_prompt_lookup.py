import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from coder_model.decoding.prompt_lookup import PromptLookup


def test_the_longest_match_proposes_how_it_went_on():
    copies = PromptLookup([1, 2, 3, 9, 2, 4, 9, 1, 2], [])
    assert copies.proposals(2) == [3, 9]


def test_among_equals_the_nearest_to_the_hole_wins():
    assert PromptLookup([5, 1, 7, 5, 2, 7, 5], []).proposals(1) == [2]
    assert PromptLookup([5, 1, 7, 7, 7, 7, 5], [5, 3]).proposals(1) == [3]


def test_a_copy_stops_at_the_end_of_its_text():
    assert PromptLookup([1, 2, 3, 1], []).proposals(9) == [2, 3, 1]
    assert PromptLookup([1], [1, 2]).proposals(9) == [2]


def test_a_snippet_is_copied_from_when_the_text_itself_has_no_longer_match():
    assert PromptLookup([5, 1, 7, 2, 1], [], [[9, 2, 1, 8]]).proposals(1) == [8]
    assert PromptLookup([5, 1, 7, 5, 1], [], [[5, 1, 8]]).proposals(1) == [7]
    assert PromptLookup([5, 1], [], [[9, 6], [5, 1, 8, 8]]).proposals(9) == [8, 8]


def test_without_a_match_there_is_no_proposal():
    copies = PromptLookup([1, 2, 3], [4, 5])
    assert copies.proposals(3) == []
    assert copies.weight == 0.0


def test_following_the_copy_makes_the_match_longer_and_heavier():
    copies = PromptLookup([1, 2, 3, 4, 9, 1], [])
    weights = [copies.weight]
    for token in (2, 3):
        assert copies.proposals(1) == [token]
        copies.advance(token)
        weights.append(copies.weight)
    assert weights == sorted(set(weights))


def test_leaving_the_copy_looks_for_another_match():
    copies = PromptLookup([1, 2, 3, 1, 4, 5, 1, 4, 6, 1], [])
    copies.advance(2)
    copies.advance(9)
    assert copies.proposals(1) == []
    copies.advance(1)
    assert copies.proposals(1) != []


def test_a_copy_does_not_go_round_in_circles():
    copies = PromptLookup([1, 2, 1], [])
    said = []
    while run := copies.proposals(1):
        copies.advance(run[0])
        said += run
    assert len(said) <= 3


def test_a_preference_takes_the_longest_match_that_it_allows():
    copies = PromptLookup([8, 1, 2, 9, 1, 3, 8, 1], [])
    assert copies.proposals(1) == [2]
    copies.prefer(np.arange(10) == 3)
    assert copies.proposals(1) == [3]
    copies.prefer(np.arange(10) == 7)
    assert copies.proposals(1) == []


@given(document=st.lists(st.integers(0, 3), max_size=30), after=st.lists(st.integers(0, 3), max_size=30))
def test_the_match_is_as_long_as_brute_force_finds_it(document, after):
    best = 0
    for text, limit in ((document, len(document)), (after, len(after))):
        for at in range(1, limit):
            n = 0
            while n < at and n < min(len(document), 24) and text[at - 1 - n] == document[-1 - n]:
                n += 1
            best = max(best, n)
    copies = PromptLookup(document, after)
    assert copies.match == best
    assert bool(copies.proposals(1)) == bool(best)

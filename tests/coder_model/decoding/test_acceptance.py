import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder_model.decoding.acceptance import AVERAGED, RETRY_AFTER, DraftAcceptance, PassCosts


def test_denoising_that_does_not_pay_is_tried_only_now_and_then():
    acceptance = DraftAcceptance(min_accepted=3.0)
    tries = 0
    for _ in range(10 * RETRY_AFTER):
        if acceptance.wants_denoising([]):
            tries += 1
            acceptance.note(1, 8)
    assert 10 <= tries <= 10 + AVERAGED


def test_denoising_comes_back_when_it_pays_again():
    acceptance = DraftAcceptance(min_accepted=3.0)
    for accepted in (0, 0, 0):
        acceptance.note(accepted, 8)
    assert not acceptance.wants_denoising([])
    for accepted in (8, 8):
        acceptance.note(accepted, 8)
    assert all(acceptance.wants_denoising([]) for _ in range(100))


def test_a_draft_is_verified_as_far_as_its_tokens_are_worth_their_time():
    acceptance = DraftAcceptance(3.0)
    assert acceptance.length([0.1, 0.1]) == 2
    acceptance.measured(PassCosts(one=50.0, more=1.0, draft=8.0))
    assert acceptance.length([0.99] * 12) == 12
    assert acceptance.length([0.9, 0.9, 0.01, 0.9]) == 2
    assert acceptance.length([0.001]) == 0
    assert acceptance.length([]) == 0


def test_of_a_copy_and_a_block_the_one_is_taken_that_is_worth_more():
    acceptance = DraftAcceptance(3.0)
    assert not acceptance.prefers([0.9] * 8, [0.1])  # nothing is measured
    acceptance.measured(PassCosts(one=18.0, more=4.0, draft=1.8))
    assert acceptance.prefers([0.8, 0.8], [0.3, 0.9])
    assert not acceptance.prefers([0.27, 0.68], [0.6, 0.5])
    assert not acceptance.prefers([0.5], [0.5])
    assert not acceptance.prefers([], [])
    # a long one that is hardly ever right to its end is worth what its start is
    assert not acceptance.prefers([0.8] + [0.1] * 12, [0.8, 0.7])


def test_where_a_token_more_costs_a_pass_more_nothing_is_drafted():
    acceptance = DraftAcceptance(3.0)
    acceptance.measured(PassCosts(one=10.0, more=10.0, draft=1.0))
    assert acceptance.length([0.9, 0.9]) == 0
    acceptance.note(0, 0)
    assert not acceptance.wants_denoising([])


def test_nothing_is_denoised_beside_a_copy_that_is_worth_more():
    acceptance = DraftAcceptance(3.0)
    acceptance.measured(PassCosts(one=18.0, more=4.0, draft=1.8))
    assert acceptance.wants_denoising([0.27])
    assert not acceptance.wants_denoising([0.8] * 8)
    assert not acceptance.wants_denoising([0.95] * 8)


def test_drafts_that_cost_much_are_left_out_as_soon_as_that_is_seen():
    acceptance = DraftAcceptance(3.0)
    acceptance.measured(PassCosts(one=18.0, more=4.0, draft=1.8))
    tries = 0
    for _ in range(200):
        if acceptance.wants_denoising([]):
            tries += 1
            acceptance.took_draft(12.0)
            acceptance.note(1, 3)
    assert 1 < tries < 40
    assert 5.0 < acceptance.costs.draft <= 12.0


def test_cheap_drafts_survive_a_run_of_bad_luck():
    acceptance = DraftAcceptance(3.0)
    acceptance.measured(PassCosts(one=80.0, more=0.8, draft=8.0))
    acceptance.note(2, 8)
    for _ in range(6):
        acceptance.note(0, 8)
    assert acceptance.wants_denoising([])


@given(st.lists(st.integers(1, 16), min_size=400, max_size=400), st.floats(20, 200), st.floats(0, 10))
def test_costs_follow_what_passes_take(lengths, one, more):
    acceptance = DraftAcceptance(3.0)
    acceptance.measured(PassCosts(one=80.0, more=2.0, draft=8.0))
    for length in [*lengths, *[1, 16] * 50]:
        acceptance.took(length, one + more * (length - 1))
    costs = acceptance.costs
    assert costs.one == pytest.approx(one, rel=0.05, abs=2)
    assert costs.one + 15 * costs.more == pytest.approx(one + 15 * more, rel=0.05, abs=2)
    assert costs.draft == pytest.approx(costs.one / 10)


@given(st.integers(1, 16), st.floats(0, 1e6))
def test_no_single_pass_moves_the_costs_far(length, milliseconds):
    acceptance = DraftAcceptance(3.0)
    acceptance.measured(PassCosts(one=80.0, more=2.0, draft=8.0))
    acceptance.took(length, milliseconds)
    assert 70 < acceptance.costs.one < 90
    assert 1 < acceptance.costs.more < 3


def test_without_measured_costs_nothing_is_followed():
    acceptance = DraftAcceptance(3.0)
    acceptance.took(1, 5.0)
    assert acceptance.costs is None
    assert not math.isfinite(acceptance.mean_accepted)

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder_model.decoding.acceptance import AVERAGED, RETRY_AFTER, DraftAcceptance, PassCosts


def test_denoising_that_does_not_pay_is_tried_only_now_and_then():
    acceptance = DraftAcceptance(min_accepted=3.0)
    tries = 0
    for _ in range(10 * RETRY_AFTER):
        if acceptance.wants_denoising():
            tries += 1
            acceptance.note(1)
    assert 10 <= tries <= 10 + AVERAGED


def test_denoising_comes_back_when_it_pays_again():
    acceptance = DraftAcceptance(min_accepted=3.0)
    for accepted in (0, 0, 0):
        acceptance.note(accepted)
    assert not acceptance.wants_denoising()
    for accepted in (8, 8):
        acceptance.note(accepted)
    assert all(acceptance.wants_denoising() for _ in range(100))


def test_a_draft_is_verified_as_far_as_its_tokens_are_worth_their_time():
    acceptance = DraftAcceptance(3.0)
    assert acceptance.length([0.1, 0.1]) == 2
    acceptance.measured(PassCosts(one=50.0, more=1.0, draft=8.0))
    assert acceptance.length([0.99] * 12) == 12
    assert acceptance.length([0.9, 0.9, 0.01, 0.9]) == 2
    assert acceptance.length([0.001]) == 0
    assert acceptance.length([]) == 0


def test_where_a_token_more_costs_a_pass_more_nothing_is_drafted():
    acceptance = DraftAcceptance(3.0)
    acceptance.measured(PassCosts(one=10.0, more=10.0, draft=1.0))
    assert acceptance.length([0.9, 0.9]) == 0
    acceptance.note(0)
    assert not acceptance.wants_denoising()


def test_cheap_drafts_survive_a_run_of_bad_luck():
    acceptance = DraftAcceptance(3.0)
    acceptance.measured(PassCosts(one=80.0, more=0.8, draft=8.0))
    acceptance.note(2)
    for _ in range(6):
        acceptance.note(0)
    assert acceptance.wants_denoising()


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

from coder_model.gauge import AVERAGED, RETRY_AFTER, DraftGauge, PassCosts


def test_denoising_that_does_not_pay_is_tried_only_now_and_then():
    gauge = DraftGauge(min_accepted=3.0)
    tries = 0
    for _ in range(10 * RETRY_AFTER):
        if gauge.wants_denoising():
            tries += 1
            gauge.note(1)
    assert 10 <= tries <= 10 + AVERAGED


def test_denoising_comes_back_when_it_pays_again():
    gauge = DraftGauge(min_accepted=3.0)
    for accepted in (0, 0, 0):
        gauge.note(accepted)
    assert not gauge.wants_denoising()
    for accepted in (8, 8):
        gauge.note(accepted)
    assert all(gauge.wants_denoising() for _ in range(100))


def test_a_draft_is_verified_as_far_as_its_tokens_are_worth_their_time():
    gauge = DraftGauge(3.0)
    assert gauge.length([0.1, 0.1]) == 2
    gauge.measured(PassCosts(one=50.0, more=1.0, draft=8.0))
    assert gauge.length([0.99] * 12) == 12
    assert gauge.length([0.9, 0.9, 0.01, 0.9]) == 2
    assert gauge.length([0.001]) == 0
    assert gauge.length([]) == 0


def test_where_a_token_more_costs_a_pass_more_nothing_is_drafted():
    gauge = DraftGauge(3.0)
    gauge.measured(PassCosts(one=10.0, more=10.0, draft=1.0))
    assert gauge.length([0.9, 0.9]) == 0
    gauge.note(0)
    assert not gauge.wants_denoising()


def test_cheap_drafts_survive_a_run_of_bad_luck():
    gauge = DraftGauge(3.0)
    gauge.measured(PassCosts(one=80.0, more=0.8, draft=8.0))
    gauge.note(2)
    for _ in range(6):
        gauge.note(0)
    assert gauge.wants_denoising()

from coder_model.gauge import AVERAGED, RETRY_AFTER, DenoiseGauge


def test_denoising_that_does_not_pay_is_tried_only_now_and_then():
    gauge = DenoiseGauge(min_accepted=3.0)
    tries = 0
    for _ in range(10 * RETRY_AFTER):
        if gauge.wants_denoising():
            tries += 1
            gauge.note(1)
    assert 10 <= tries <= 10 + AVERAGED


def test_denoising_comes_back_when_it_pays_again():
    gauge = DenoiseGauge(min_accepted=3.0)
    for accepted in (0, 0, 0):
        gauge.note(accepted)
    assert not gauge.wants_denoising()
    for accepted in (8, 8):
        gauge.note(accepted)
    assert all(gauge.wants_denoising() for _ in range(100))

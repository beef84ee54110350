import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder_model.decoding.calibration import NEVER, REAL, SMALL, Calibration

share = st.floats(0, 0.999)
curves = st.lists(st.tuples(share, share), min_size=1, max_size=6, unique_by=lambda point: point[0]).map(
    lambda points: Calibration(list(zip(*(sorted(values) for values in zip(*points, strict=True)), strict=True)))
)


@given(curves, share, share)
def test_whoever_asks_for_more_right_ones_must_be_surer(curve, one, other):
    low, high = sorted([one, other])
    assert curve.least_probability(low) <= curve.least_probability(high) * (1 + 1e-9)


@given(curves)
def test_measured_shares_need_what_was_measured(curve):
    for share, probability in curve.points:
        if not share:
            continue
        assert curve.least_probability(share) == pytest.approx(max(probability, 1e-9), abs=1e-9)


@given(curves)
def test_nothing_is_sure_enough_for_more_than_was_ever_measured(curve):
    most = curve.points[-1][0]
    assert curve.least_probability(most + (1 - most) / 2) == NEVER


@given(curves)
def test_who_asks_for_no_share_gets_whatever_the_model_says(curve):
    assert curve.least_probability(0.0) == 0.0


def test_between_two_points_the_logarithm_is_interpolated():
    curve = Calibration([(0.4, 1e-4), (0.8, 1e-2)])
    assert curve.least_probability(0.6) == pytest.approx(1e-3)
    assert curve.least_probability(0.1) == 1e-4


@pytest.mark.parametrize("points", [[(0.5, 0.1), (0.4, 0.2)], [(0.4, 0.2), (0.5, 0.1)], [(0.4, 1.5)], [(-0.1, 0.5)]])
def test_curves_rise_within_their_bounds(points):
    with pytest.raises(ValueError, match="points must rise within"):
        Calibration(points)


@pytest.mark.parametrize("wanted", [0.4, 0.6, 0.8])
def test_the_embedded_model_must_be_surer_than_a_real_one(wanted):
    assert SMALL.least_probability(wanted) > REAL.least_probability(wanted)

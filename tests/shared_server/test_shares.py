import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared_server.settings import Limits
from shared_server.shares import AGAIN_S, FORGOTTEN_S, LATELY_S, Shares


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def shares(clock):
    return Shares(clock)


def test_what_a_tenant_has_had_counts_by_its_weight_and_fades(shares, clock):
    shares.note("red", 2.0)
    shares.charge("red", 6.0)
    assert shares.had("red") == 3.0
    clock.now += LATELY_S
    assert shares.had("red") == pytest.approx(3.0 / 2.718, rel=1e-3)
    shares.charge("red", -100.0)
    assert shares.had("red") == 0.0


def test_who_asks_alone_has_all_there_is(shares, clock):
    shares.note("red", 1.0)
    shares.charge("red", 1000.0)
    assert shares.has_less("red", 2)
    assert not shares.is_expected(["red"], 2)
    shares.note("blue", 1.0)
    assert not shares.has_less("red", 2)
    assert shares.has_less("blue", 2)
    assert shares.is_expected(["red"], 2)
    assert not shares.is_expected(["red", "blue"], 2)
    # nobody is kept a slot for who does not come back
    clock.now += AGAIN_S + 1
    shares.note("red", 1.0)
    assert shares.has_less("red", 2)
    assert not shares.is_expected(["red"], 2)


def test_who_has_one_slot_of_two_all_the_time_has_had_its_share_and_one_with_more_weight_has_not(shares, clock):
    for weight, is_less in ((1.0, False), (4.0, True)):
        for _ in range(100):
            clock.now += 0.5
            shares.note("red", weight)
            shares.note("blue", 1.0)
            shares.charge("red", 0.49)
        assert shares.has_less("red", 2) == is_less


def test_a_tenant_that_has_not_asked_for_long_is_forgotten(shares, clock):
    shares.note("red", 1.0)
    clock.now += FORGOTTEN_S
    shares.note("blue", 1.0)
    # what of its requests ends later has nobody to be counted for
    shares.charge("red", 1.0)
    shares.note("red", 1.0)
    assert shares.had("red") == 0.0


def test_a_tenant_whose_request_waits_is_not_forgotten(shares, clock):
    longest = msgspec.convert({"farthest_ms": 600_000}, Limits).farthest_ms
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"farthest_ms": longest + 1}, Limits)
    shares.note("red", 1.0)
    clock.now += longest / 1000
    shares.note("blue", 1.0)
    assert shares.had("red") == 0.0
    assert shares.has_less("red", 1)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.1, 5), st.floats(-2, 2), st.floats(0, 30)), min_size=1))
def test_somebody_who_asks_has_always_had_less_or_all_have_had_much(asked):
    clock = Clock()
    shares = Shares(clock)
    for name, weight, seconds, later in asked:
        clock.now += later
        shares.note(name, weight)
        shares.charge(name, seconds)
        assert shares.had(name) >= 0
    # with slots without end nobody has had a share
    assert all(shares.has_less(name, 10**6) for name in shares._tenants)

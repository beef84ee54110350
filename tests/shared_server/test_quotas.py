import pytest

from shared_server.problems import Problem
from shared_server.quotas import Quotas
from shared_server.settings import Quota, ServeSettings
from shared_server.tokens import Caller

ANN, BEN, EVE = Caller("red", "ann"), Caller("red", "ben"), Caller("blue", "eve")


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def ask(quotas, caller):
    """How long to wait, in seconds; 0 when it was let through."""
    try:
        quotas.take(caller)
        with quotas.in_flight(caller):
            return 0
    except Problem as problem:
        return problem.retry_after_s if problem.status == 429 else None


def test_a_tenant_has_a_burst_and_then_its_rate():
    clock = Clock()
    quotas = Quotas(ServeSettings(quota=Quota(requests_per_s=0.5, burst=3)), clock)
    assert [ask(quotas, one) for one in (ANN, BEN, ANN, BEN)] == [0, 0, 0, 2]
    assert ask(quotas, EVE) == 0
    clock.now += 2
    assert [ask(quotas, ANN), ask(quotas, ANN)] == [0, 2]
    clock.now += 1e9
    assert [ask(quotas, ANN) for _ in range(4)] == [0, 0, 0, 2]


def test_a_clock_that_goes_back_gives_nothing_and_takes_nothing():
    clock = Clock()
    quotas = Quotas(ServeSettings(quota=Quota(requests_per_s=1, burst=2)), clock)
    assert ask(quotas, ANN) == 0
    clock.now -= 1000
    assert [ask(quotas, ANN), ask(quotas, ANN)] == [0, 1]
    clock.now += 1
    assert ask(quotas, ANN) == 0


def test_one_person_has_so_many_requests_in_flight_and_another_one_the_same():
    quotas = Quotas(ServeSettings(quota=Quota(in_flight_per_user=2)))
    with quotas.in_flight(ANN), quotas.in_flight(ANN):
        with pytest.raises(Problem, match="at most 2 requests of one person") as refused, quotas.in_flight(ANN):
            pass
        assert refused.value.status == 429
        assert ask(quotas, BEN) == 0
    assert ask(quotas, ANN) == 0


def test_a_tenant_may_have_a_quota_of_its_own():
    quotas = Quotas(ServeSettings(quota=Quota(burst=1, requests_per_s=0.1), tenants={"blue": Quota(burst=5)}))
    assert [ask(quotas, EVE) for _ in range(4)] == [0, 0, 0, 0]
    assert [ask(quotas, ANN), ask(quotas, ANN)] == [0, 10]

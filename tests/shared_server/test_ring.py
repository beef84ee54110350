from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from shared_server.ring import Ring

KEYS = [f"session {i}" for i in range(2000)]


@given(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=6, unique=True), st.text(max_size=20))
def test_an_order_has_each_name_once_and_is_always_the_same(names, key):
    order = Ring(names).order(key)
    assert sorted(order) == sorted(names)
    assert Ring(reversed(names)).order(key) == order


@given(st.lists(st.text(min_size=1, max_size=5), min_size=2, max_size=6, unique=True), st.text(max_size=20))
def test_who_leaves_hands_its_sessions_to_the_next(names, key):
    first, second, *_ = Ring(names).order(key)
    assert Ring(name for name in names if name != first).order(key)[0] == second
    assert Ring(name for name in names if name != second).order(key)[0] == first


def test_shares_are_alike():
    counts = Counter(Ring("abcd").order(key)[0] for key in KEYS)
    assert all(0.5 < count / (len(KEYS) / 4) < 1.6 for count in counts.values())


def test_no_ring_has_no_order():
    assert Ring([]).order("x") == []

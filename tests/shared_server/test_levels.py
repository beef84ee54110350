import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder_model.types import FillRequest
from shared_server.levels import LEVELS, Priority, level_of, lowered

ASKED = FillRequest("s", "x", "y", hole="block", count=3)
BIDIRECTIONAL, VERIFIED = ("policy", "threshold", "max_steps"), ("policy", "threshold", "max_steps", "frugal")


@pytest.mark.parametrize(
    ("waiting", "slots", "level"),
    [(0, 1, 0), (1, 4, 0), (2, 4, 1), (4, 4, 2), (7, 4, 2), (8, 4, 3), (99, 1, 3), (0, 0, 0)],
)
def test_the_more_wait_the_higher_the_level(waiting, slots, level):
    assert level_of(waiting, slots) == level


@given(st.sampled_from(Priority), st.floats(1, 60_000), st.sampled_from([(), BIDIRECTIONAL, VERIFIED]))
def test_no_level_asks_for_more_work_than_the_one_before(priority, left_ms, controls):
    def work(level):
        request = lowered(ASKED, level, priority, left_ms, controls)
        steps = request.decoding.max_steps if request.decoding else 99
        return request.count, request.hole == "block", steps, request.deadline_ms

    works = [work(level) for level in LEVELS]
    for before, after in itertools.pairwise(works):
        assert all(b <= a for a, b in zip(before, after, strict=True))
    assert 0 < works[0][3] <= max(left_ms, 1)


def test_what_is_asked_by_hand_keeps_its_block():
    assert lowered(ASKED, LEVELS[-1], Priority.MANUAL, 1000, ()).hole == "block"
    assert lowered(ASKED, LEVELS[-1], Priority.TYPING, 1000, ()).hole == "line"


def test_steps_are_fewer_where_they_are_what_decides_quality():
    assert lowered(ASKED, LEVELS[2], Priority.TYPING, 1000, BIDIRECTIONAL).decoding.max_steps == 8
    assert lowered(ASKED, LEVELS[3], Priority.TYPING, 1000, BIDIRECTIONAL).decoding.max_steps == 4
    assert lowered(ASKED, LEVELS[3], Priority.TYPING, 1000, VERIFIED).decoding is None
    assert lowered(ASKED, LEVELS[0], Priority.TYPING, 1000, BIDIRECTIONAL) == lowered(
        ASKED, LEVELS[0], Priority.TYPING, 1000, ()
    )

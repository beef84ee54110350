"""What a table of drafts is made of: counts, and times beside those of one token at a time."""

from dataclasses import replace

import pytest
from drafted_passes import BOTH, PLAIN, Fill, differences, figures, fills, groups

from coder_model.evaluation.cases import Case
from coder_model.types import Slot


def fill(ms, text="ab", passes=2, tokens=2):
    decided = tuple(Slot(ch, 0.5, False) for ch in text)
    return Fill(text, tokens, passes, 0, ms, ms + 100, decided)


def case(name, **tags):
    return Case(name, "python", "x = ", "\n", "1", tags=tags)


def test_times_are_beside_those_of_one_token_at_a_time_over_all_and_in_each_quarter():
    plain = [fill(ms) for ms in (80.0, 10.0, 40.0, 20.0)]
    drafted = [fill(ms, passes=1) for ms in (20.0, 10.0, 20.0, 40.0)]
    found = figures(drafted, plain)
    assert (found["tokens_per_pass"], found["passes_per_fill"]) == (2.0, 1.0)
    assert found["times_plain"] == pytest.approx(150 / 90, abs=1e-3)
    assert found["times_plain_by_quarter"] == [1.0, 0.5, 2.0, 4.0]
    assert figures(plain, plain)["times_plain_by_quarter"] == [1.0] * 4


def test_all_are_asked_at_every_hole_and_each_is_first_in_turn():
    order = []

    def asked(name):
        return lambda request: order.append((name, request.session)) or fill(1.0)

    said = fills({name: asked(name) for name in (PLAIN, BOTH)}, [case("a"), case("b")])
    assert {name: len(some) for name, some in said.items()} == {PLAIN: 2, BOTH: 2}
    assert order == [(PLAIN, "0"), (BOTH, "0"), (BOTH, "1"), (PLAIN, "1")]


def test_what_cannot_be_copied_is_a_group_of_its_own():
    sets = {"one": [case("a", copyable=True), case("b", copyable=False)], "other": [case("c")]}
    assert dict(groups(sets)) == {"one": [0, 1], "one, not copyable": [1], "other": [2]}


def test_another_text_is_told_with_the_probabilities_of_the_first_token_that_differs():
    plain, other = fill(1.0, "ab"), fill(1.0, "ac")
    other = replace(other, decided=(other.decided[0], Slot("c", 0.25, False)))
    assert differences([case("a"), case("b")], [plain, plain], [plain, other]) == {"b": [0.5, 0.25]}

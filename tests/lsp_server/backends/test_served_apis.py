import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder_model.types import Draft
from lsp_server.backends.served_apis import (
    MOST_NAMES_CHARS,
    MOST_PIECES,
    MOST_PIECES_CHARS,
    before_stops,
    completion_object,
    error_object,
    event,
    infill_answer,
    shown_pieces,
    stops_of,
    text_choice,
    usage,
)

DRAFT = Draft("x", True, 0.5, 2, 3, 6.0)
KEY = "ghp_" + "aB3dE6gH9j" * 4


@pytest.mark.parametrize("stop", [["b", "a"], "a", ["", "a"]])
def test_a_text_ends_before_the_first_stop(stop):
    assert before_stops("xyab", stops_of(stop)) == "xy"


@given(st.text("abc"), st.lists(st.text("abc", max_size=2), max_size=3))
def test_what_is_left_holds_no_stop_and_is_as_long_as_it_can_be(text, stops):
    left = before_stops(text, stops)
    meant = [stop for stop in stops if stop]
    assert text.startswith(left)
    assert not any(stop in left for stop in meant)
    assert left == text or any(text.startswith(stop, len(left)) for stop in meant)


def test_pieces_are_shown_without_keys_in_their_order_with_line_feeds_alone():
    sent = [("a.py", f"k = '{KEY}'\r\n"), (".env", "x"), ("b.py", "y")]
    shown = shown_pieces(sent, lambda name: name != ".env")
    assert [piece.path for piece in shown] == ["a.py", "b.py"]
    assert shown[0].text == "k = 'REDACTED'\n"


def test_of_too_many_pieces_and_too_long_ones_the_newest_are_shown_whole():
    many = shown_pieces([(str(i), "x") for i in range(MOST_PIECES + 3)], bool)
    assert [piece.path for piece in many] == [str(i) for i in range(3, MOST_PIECES + 3)]
    long, half = "x" * (MOST_PIECES_CHARS + 1), "y" * (MOST_PIECES_CHARS // 2)
    shown = shown_pieces([("old", half), ("long", long), ("a", half), ("b", half)], bool)
    assert [piece.path for piece in shown] == ["a", "b"]


def test_names_that_are_too_long_together_are_not_looked_at():
    asked = []
    long = "a" * (MOST_NAMES_CHARS // 2)
    shown = shown_pieces([(long, str(i)) for i in range(MOST_PIECES)], lambda name: not asked.append(name))
    assert [piece.text for piece in shown] == [str(MOST_PIECES - 2), str(MOST_PIECES - 1)]
    assert len(asked) == 2


def test_an_answer_has_what_strict_clients_want():
    answer = completion_object("cmpl-7", "fake", [text_choice("x", "stop")]) | {"usage": usage(DRAFT)}
    assert answer["choices"] == [{"index": 0, "text": "x", "logprobs": None, "finish_reason": "stop"}]
    assert answer["usage"] == {"prompt_tokens": 0, "completion_tokens": 3, "total_tokens": 3}
    several = usage(replace(DRAFT, prompt_tokens=10, others=(DRAFT,)))
    assert several == {"prompt_tokens": 10, "completion_tokens": 6, "total_tokens": 16}
    assert set(answer) == {"id", "object", "created", "model", "choices", "usage"}
    assert json.loads(event(answer).removeprefix(b"data: ")) == answer


def test_fields_of_infill_are_wanted_by_their_paths():
    assert infill_answer("fake", "x", DRAFT, False, ("content", "timings/predicted_n", "gone")) == {
        "content": "x",
        "timings/predicted_n": 3,
    }
    answer = infill_answer("fake", "x", DRAFT, True, ())
    assert (answer["timings"]["predicted_per_second"], answer["stop_type"]) == (500, "limit")


@pytest.mark.parametrize(("status", "kind"), [(400, "invalid_request_error"), (503, "server_error")])
def test_a_problem_says_whose_it_is(status, kind):
    assert error_object(status, "why")["error"] == {"message": "why", "type": kind, "code": status}

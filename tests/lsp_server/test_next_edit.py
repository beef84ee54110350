import asyncio
import re

import pytest
from edited import as_edited
from hypothesis import given
from hypothesis import strategies as st
from judging import NATS, JudgingModel

from coder_model.text.syntax import errors_in
from coder_model.text.token_edits import changed
from coder_model.types import FillRequest
from lsp_server.newly_unlikely import BEFORE_CHARS
from lsp_server.next_edit import LEAST_GAIN, MOST_TRIED, next_edit

COMMON = FillRequest("s", "", "", "a.py", "python")


def found(edited, model=None, judges=True):
    model = model or JudgingModel()
    return asyncio.run(next_edit(edited, COMMON, model.ask, judges=judges))


def text_with(edited, offer):
    return offer and changed(edited.text, [offer.change])


def old_names(*names):
    """A model that finds some names unlikely."""
    return JudgingModel(lambda word, _: word in names)


RENAMED = "def f({{n||m}}):\n    a = n\n    return n\n"


def test_a_use_left_behind_is_offered_when_the_model_finds_it_unlikely():
    edited, model = as_edited(RENAMED), old_names("n")
    offer = found(edited, model)
    assert text_with(edited, offer) == edited.text.replace("a = n", "a = m")
    assert offer.gain == pytest.approx(NATS)
    assert model.judged == ["    a = n", "    a = m"]
    # all else that the edit calls for is done in what the model reads
    assert {request.suffix for request in model.requests} == {"\n    return m\n"}


def test_nothing_is_offered_that_the_model_does_not_bear_out():
    edited, model = as_edited(RENAMED), JudgingModel()
    assert found(edited, model) is None
    assert "    a = m" in model.judged


def test_the_model_is_asked_about_a_few_places_only():
    edited, model = as_edited("def f({{n||m}}):\n" + "    use(n)\n" * 9), JudgingModel()
    assert found(edited, model) is None
    assert model.judged.count("    use(m)") == MOST_TRIED


def test_without_a_model_that_judges_only_what_rules_show_is_offered():
    edited, model = as_edited(RENAMED), old_names("n")
    offer = found(edited, model, judges=False)
    assert (text_with(edited, offer), offer.gain) == (edited.text.replace("a = n", "a = m"), 0.0)
    assert model.requests == []
    assert found(as_edited("def f(a{{||, b}}):\n    pass\nf(1)\n"), judges=False) is None


def test_a_model_that_does_not_judge_is_no_reason_to_offer_anything():
    async def ask(_):
        return None

    assert asyncio.run(next_edit(as_edited(RENAMED), COMMON, ask, judges=True)) is None


CALLED = "def f(a{{||, b}}):\n    return a\n\n\ndef g(x):\n    return f(x)\n"


@pytest.mark.parametrize(
    ("said", "expected"),
    [("y", "f(x, y)"), (" g(1, 2)[0]", "f(x, g(1, 2)[0])"), ("y, z", None), ("y)", None), ("", None), (None, None)],
)
def test_an_argument_is_written_by_the_model_and_is_one_alone(said, expected):
    model = JudgingModel(lambda word, request: word == ")" and re.search(r"f\(x\)$", request.judged), lambda _: said)
    edited = as_edited(CALLED)
    offer = found(edited, model)
    assert text_with(edited, offer) == (expected and edited.text.replace("f(x)\n", f"{expected}\n"))
    hole = next(request for request in model.requests if request.judged is None)
    assert (hole.prefix.rpartition("\n")[2], hole.suffix, hole.hole) == ("    return f(x, ", ")\n", "line")


def test_an_argument_that_makes_a_call_no_likelier_is_not_offered():
    assert found(as_edited(CALLED), JudgingModel(said=lambda _: "y")) is None


def test_what_breaks_the_syntax_is_not_offered():
    edited = as_edited("{{print (||log(}}1)\n{{print (||log(}}2)\nprint (3)\n")
    assert found(edited, old_names("print")) is not None
    edited = as_edited("a = {{int(||}}1\nb = {{int(||}}2\nc = int(3)\n")
    assert found(edited, old_names("int")) is None


def test_an_edit_too_far_away_to_be_seen_is_shown_beside_the_place():
    text = "def f({{n||m}}):\n" + "    x = 1  # and so on, for a while\n" * 200 + "    return n\n"
    edited, model = as_edited(text), old_names("n")
    assert found(edited, model).change.text == "m"
    assert all(len(request.prefix) <= BEFORE_CHARS for request in model.requests)
    assert {tuple(one.text for one in request.snippets) for request in model.requests} == {("def f(m):\n",)}


def test_line_ends_of_the_document_are_kept():
    edited, model = as_edited("def f({{n||m}}):\r\n    a = n\r\n    return 1\r\n"), old_names("n")
    assert text_with(edited, found(edited, model)) == "def f(m):\r\n    a = m\r\n    return 1\r\n"
    assert not any("\r" in request.prefix + request.suffix for request in model.requests)


def test_thresholds_are_in_nats_and_none_is_below_zero():
    assert min(LEAST_GAIN.values()) >= 0


@given(
    said=st.text("ab,.()[]\n 'é", max_size=6),
    odd=st.sampled_from(["n", ")", "a", "return"]),
    text=st.sampled_from([RENAMED, CALLED, "{{p||q}}(1)\n{{p||q}}(2)\np(3)\n", "x{{||y}} = 1\nn = a\n"]),
    judges=st.booleans(),
)
def test_whatever_the_model_says_an_offer_is_within_a_row_and_parses_no_worse(said, odd, text, judges):
    edited = as_edited(text)
    offer = found(edited, JudgingModel(lambda word, request: word == odd, lambda _: said), judges)
    if offer:
        new = text_with(edited, offer)
        assert new != edited.text
        assert "\n" not in offer.change.text
        assert "\n" not in edited.text[offer.change.start : offer.change.end]
        assert errors_in(new, "python") <= errors_in(edited.text, "python")

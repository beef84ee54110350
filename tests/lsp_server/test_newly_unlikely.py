import asyncio

import pytest
from edited import as_edited
from judging import NATS, JudgingModel

from coder_model.text.token_edits import changed
from coder_model.types import FillRequest
from lsp_server.newly_unlikely import ROWS_BEFORE, ROWS_BEHIND, newly_unlikely

COMMON = FillRequest("s", "", "", "a.html", "html")
TEXT = "<p>\n<{{ul||ol}}>\n<li>\n</ul>\n</p>\n"


def since(word, sign):
    """Finds a word unlikely once a sign stands before it."""
    return lambda one, request: one == word and sign in request.prefix


def found(text, model, language="html"):
    edited = as_edited(text, language)
    change = asyncio.run(newly_unlikely(edited, COMMON, model.ask))
    return change and (changed(edited.text, [change[0]]), change[1])


def says(text):
    return lambda _: text


def test_what_an_edit_has_made_unlikely_is_drafted_again():
    model = JudgingModel(since("ul", "<ol>"), says("ol>"))
    text, gain = found(TEXT, model)
    assert text == "<p>\n<ol>\n<li>\n</ol>\n</p>\n"
    assert gain == pytest.approx(NATS)
    (request,) = [one for one in model.requests if one.judged is None]
    assert (request.prefix, request.suffix) == ("<p>\n<ol>\n<li>\n</", "\n</p>\n")


def test_what_was_unlikely_before_is_no_business_of_the_edit():
    assert found(TEXT, JudgingModel(lambda word, _: word == "ul", says("ol>"))) is None


@pytest.mark.parametrize("said", ["", "ul>", "dl class=x>", "ol>\n<li>"])
def test_a_draft_that_changes_more_or_nothing_is_left(said):
    model = JudgingModel(lambda word, request: word in ("ul", "dl") and "<ol>" in request.prefix, says(said))
    assert found(TEXT, model) is None


def test_words_may_be_added_and_the_rest_of_the_line_stays():
    text = "def f() -> {{int||Result}}:\n    return 0\n"
    bare = {"return 0": "0", "return Ok": "Ok"}
    model = JudgingModel(
        lambda word, request: word == bare.get(request.judged.strip()) and "Result" in request.prefix,
        lambda request: " Ok(0)" if request.prefix.endswith("return") else "",
    )
    assert found(text, model, "python")[0] == "def f() -> Result:\n    return Ok(0)\n"


def test_rows_before_the_edit_are_looked_at_too_and_those_far_away_are_not():
    text = "x\n" * 40 + "{{a||b}}\n" + "y\n" * 40
    model = JudgingModel()
    assert found(text, model) is None
    assert [judged.count("\n") + 1 for judged in model.judged] == [ROWS_BEHIND] * 2 + [ROWS_BEFORE] * 2


@pytest.mark.parametrize(
    "text",
    ["def f({{)||}}:\n    return 1\n", "def f():  # {{a||b}}\n    return 1\n", "x = '{{a||b}}'\ny = 1\n", "x = 1\n"],
)
def test_an_edit_that_is_not_done_or_in_no_code_asks_nothing(text):
    model = JudgingModel()
    assert found(text, model, "python") is None
    assert model.requests == []

import asyncio
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from coder_model.text.holes import holes_in
from coder_model.types import Draft, FillRequest
from lsp_server.joint_fill import MOST_DRAFTS, FilledHole, fill_jointly, with_fills

COMMON = FillRequest("s", "", "", "a.py", "python", least_probability=0.05)


def drafted(text, confidence=0.9, tokens=1, **more):
    return Draft(text, True, confidence, 1, tokens, 1.0, **more)


def fill(text, answer, language="python"):
    """Fills a text by what `answer` says to each request; returns the new text and the requests."""
    asked, told = [], []

    async def ask(request):
        asked.append(request)
        return answer(request)

    holes = holes_in(text, language)
    filled = asyncio.run(fill_jointly(text, holes, replace(COMMON, language=language), ask, told.append))
    assert told == sorted(told)
    assert len(asked) <= len(holes) * (MOST_DRAFTS + 1)
    return with_fills(text, filled), asked


def name(request):
    return request.prefix.rpartition("def ")[2].partition("(")[0]


TWO = "def one():\n    pass\n\ndef two():\n    pass\n"


def test_the_surest_is_taken_first_and_the_other_one_sees_it():
    sure = {"one": 0.5, "two": 0.9}
    new, asked = fill(TWO, lambda request: drafted(f"return {name(request)}", sure[name(request)]))
    assert new == TWO.replace("pass", "return one", 1).replace("pass", "return two")
    assert [name(request) for request in asked] == ["one", "two", "one", "two"]
    assert "return two" in asked[2].suffix
    # what was taken first has seen the least
    assert "return one" in asked[3].prefix


def test_names_of_an_answer_come_from_those_before_it():
    def answer(request):
        text = request.prefix + request.suffix
        return drafted("x = 1" if name(request) == "two" else "return x" if "x = 1" in text else "return y", 0.9)

    new, _ = fill(TWO, answer)
    assert "return x" in new
    assert "return y" not in new


def test_the_stubs_of_the_others_are_not_shown():
    _, asked = fill(TWO, lambda _: drafted("return 1"))
    assert all("pass" not in request.prefix + request.suffix for request in asked)


def test_a_comment_is_shown_before_the_hole_that_it_is():
    text = "def one(names):\n    # TODO: sort them\n"
    new, asked = fill(text, lambda _: drafted("return sorted(names)"))
    assert asked[0].prefix == "def one(names):\n    # TODO: sort them\n    "
    assert new == "def one(names):\n    return sorted(names)\n"


def test_what_is_unlikely_cut_or_nothing_stays():
    for draft in (
        None,
        drafted(""),
        drafted("..."),
        drafted("raise NotImplementedError('x')"),
        drafted("return 1", 0.01),
        drafted("return 1", unlikely=True),
        drafted("return 1", finished=False),
        drafted("return (1"),
    ):
        assert fill(TWO, lambda _, draft=draft: draft)[0] == TWO


def test_a_block_may_be_as_unlikely_as_its_lines_together():
    lines = "a = 1\n    b = 2\n    return a"
    assert lines in fill(TWO, lambda _: drafted(lines, 0.1))[0]
    assert fill(TWO, lambda _: drafted("return a", 0.1, 2))[0] == TWO


def test_line_ends_are_those_of_the_text():
    new, _ = fill(TWO.replace("\n", "\r\n"), lambda _: drafted("a = 1\n    return a"))
    assert new.count("\r\n") == new.count("\n") == 7


def test_in_a_language_without_a_grammar_nothing_is_parsed():
    new, _ = fill("val x = <|hole|>\n", lambda _: drafted("(1"), "kotlin")
    assert new == "val x = (1\n"


PIECES = st.sampled_from(
    [
        "def f():\n",
        "    pass\n",
        "    ...\n",
        "x = <|hole|>\n",
        "    # TODO: é\n",
        '"""',
        "class A:\n",
        "\r\n",
        "😀",
        "if x:\n",
    ]
)


@given(st.lists(PIECES, max_size=14), st.lists(st.sampled_from(["return 1", "a\n    b", "é", "...", ""]), min_size=1))
def test_whatever_the_model_says_nothing_outside_of_the_holes_changes(pieces, answers):
    text = "".join(pieces)
    asked = []

    async def ask(request):
        asked.append(request)
        return drafted(answers[len(asked) % len(answers)])

    holes = holes_in(text, "python")
    filled = asyncio.run(fill_jointly(text, holes, COMMON, ask, lambda _: None))
    new = with_fills(text, filled)
    at = shift = 0
    for one in filled:
        assert one.hole in holes
        assert new[at + shift : one.hole.start + shift] == text[at : one.hole.start]
        at = one.hole.end
        shift += len(one.text) - (one.hole.end - one.hole.start)
    assert new[at + shift :] == text[at:]
    assert len(asked) <= len(holes) * (MOST_DRAFTS + 1)


def test_a_part_of_a_text_has_the_fills_of_that_part():
    filled = [FilledHole(hole, "X", 1.0) for hole in holes_in(TWO, "python")]
    assert with_fills(TWO, filled, 0, 20) == "def one():\n    X\n"
    assert with_fills(TWO, filled, 21) == "def two():\n    X\n"

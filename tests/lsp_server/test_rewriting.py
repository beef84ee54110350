import asyncio
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder_model.types import Draft, FillRequest, Slot
from lsp_server.documents import split_lines
from lsp_server.passages import Passage
from lsp_server.rewriting import LEAST_GAIN, MOST_SPOTS, NotJudged, Rewritten, rewrite

COMMON = FillRequest("s", "", "", "a.py", "python", least_probability=0.002)
BAD, GOOD = Slot("", 1e-4, False, 0.99), Slot("", 0.95, False, 0.02)
WORDS = re.compile(r"\s*\S+|\s+")


def drafted(text, confidence=0.9, **more):
    return Draft(text, True, confidence, 1, 1, 1.0, **more)


def judgement(text, bad, end=GOOD):
    """`bad` says which words are unlikely."""
    slots = [Slot(word, *_of(BAD if word.strip() in bad else GOOD)) for word in WORDS.findall(text)]
    return drafted(text, slots=(*slots, end))


def _of(slot):
    return slot.confidence, slot.masked, slot.rival


def run(text, answer, strength="light", rows=None, language="python", instruction="", judge=None, bad=("bad",)):
    """Rewrites rows of a text, all unless told otherwise; returns the new text, what was found, and the requests."""
    asked, told = [], []

    async def ask(request):
        asked.append(request)
        if request.judged is not None:
            return judge(request) if judge else judgement(request.judged, bad)
        return answer(request)

    lines = split_lines(text)
    first, last = rows or (0, len(lines) - 1 - (not lines[-1]))
    passage = Passage.of(lines, first, last, language)
    work = rewrite(passage, strength, instruction, COMMON, ask, lambda share, _: told.append(share))
    found = asyncio.run(work)
    assert all(0 <= share <= 1 for share in told)
    return passage.applied(lines, first, found.lines), found, asked


def fills(asked):
    return [request for request in asked if request.judged is None]


def says(text):
    return lambda _: drafted(text)


TEXT = "def f(a, b):\n    x = bad\n    return a + x\n"


def test_an_outlier_is_drafted_again_to_the_end_of_its_line_between_what_is_around_it():
    new, found, asked = run(TEXT, says(" a"))
    assert new == TEXT.replace("bad", "a")
    (request,) = fills(asked)
    assert (request.prefix, request.suffix) == ("def f(a, b):\n    x =", "\n    return a + x\n")
    assert found.gain == pytest.approx(math.log(0.95 / 1e-4))
    assert found.verdict == "the model finds the selection 9,500 times likelier now"


def test_the_rest_of_the_line_stays_where_its_first_word_alone_is_better():
    text = "x = bad + keep\n"
    judge = lambda request: judgement(request.judged, ("bad", "other"))  # noqa: E731
    assert run(text, says(" a * other"), judge=judge)[0] == "x = a + keep\n"


def test_a_line_that_comes_too_early_gets_another_one_before_it():
    text = "def f(a):\n    bad = 1\n    return a\n"

    def judge(request):
        return judgement(request.judged, () if "first" in request.judged else ("bad",))

    def answer(request):
        return drafted("    first = 2" if request.prefix.endswith("\n") else "")

    assert run(text, answer, judge=judge)[0] == text.replace("    bad", "    first = 2\n    bad")


def test_an_end_that_comes_too_early_gets_another_line():
    def judge(request):
        return judgement(request.judged, (), GOOD if "return" in request.judged else BAD)

    text = "def f(a):\n    a += 1\n"
    assert run(text, says("    return a"), judge=judge)[0] == text + "    return a\n"
    assert run(text[:-1], says("    return a"), judge=judge)[0] == text + "    return a"


@pytest.mark.parametrize("draft", ["", "  ", " bad", " (a", " worse", None])
def test_a_draft_that_is_no_better_or_breaks_the_text_is_left(draft):
    answer = lambda _: None if draft is None else drafted(draft)  # noqa: E731
    new, found, _ = run(TEXT, answer, bad=("bad", "worse"))
    assert new == TEXT
    assert (found.gain, found.verdict) == (0, "the model finds nothing that is clearly likelier")
    assert found.tried == 1


def test_a_draft_that_a_deadline_cut_is_left():
    assert run(TEXT, lambda _: drafted(" a", finished=False))[0] == TEXT


def test_what_only_takes_away_is_left():
    assert run("x = f(a) + bad + c + d\n", says(""))[0] == "x = f(a) + bad + c + d\n"
    text = "x = bad(a, b, c, d)\n"
    assert run(text, says(" a"))[0] == text.replace("bad(a,", "a(a,") or run(text, says(" a"))[0] == text


@pytest.mark.parametrize("said", ['"""Area of a circle."""', "# TODO: Area of a circle.", "'Area of it'"])
def test_code_does_not_give_way_to_prose(said):
    text = "class Circle:\n    def area(self):\n        return \n"
    judge = lambda request: judgement(request.judged, ("return",))  # noqa: E731
    answer = lambda request: drafted("" if "return" in request.suffix else f"        {said}")  # noqa: E731
    assert run(text, answer, judge=judge, rows=(2, 2))[0] == text
    assert "x = open(p, 'w')" in run("x = open(p, w)\n", says(" 'w')"), bad=("w)",))[0]


def test_a_little_likelier_is_not_enough():
    slight = math.exp(-LEAST_GAIN + 0.5) * 0.95

    def judge(request):
        words = WORDS.findall(request.judged)
        return drafted(
            request.judged,
            slots=(*(Slot(w, slight if w == " bad" else 0.95, False, 0.95) for w in words), GOOD),
        )

    assert run(TEXT, says(" a"), judge=judge)[0] == TEXT


def test_no_more_places_are_tried_than_somebody_waits_for():
    _, found, asked = run("x = bad\n" * 40, says(""))
    assert found.tried <= MOST_SPOTS
    assert len(asked) <= 3 * MOST_SPOTS + 1


def test_each_place_sees_what_was_mended_before():
    text = "x = bad\ny = bad\n"
    new, _, asked = run(text, lambda request: drafted(" a" if "x =" in request.prefix[-3:] else " x"))
    assert new == "x = a\ny = x\n"
    assert "x = a" in fills(asked)[-1].prefix


def test_a_refresh_drafts_the_weakest_statements_and_no_head():
    text = "def f(a):\n    b = weak\n    c = 2\n    return a\n"
    judge = lambda request: drafted(  # noqa: E731
        request.judged,
        slots=(
            *(Slot(w, 0.01 if w.strip() == "weak" else 0.9, False, 0.1) for w in WORDS.findall(request.judged)),
            GOOD,
        ),
    )
    new, _, asked = run(text, says("b = strong"), "refresh", judge=judge)
    assert new == text.replace("weak", "strong")
    assert {request.prefix for request in fills(asked)} == {"def f(a):\n    "}
    assert run(text, says("b = strong"), "light", judge=judge)[0] == text


def test_all_of_a_body_is_one_hole_of_the_strongest():
    text = 'def f(a):\n    """Doc."""\n    b = bad\n    return b\n'
    new, _, asked = run(text, says("c = a\n    return c"), "rewrite")
    assert new == 'def f(a):\n    """Doc."""\n    c = a\n    return c\n'
    assert fills(asked)[-1].hole == "block"
    assert fills(asked)[-1].prefix == 'def f(a):\n    """Doc."""\n    '


def test_an_instruction_is_shown_and_never_written():
    new, _, asked = run(TEXT, says(" a"), instruction="use a", rows=(1, 1))
    assert new == TEXT.replace("bad", "a")
    assert all("    # use a\n    x" in request.prefix + (request.judged or "") for request in asked)


def test_line_ends_and_characters_outside_stay_as_they_are():
    text = "é = '😀'\r\nx = bad\r\ny = 1\r\n"
    assert run(text, says(" a"), rows=(1, 1))[0] == text.replace("bad", "a")


def test_without_a_grammar_brackets_are_counted():
    assert run("val x = bad\n", says(" (1"), language="kotlin")[0] == "val x = bad\n"
    assert run("val x = bad\n", says(" (1)"), language="kotlin")[0] == "val x = (1)\n"


@pytest.mark.parametrize("answer", [None, drafted("another text"), drafted("")])
def test_a_model_that_does_not_judge_ends_the_work(answer):
    with pytest.raises(NotJudged):
        run(TEXT, says(" a"), judge=lambda _: answer)


def test_a_gain_beyond_counting_is_not_counted():
    assert "over a million times" in Rewritten(("a",), 40.0, 1).verdict


PIECES = st.sampled_from(
    ["def f():\n", "    x = bad\n", "    return (\n", "bad\n", '"""', "é = '😀'\n", "\r\n", "# bad\n", "if x:\n", ")"]
)
SAID = st.sampled_from(["", " a", "    return 1", "a\nb", "(", "é😀", "bad", "...", '"""'])


@given(
    st.lists(PIECES, min_size=1, max_size=12),
    st.lists(SAID, min_size=1),
    st.sampled_from(["light", "refresh", "rewrite"]),
    st.data(),
)
def test_whatever_the_model_says_nothing_outside_of_the_lines_changes(pieces, answers, strength, data):
    text = "".join(pieces)
    lines = split_lines(text)
    first = data.draw(st.integers(0, len(lines) - 1))
    last = data.draw(st.integers(first, len(lines) - 1))
    if not "".join(lines[first : last + 1]).strip():
        return
    count = iter(range(10_000))
    new, found, _ = run(text, lambda _: drafted(answers[next(count) % len(answers)]), strength, (first, last))
    before, after = "".join(lines[:first]), "".join(lines[last + 1 :])
    assert new.startswith(before)
    assert new.endswith(after)
    assert len(new) >= len(before) + len(after)
    assert (new == text) == (found.gain == 0)

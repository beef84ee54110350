import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder_model.prompt import fim_prompt
from coder_model.prompt.fim_prompt import Budget
from coder_model.prompt.tokenizer import END, FILE, PRE, SNIP, SUF
from coder_model.types import FillRequest, InvalidInput, Snippet

BUDGET = Budget.of(256)


def build(tokenizer, prefix, suffix="", **more):
    form = fim_prompt.suffix_first(tokenizer.special_tokens)
    return fim_prompt.build(FillRequest("s", prefix, suffix, **more), tokenizer, BUDGET, form)


def test_the_parts_stand_in_the_order_of_how_rarely_they_change(tokenizer):
    built = build(tokenizer, "a = 1\nb", "\nc = 2\n", path="dir/x.py", snippets=(Snippet("y.py", "d = 3\n"),))
    at = [built.context.index(mark) for mark in (FILE, SUF, END, SNIP, PRE)]
    assert at == sorted(at)
    assert tokenizer.decode(built.context) == "x.py\nc = 2\ny.py\nd = 3\na = 1\n"


def test_the_last_piece_is_healed(tokenizer):
    built = build(tokenizer, "self.mess")
    assert built.heal == b".mess"
    assert tokenizer.decode(built.document) == "self"


def test_line_ends_are_those_of_training(tokenizer):
    built = build(tokenizer, "a\r\nb\rc", "\r\n")
    assert tokenizer.decode(built.document) + built.heal.decode() == "a\nb\nc"


def test_a_lone_surrogate_is_refused_by_name():
    with pytest.raises(InvalidInput, match="suffix must be valid Unicode"):
        FillRequest("s", "", "\ud800")
    with pytest.raises(InvalidInput, match="session must be valid Unicode"):
        FillRequest("\ud800", "", "")


@pytest.mark.parametrize("tokens", [64, 128, 200])
def test_a_smaller_budget_leaves_what_stands_nearest_to_the_cursor(tokenizer, tokens):
    lines = [f"name{n} = {n}\n" for n in range(60)]
    form = fim_prompt.suffix_first(tokenizer.special_tokens)
    request = FillRequest("s", "".join(lines), "\n" + "".join(lines), path="a.py")
    budget = BUDGET.reading(tokens)
    built = fim_prompt.build(request, tokenizer, budget, form)
    assert tokens // 2 < len(built.context) <= tokens
    assert budget.middle == BUDGET.middle
    assert tokenizer.decode(built.context).endswith("name59 = 59")
    assert "name0 = 0" in tokenizer.decode(built.context)


@given(lines=st.lists(st.integers(1, 9), max_size=60), budget=st.integers(8, 64))
def test_a_crop_is_the_end_of_the_text_and_within_the_budget(lines, budget):
    numbered = iter(range(1_000))
    ids = [[next(numbered) for _ in range(n)] for n in lines]
    flat = [i for line in ids for i in line]
    cropped = fim_prompt.crop(ids, budget)
    assert len(cropped) <= budget
    assert flat[len(flat) - len(cropped) :] == cropped
    if len(flat) <= budget:
        assert cropped == flat
    else:
        # a line and a step may be lost to the anchor, no more
        assert len(cropped) > budget - budget // fim_prompt.ANCHOR - 9


def test_typing_rarely_moves_the_crop():
    lines = [[0] * 7 for _ in range(100)]
    starts = []
    for n in range(60, 100):
        starts.append(n * 7 - len(fim_prompt.crop(lines[:n], 200)))
    assert len(set(starts)) < 15


def test_typing_only_appends_to_the_context(tokenizer):
    text = "def f(a, b):\n    return a + b\n\n\ndef g(c):\n    return f(c, c)\n"
    for n in range(30, len(text) - 1):
        before, after = build(tokenizer, text[:n], "\nend\n"), build(tokenizer, text[: n + 1], "\nend\n")
        assert after.context[: len(before.context)] == before.context


def test_the_context_leaves_room_for_the_middle(tokenizer):
    built = build(tokenizer, "value = 1\n" * 500, "other = 2\n" * 500, path="x.py")
    assert len(built.context) + BUDGET.middle <= BUDGET.context
    assert len(built.document) > BUDGET.context

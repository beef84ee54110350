"""The whole loop on a tiny random model: what must hold for any weights."""

import copy
from dataclasses import replace

import pytest
from tiny_engine import DOCUMENT, PREFIXES, engine, last

from coder_model.engine.engine import Engine
from coder_model.engine.syntax_repair import SyntaxCheck
from coder_model.model import weights
from coder_model.model.embedded import DEFAULT_MODEL
from coder_model.text.filters import FILTERS
from coder_model.types import Cancelled, FillRequest


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_text_goes_on_with_the_word_under_the_cursor(model, tokenizer, prefix):
    """Healing: prefix + text begins with prefix, token by token, whatever the model says."""
    draft = last(engine(model, tokenizer), prefix, hole="block")
    assert tokenizer.decode(tokenizer.encode(prefix + draft.text)).startswith(prefix)
    assert "\0" not in draft.text


def test_a_line_hole_holds_one_line(model, tokenizer):
    for prefix in PREFIXES:
        assert "\n" not in last(engine(model, tokenizer), prefix).text


def test_a_kept_cache_changes_nothing(model, tokenizer):
    kept = engine(model, tokenizer)
    for n in range(len(DOCUMENT) - 12, len(DOCUMENT)):
        fresh = last(engine(model, tokenizer, reuse=False), DOCUMENT[:n], hole="block")
        assert last(kept, DOCUMENT[:n], hole="block").text == fresh.text


def test_typing_on_reads_only_what_is_new(model, tokenizer):
    made = engine(model, tokenizer)
    last(made, DOCUMENT + "value = tot")
    lengths = []
    run = made._runner.run
    made._runner.run = lambda work: lengths.append(len(work.tokens)) or run(work)
    last(made, DOCUMENT + "value = tota")
    assert lengths[0] <= 2


def test_a_draft_says_how_many_tokens_were_read(model, tokenizer):
    short, long = (last(engine(model, tokenizer), text + "a = ").prompt_tokens for text in ("", DOCUMENT))
    assert long - short == len(tokenizer.encode(DOCUMENT))


def test_cancel_stops_before_the_next_pass(model, tokenizer):
    steps = []
    wanted = iter([False] * 2 + [True] * 100)
    drafts = engine(model, tokenizer).fill(FillRequest("s", "a = ", "", hole="block"), lambda: next(wanted))
    with pytest.raises(Cancelled):
        steps.extend(drafts)
    assert len(steps) <= 2


def test_at_the_deadline_the_leftmost_run_is_the_answer(model, tokenizer):
    whole = last(engine(model, tokenizer), DOCUMENT, hole="block")
    cut = last(engine(model, tokenizer), DOCUMENT, hole="block", deadline_ms=0.001)
    assert not cut.finished
    assert cut.final
    assert whole.text.startswith(cut.text)


def test_damaged_weights_in_memory_are_found(model, tokenizer):
    made = engine(copy.deepcopy(model), tokenizer)
    made.warm_up()
    assert made.is_intact()
    made._runner.network._norm[3] *= -1
    assert not made.is_intact()


def test_relief_halves_the_context_until_it_is_too_small_to_be_worth_it(tokenizer):
    made = Engine(*weights.load(DEFAULT_MODEL))
    last(made, DOCUMENT * 40 + "x = total(")
    assert [made.reduce_memory() for _ in range(3)] == [True, True, False]
    assert not made._sessions._kept
    assert last(made, DOCUMENT * 40 + "x = total(").final
    assert max(len(session.strategy.sequence.tokens) for session in made._sessions._kept) <= 256


def test_at_the_start_of_a_line_with_text_the_middle_is_a_line_of_its_own():
    made = engine(*weights.load(DEFAULT_MODEL), filters_off=tuple(FILTERS), alternatives=0)
    before_text = last(made, DOCUMENT, "    return 1\n").text
    assert before_text.strip()
    assert before_text == last(made, DOCUMENT, "\n    return 1\n").text + "\n"
    assert not last(made, DOCUMENT + "    ", "return 1\n").text.endswith("\n")


@pytest.mark.parametrize(("count", "limit"), [(1, 12), (1, 16), (1, 3), (3, 3)])
def test_what_the_limit_ends_is_cut_where_it_parses_and_is_not_finished(count, limit):
    made = engine(*weights.load(DEFAULT_MODEL))
    made._budget = replace(made._budget, middle=limit)
    request = FillRequest("s", DOCUMENT + "def mean(items):\n", "\n", path="a.py", hole="block", count=count)
    *_, draft = made.fill(request)
    assert not draft.finished
    assert bool(draft.text) == (limit > 3)
    assert not SyntaxCheck.of(request).breaks(draft.text)


def test_old_sessions_make_room(model, tokenizer):
    made = engine(model, tokenizer, sessions=2)
    for name in "abc":
        list(made.fill(FillRequest(name, "x", "")))
    assert [session.name for session in made._sessions._kept] == ["b", "c"]


def test_what_a_superseded_fill_has_decided_is_a_draft_of_the_next_one():
    embedded = weights.load(DEFAULT_MODEL)
    options = {"copy": False, "min_accepted": 99.0, "alternatives": 0}
    alone = last(engine(*embedded, **options), DOCUMENT, hole="block")
    made, asked = engine(*embedded, **options), iter([False] * alone.steps + [True] * 9)
    with pytest.raises(Cancelled):
        list(made.fill(FillRequest("s", DOCUMENT, "\n", path="a.py", hole="block"), lambda: next(asked)))
    again = last(made, DOCUMENT, hole="block")
    assert again.text == alone.text
    assert again.steps < alone.steps / 2


def test_middles_that_were_no_better_are_not_tried_at_the_next_key(monkeypatch):
    from coder_model.engine.fill_state import FillState

    tried, another = [], FillState._another
    monkeypatch.setattr(FillState, "_another", lambda *args: tried.append(args) or another(*args))
    monkeypatch.setattr(FillState, "_faults", lambda *_: (False, 1, False))
    made = engine(*weights.load(DEFAULT_MODEL))
    last(made, DOCUMENT + "value = ")
    count = len(tried)
    assert count > 0
    last(made, DOCUMENT + "value = ")
    assert len(tried) == count
    # behind another text they may be right
    last(made, DOCUMENT + "value = ", ")\n")
    assert len(tried) > count

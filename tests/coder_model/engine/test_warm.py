"""What is read before somebody asks: it takes work away and changes nothing."""

import contextlib
import itertools
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_engine import engine

from coder_model.decoding.strategies import WARM_TOKENS
from coder_model.engine.engine import Engine
from coder_model.engine.options import EngineOptions
from coder_model.engine.sessions import PLACE_TOKENS, Sessions
from coder_model.model import weights
from coder_model.model.embedded import DEFAULT_MODEL
from coder_model.runtime.passes import Commit
from coder_model.types import Cancelled, FillRequest, InvalidInput

BODY = "def total(items):\n    value = 0\n    for item in items:\n        value += item\n    return value\n\n\n"
LONG = "".join(f"def f{n}(a):\n    return a + {n}\n" for n in range(40))


def request(prefix, suffix="\n", name="s", **more):
    return FillRequest(name, prefix, suffix, path="a.py", **more)


def filled(made, *arguments, **more):
    *_, draft = made.fill(request(*arguments, **more))
    return draft.text, draft.tokens


def passes_of(made):
    """Lengths of the passes from now on."""
    lengths, run = [], made._runner.run
    made._runner.run = lambda work: lengths.append(len(work.tokens) if isinstance(work, Commit) else 0) or run(work)
    return lengths


def test_after_a_warm_up_a_fill_reads_nothing_and_says_the_same(model, tokenizer):
    made, cold = (engine(model, tokenizer, policy="one_token", alternatives=0) for _ in range(2))
    made.warm(request(BODY + "x = total("))
    lengths = passes_of(made)
    answer = filled(made, BODY + "x = total(")
    assert answer == filled(cold, BODY + "x = total(")
    # one pass for each token but the last
    assert lengths == [1] * (answer[1] - 1)


def test_a_key_after_a_warm_up_costs_its_own_tokens(model, tokenizer):
    made = engine(model, tokenizer, policy="one_token", alternatives=0)
    made.warm(request(BODY + "x = "))
    before = len(made._sessions.latest("s").strategy.held)
    lengths = passes_of(made)
    filled(made, BODY + "x = total(it")
    added = len(made.prompt(request(BODY + "x = total(it"), region(BODY + "x = total(it")).context) - before
    assert lengths[0] <= added + 1 < 8


def region(prefix):
    from coder_model.text.fill_region import FillRegion

    return FillRegion.of(request(prefix))


def test_a_warm_up_stops_within_one_piece_and_what_is_read_stays(model, tokenizer):
    made = engine(model, tokenizer)
    asked = itertools.count()
    with pytest.raises(Cancelled):
        made.warm(request(LONG), lambda: next(asked) >= 1)
    assert len(made._sessions.latest("s").strategy.held) == WARM_TOKENS
    lengths = passes_of(made)
    made.warm(request(LONG))
    whole = len(made._sessions.latest("s").strategy.held)
    assert sum(lengths) == whole - WARM_TOKENS


def one_token_engine():
    return engine(*weights.load(DEFAULT_MODEL), policy="one_token", alternatives=0)


def slowed(made, seconds):
    """An engine in whose eyes each token takes so long; half a minute is enough for 300 of 0.1 s."""
    now, run = [0.0], made._runner.run

    def slow(work):
        now[0] += seconds * len(work.tokens)
        run(work)

    made._runner.run, made._clock = slow, lambda: now[0]
    return made


def test_what_reading_takes_is_what_it_took_last():
    made, hurried = slowed(one_token_engine(), 0.1), partial(request, LONG + "x", LONG, deadline_ms=60_000.0)
    made._reading_ms = 0.001
    lengths = passes_of(made)
    list(made.fill(hurried()))
    assert sum(lengths) > 600
    lengths.clear()
    list(made.fill(hurried(name="another")))
    assert 200 < sum(lengths) < 400
    with pytest.raises(Cancelled):
        slowed(made, 0.01).warm(request(LONG, name="stopped"), iter([False, True]).__next__)
    assert made._reading_ms < 20


def test_where_reading_takes_longest_a_few_lines_are_read_and_measured():
    made = slowed(one_token_engine(), 0.1)
    made._reading_ms = 1e6
    lengths = passes_of(made)
    list(made.fill(request(LONG + "x", LONG, deadline_ms=60_000.0)))
    assert 64 <= lengths[0] <= 96
    assert made._reading_ms < 300


def test_no_more_is_read_than_the_deadline_has_time_for():
    made, hurried = slowed(one_token_engine(), 0.1), partial(request, suffix=LONG, deadline_ms=60_000.0)
    made._reading_ms = 100.0
    lengths = passes_of(made)
    list(made.fill(hurried(LONG + "x")))
    assert 200 < lengths[0] <= 300
    lengths.clear()
    list(made.fill(hurried(LONG + "x = f1(")))
    assert lengths[0] < 8
    # the rest is read by the way
    assert made.warm(hurried(LONG + "x = f1(")) > 600
    lengths.clear()
    list(made.fill(hurried(LONG + "x = f1(2")))
    assert lengths[0] < 8
    assert len(made._sessions.latest("s").strategy.held) > 600


def test_who_waits_without_a_deadline_is_answered_by_all_that_stands_there():
    made, cold = one_token_engine(), one_token_engine()
    made._reading_ms = 1e6
    assert filled(made, LONG, LONG) == filled(cold, LONG, LONG)
    assert made._sessions.latest("s").strategy.held == cold._sessions.latest("s").strategy.held


def test_who_comes_back_to_a_place_finds_it_read():
    made = Engine(*weights.load(DEFAULT_MODEL), options=EngineOptions(precision="float32", alternatives=0))
    cut = LONG.index("def f20")
    first, second = (LONG[:cut], LONG[cut:]), (LONG, "\n")
    answer = filled(made, *first)
    filled(made, *second)
    made.warm(request(*first))
    lengths = passes_of(made)
    assert filled(made, *first) == answer
    assert max(lengths) <= made._context.options.block_length


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("prefix", [BODY + "x = total(", LONG, LONG + "def g(", "", "\n"])
def test_the_embedded_model_says_the_same_after_a_warm_up(prefix, precision):
    made, cold = (Engine(*weights.load(DEFAULT_MODEL), options=EngineOptions(precision=precision)) for _ in range(2))
    made.warm(request(prefix, "\n" + BODY))
    assert filled(made, prefix, "\n" + BODY) == filled(cold, prefix, "\n" + BODY)


class Kept:
    """A strategy of so many bytes."""

    held: tuple = ()

    def __init__(self, n_bytes):
        self.n_bytes = n_bytes

    def copied(self, length):
        return None


def test_the_least_recently_used_document_goes_when_the_bytes_are_too_many():
    sizes = iter([40, 40, 40, 90])
    sessions = Sessions(lambda: Kept(next(sizes)), 8, 100)
    for name in "abac":
        with sessions.lent(name, []):
            pass
    assert [session.name for session in sessions._kept] == ["a", "c"]
    # one that is too large alone is kept all the same: somebody works in it
    with sessions.lent("d", []):
        pass
    assert [session.name for session in sessions._kept] == ["d"]


def test_the_bytes_are_those_of_the_caches(model, tokenizer):
    made = engine(model, tokenizer)
    made.warm(request(LONG))
    strategy, config = made._sessions.latest("s").strategy, model.config
    least = len(strategy.held) * 2 * config.n_layers * config.n_kv_heads * config.head_dim * 4
    assert least <= strategy.n_bytes <= 2 * least


def test_another_place_of_a_document_leaves_the_first_one_as_it_was():
    class Tokens(Kept):
        def __init__(self, held):
            super().__init__(1)
            self.held = held

        def copied(self, length):
            return Tokens(self.held[:length])

    sessions = Sessions(lambda: Tokens([]), 8, 100)
    first = list(range(2 * PLACE_TOKENS + 2))
    with sessions.lent("s", first) as session:
        session.strategy.held = first
    near, far = [*first[:-1], 0], [*first[:PLACE_TOKENS], -1]
    with sessions.lent("s", far) as session:
        assert session.strategy.held == first[:PLACE_TOKENS]
        session.strategy.held = far
    with sessions.lent("s", near) as session:
        assert session.strategy.held is first
    assert len(sessions._kept) == 2


@pytest.mark.parametrize(
    ("error", "is_kept"), [(KeyError(), False), (RuntimeError(), False), (Cancelled(), True), (InvalidInput(), True)]
)
def test_a_cache_is_not_kept_where_something_failed(error, is_kept):
    sessions = Sessions(lambda: Kept(1), 8, 100)
    with contextlib.suppress(type(error)), sessions.lent("s", []):
        raise error
    assert (sessions.latest("s") is not None) == is_kept


LINES = st.sampled_from(["x = 1\n", "for item in items:\n", "    value += item\n", "total(", "é = '漢😀'\n", "\n"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["warm", "fill", "stopped"]), st.integers(0, 60), LINES, st.integers(0, 60)),
    min_size=2,
    max_size=6,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_after_any_edits_and_warm_ups_the_tokens_are_those_of_a_cold_engine(model, tokenizer, steps):
    made, text = engine(model, tokenizer, sessions=2), BODY + LONG[:600]
    for kind, edited, line, at in steps:
        place, cursor = (len(text) * share // 60 for share in (edited, at))
        text = text[:place] + line + text[place:]
        wanted = text[:cursor], text[cursor:]
        if kind == "fill":
            assert filled(made, *wanted) == filled(engine(model, tokenizer, reuse=False), *wanted)
        elif kind == "warm":
            made.warm(request(*wanted))
        else:
            # a prompt of one piece, or one that is read already, is not stopped
            asked = itertools.count()
            with contextlib.suppress(Cancelled):
                made.warm(request(*wanted), lambda asked=asked: next(asked) >= 1)

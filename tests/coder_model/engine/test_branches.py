"""Other middles that are filled in common passes are those that are filled one after the other."""

import copy

import pytest
from tiny_engine import DOCUMENT, PREFIXES, engine, last

from coder_model.decoding import strategies
from coder_model.decoding.strategies import CausalStrategy
from coder_model.model import weights
from coder_model.model.embedded import DEFAULT_MODEL
from coder_model.runtime.eager_runner import EagerRunner
from coder_model.types import Cancelled, FillRequest

PLACES = [
    *PREFIXES[:3],
    "import os\n\n\ndef read(path):\n    with open(",
    DOCUMENT + "def average(items):\n    return ",
]


@pytest.fixture(scope="module")
def embedded():
    return engine(*weights.load(DEFAULT_MODEL))


def tokens_of(branches):
    return [branch.middle.tokens for branch in branches]


def probabilities_of(branches):
    return [choice.probability for branch in branches for choice in branch.middle.choices]


@pytest.mark.parametrize("hole", ["line", "block"])
@pytest.mark.parametrize("prefix", PLACES)
def test_common_passes_decide_what_one_after_the_other_decides(embedded, monkeypatch, prefix, hole):
    compared = []

    def both(self, prompt, branches, context, check):
        vocabulary = context.vocabulary
        twins = copy.deepcopy(branches, {id(vocabulary): vocabulary})
        for _ in together(self, prompt, branches, context, check):
            # nothing is given up, so that all of them are compared
            pass
        for _ in strategies._one_by_one(self, prompt, twins, context, check):
            pass
        assert all(branch.middle.ended for branch in branches)
        compared.append((branches, twins))
        yield

    together = CausalStrategy.fill_branches
    monkeypatch.setattr(CausalStrategy, "fill_branches", both)
    last(embedded, prefix, hole=hole, count=3)
    ((found, expected),) = compared
    assert len(found) > 1
    assert tokens_of(found) == tokens_of(expected)
    # sums of another number of rows may be rounded in another order
    assert probabilities_of(found) == pytest.approx(probabilities_of(expected), rel=0, abs=1e-4)


def test_the_document_goes_on_from_its_own_middle_afterwards(embedded):
    prefix = PLACES[0]
    alone = last(embedded, prefix)
    held = embedded._sessions.latest("s").strategy.held
    assert last(embedded, prefix, count=3).text
    assert embedded._sessions.latest("s").strategy.held == held
    assert last(embedded, prefix).text == alone.text


def test_branches_take_few_passes_together(embedded, monkeypatch):
    widths, run = [], EagerRunner.run_together
    monkeypatch.setattr(EagerRunner, "run_together", lambda self, works: widths.append(len(works)) or run(self, works))
    last(embedded, PLACES[-1], count=3)
    assert max(widths) > 1
    # who is done leaves
    assert widths == sorted(widths, reverse=True)


def test_a_fill_that_nobody_wants_any_more_ends_between_common_passes(embedded, monkeypatch):
    passes, run = [], EagerRunner.run_together
    monkeypatch.setattr(EagerRunner, "run_together", lambda self, works: passes.append(works) or run(self, works))
    request = FillRequest("s", PLACES[-1], "\n", path="a.py", count=3)
    with pytest.raises(Cancelled):
        list(embedded.fill(request, lambda: len(passes) == 1))
    assert len(passes) == 1
    whole = [draft.text for draft in last(embedded, PLACES[-1], count=3).others]
    assert whole == [draft.text for draft in last(engine(*weights.load(DEFAULT_MODEL)), PLACES[-1], count=3).others]


def test_a_deadline_between_common_passes_leaves_what_is_finished(embedded, monkeypatch):
    run = EagerRunner.run_together

    def run_late(self, works):
        monkeypatch.setattr("coder_model.engine.fill_state.time.perf_counter", lambda: float("inf"))
        run(self, works)

    whole = last(embedded, PLACES[-1])
    monkeypatch.setattr(EagerRunner, "run_together", run_late)
    draft = last(embedded, PLACES[-1], count=3, deadline_ms=60_000)
    assert draft.text == whole.text

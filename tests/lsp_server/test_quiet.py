import pytest

from coder_model.types import Draft
from lsp_server.quiet import PRESETS, may_ask, may_show


def draft(confidence, tokens):
    return Draft("x", final=True, confidence=confidence, steps=1, tokens=tokens, elapsed_ms=1.0)


@pytest.mark.parametrize("rest", ["", "  ", ")", "]) {", '"),', "):", "}"])
def test_closing_brackets_and_punctuation_may_follow(rest):
    assert may_ask("balanced", rest, 0)


@pytest.mark.parametrize("rest", ["x", " + 1", ".name", "(a)", "# why", ") + b"])
def test_before_other_text_there_is_silence_unless_one_is_eager(rest):
    assert not may_ask("balanced", rest, 0)
    assert may_ask("eager", rest, 0)


@pytest.mark.parametrize(("deletions", "asks"), [(0, True), (1, False), (2, False), (3, True), (9, True)])
def test_a_slip_that_is_mended_is_no_question(deletions, asks):
    assert may_ask("quiet", "", deletions) == asks
    assert may_ask("eager", "", deletions)


def test_a_preset_shows_what_is_likely_enough_as_a_whole():
    sure, unsure = draft(0.9, 10), draft(0.5, 5)
    assert [may_show(name, sure) for name in PRESETS] == [True] * len(PRESETS)
    assert [may_show(name, unsure) for name in PRESETS] == [True, True, False, True]
    assert not may_show("balanced", draft(0.5, 10))

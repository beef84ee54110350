import pytest

from lsp_server.quiet import may_ask


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

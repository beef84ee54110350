import pytest

from lsp_server.trigger_policy import PRESETS, least_right


@pytest.mark.parametrize("rest", ["", "  ", ")", "]) {", '"),', "):", "}"])
def test_closing_brackets_and_punctuation_may_follow(rest):
    assert least_right("balanced", rest, 0) == PRESETS["balanced"].least_right


@pytest.mark.parametrize("rest", ["x", " + 1", ".name", "(a)", "# why", ") + b"])
def test_before_other_text_one_must_be_surer_unless_one_is_eager(rest):
    assert least_right("quiet", rest, 0) is None
    assert least_right("balanced", rest, 0) > least_right("balanced", "", 0)
    assert least_right("eager", rest, 0) == least_right("eager", "", 0)


@pytest.mark.parametrize(("deletions", "asks"), [(0, True), (1, False), (2, False), (3, True), (9, True)])
def test_a_slip_that_is_mended_is_no_question(deletions, asks):
    assert (least_right("quiet", "", deletions) is not None) == asks
    assert least_right("eager", "", deletions) == PRESETS["eager"].least_right


@pytest.mark.parametrize("blank", [" ", "\t", " \t"])
def test_a_long_run_of_blanks_is_read_once(blank):
    many = blank * 50_000
    for before in ("", ")", "];"):
        assert least_right("quiet", f"{before}{many}y", 0) is None
        assert least_right("quiet", f"{before}{many}", 0) == PRESETS["quiet"].least_right

"""Whether a text leaves the document with more faults than it has."""

import pytest

from coder_model.text.harm import WINDOW_CHARS, Place

ONE_LINE = "var a=1;" * (WINDOW_CHARS // 4)


@pytest.mark.parametrize("behind", [") {return g}" + ONE_LINE, ") {return g}\n" + ONE_LINE, ") {return g}"])
@pytest.mark.parametrize("before", ["", ONE_LINE])
def test_a_file_in_one_long_line_is_looked_at_like_any_other(before, behind):
    place = Place(before + "function c(", behind, "javascript")
    assert place.bears("g")
    assert not place.bears("g) {")

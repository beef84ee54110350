import pytest

from coder_model.text.lexis import as_comment


@pytest.mark.parametrize(
    ("language", "comment"),
    [("python", "# why"), ("go", "// why"), ("lua", "-- why"), ("css", "/* why */"), ("clojure", "; why")],
)
def test_a_line_is_a_comment_as_the_language_writes_it(language, comment):
    assert as_comment("why", language) == comment

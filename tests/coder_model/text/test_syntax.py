import pytest

from coder_model.text.syntax import language_of


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a/b.py", "python"),
        ("b.pyi", "python"),
        ("B.MJS", "javascript"),
        ("b.cts", "typescript"),
        ("B.java", "java"),
        ("b.c", "c"),
        ("b.h", "cpp"),
        ("b.cc", "cpp"),
        ("b.toml", ""),
        ("b", ""),
    ],
)
def test_the_ending_of_a_file_says_its_language(path, language):
    assert language_of(path) == language

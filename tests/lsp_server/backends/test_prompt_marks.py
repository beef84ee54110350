import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.backends.prompt_marks import MARKS, AskedText, read_prompt


@pytest.mark.parametrize(("before", "between", "end"), MARKS)
def test_what_stands_between_the_marks_of_each_family_is_found(before, between, end):
    assert read_prompt(f"{before}x = {between}\ny{end}") == AskedText("x = ", "\ny")


def test_codestral_has_the_suffix_first():
    assert read_prompt("[SUFFIX]\ny[PREFIX]x = ") == AskedText("x = ", "\ny")


@pytest.mark.parametrize("prompt", ["x = ", "", "<|fim_prefix|>x", "a <|fim_prefix|>x<|fim_suffix|>y", "[SUFFIX]x"])
def test_a_prompt_without_all_marks_stands_before_the_cursor(prompt):
    assert read_prompt(prompt) == AskedText(prompt, "")


def test_other_files_and_the_path_stand_before_the_marks():
    head = "<|repo_name|>shop\n<|file_sep|>a.py\nimport os\n<|file_sep|>b.py\n"
    read = read_prompt(f"{head}<|fim_prefix|>x = <|fim_suffix|>\n<|fim_middle|>")
    assert read == AskedText("x = ", "\n", "b.py", (("a.py", "import os\n"),))


@given(st.text(), st.text(), st.sampled_from(MARKS))
def test_any_text_without_marks_comes_back(prefix, suffix, marks):
    before, between, end = marks
    # the first of each mark counts
    if not any(mark.strip() in prefix + suffix for mark in ("file_sep", *sum(MARKS, ()))) and not prefix.endswith(" "):
        assert read_prompt(before + prefix + between + suffix + end) == AskedText(prefix, suffix)

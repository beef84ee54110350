"""The order in which a model is shown the parts of its sequence, and what a keystroke changes in it."""

from dataclasses import replace

import checkpoints
import pytest
from checkpoints import BY_NAME
from scripted import foreign_tokenizer

from coder_model.checkpoints.hf_config import read_published
from coder_model.checkpoints.prompt_formats import generation_config_of, prompt_format_of
from coder_model.prompt import fim_prompt
from coder_model.prompt.fim_prompt import Budget, PromptParts
from coder_model.types import FillRequest, Snippet

QWEN = BY_NAME["qwen2.5-coder"]
IDS = {name: 1000 + i for i, name in enumerate((*QWEN.fim, QWEN.file, QWEN.repository, *QWEN.end))}
PREFIX, SUFFIX, MIDDLE = (IDS[name] for name in QWEN.fim)
FILE, REPOSITORY = IDS[QWEN.file], IDS[QWEN.repository]
PARTS = PromptParts([1], [2, 3], True, [], [4, 5], folder=[6], title=[7])


def test_the_half_billion_model_is_shown_the_suffix_first_and_goes_on_with_the_prefix():
    assert prompt_format_of(QWEN, IDS, 896)(PARTS) == ([PREFIX, SUFFIX, 2, 3, MIDDLE, 4, 5], [])


def test_a_model_of_the_family_that_nobody_measured_is_shown_what_its_authors_document():
    assert prompt_format_of(QWEN, IDS, 1)(PARTS) == ([PREFIX, 4, 5, SUFFIX, 2, 3, MIDDLE], [])


@pytest.mark.parametrize("hidden_size", [1, 896])
def test_other_files_stand_first_and_then_which_one_this_is(hidden_size):
    alone, _ = prompt_format_of(QWEN, IDS, hidden_size)(PARTS)
    context, _ = prompt_format_of(QWEN, IDS, hidden_size)(replace(PARTS, snippets=[[8, 9], [10]]))
    assert context == [REPOSITORY, 6, FILE, 8, 9, FILE, 10, FILE, 7, *alone]


@pytest.mark.parametrize("hidden_size", [1, 896])
def test_where_a_file_holds_nothing_the_model_is_told_which_one_it_is(hidden_size):
    tokenizer, form = foreign_tokenizer(), prompt_format_of(QWEN, IDS, hidden_size)

    def context(prefix, suffix=""):
        request = FillRequest("s", prefix, suffix, path="file:///home/shop/main.go")
        return fim_prompt.build(request, tokenizer, Budget.of(256), form).context

    def named(ids):
        return ids[: ids.index(PREFIX)] if PREFIX in ids else ids

    title = [REPOSITORY, *tokenizer.encode("shop\n"), FILE, *tokenizer.encode("main.go\n")]
    for prefix, suffix in (("", ""), ("\n\n", "\n"), ("pack", ""), ("\n  pack", "\n\n")):
        assert named(context(prefix, suffix)) == title
    for prefix, suffix in (("package main\n", ""), ("", "\npackage main")):
        assert named(context(prefix, suffix)) == []


def test_typing_only_appends_to_what_a_model_with_the_suffix_first_is_shown():
    tokenizer = foreign_tokenizer()
    form = prompt_format_of(QWEN, IDS, 896)
    text = 'def f(a):\n    """Text."""\n\n    x = [a,  1]\n    if f(a):\n        return x\n'

    def context(n):
        request = FillRequest("s", text[:n], "\nend\n", path="/p/a.py", snippets=(Snippet("b.py", "x = 1\n"),))
        return fim_prompt.build(request, tokenizer, Budget.of(256), form).context

    for n in range(1, len(text) - 1):
        assert context(n + 1)[: len(context(n))] == context(n)


def test_a_name_of_a_folder_or_a_file_is_a_line(tmp_path):
    tokenizer = foreign_tokenizer()
    shown = []
    for path in ("file:///src/project/a.py", "project\\a.py", "a.py"):
        fim_prompt.build(
            FillRequest("s", "", "", path=path), tokenizer, Budget.of(256), lambda p: (shown.append(p), ([], []))[1]
        )
        shown.append((tokenizer.decode(shown[-1].folder), tokenizer.decode(shown[-1].title)))
    assert [pair for pair in shown if isinstance(pair, tuple)] == [("project\n", "a.py\n")] * 2 + [("\n", "a.py\n")]


def test_any_end_of_a_text_that_the_tokenizer_has_ends_a_middle(tmp_path):
    checkpoints.build(QWEN, tmp_path)
    published = read_published(tmp_path, QWEN.name)
    generation = generation_config_of(published)
    assert {*generation.ends, published.special_tokens.eom} == {published.tokens[name] for name in QWEN.end}
    assert not generation.shows_empty_line

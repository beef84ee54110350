"""What users of other tools reported, played against the real server and the embedded model."""

import json
import re
from pathlib import Path

import pytest
from editing import SETTINGS, UNMASK, accepted, play, unbalanced
from lsp_client import LspClient

from coder_model.text.brackets import faults
from coder_model.text.syntax import errors_in

OWN = Path(__file__).parent / "editing"
SHARED = Path(__file__).parents[3] / "shared" / "cases" / "editing"
CASES = {file.stem: file for folder in (SHARED, OWN) if folder.is_dir() for file in sorted(folder.glob("*.json"))}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    """Where the cases' servers meet one worker; the client that stays keeps it."""
    folder = tmp_path_factory.mktemp("editing")
    client = LspClient(UNMASK, options=SETTINGS, runtime=folder)
    yield folder
    client.close()


def first(played):
    return played.shown[0][0] if played.shown and played.shown[0] else ""


def nothing(case, played):
    assert played.shown[-1] == []


def nothing_the_second_time(case, played):
    assert played.shown[0]
    assert played.shown[-1] == []


def without(opening, closing):
    def check(case, played):
        for text in played.shown[0]:
            assert not unbalanced(text, opening, closing)

    return check


def no_quote(case, played):
    assert all('"' not in text.replace('\\"', "") for text in played.shown[0])


def no_bracket_alone(case, played):
    assert ")" not in (text.strip() for text in played.shown[0])


def no_comment(case, played):
    assert played.shown[0]
    assert not [text for text in played.shown[0] if "#" in text or text.rstrip().endswith(":")]


def one_tab(case, played):
    assert re.match(r"\t\S", first(played))


def another_declaration(case, played):
    assert "st second = 2;" not in played.shown[0]


def types(case, played):
    assert played.shown[0]
    without("<", ">")(case, played)


def body(case, played):
    text = first(played)
    assert "function load" not in text
    assert not unbalanced(text, "{", "}")
    assert all(line.startswith("  ") for line in text.split("\n") if line.strip())


def no_comma_at_its_end(case, played):
    assert not first(played).rstrip().endswith(",")


def begins_with(text):
    def check(case, played):
        assert any(one.startswith(text) for one in played.shown[-1])

    return check


def one_of_them(text):
    def check(case, played):
        assert text in played.shown[-1]

    return check


def default_deadline(case, played):
    assert played.shown[0]
    assert "deadlineMs" in played.log
    assert "deadlineInvokedMs" in played.log


def two_tabs(case, played):
    assert re.match(r"\t\t\S", first(played))


def selected(case, played):
    wanted = case["context"]["selectedCompletionInfo"]
    for item in played.items[0]:
        assert item["insertText"].startswith(wanted["text"])
        assert item["range"] == wanted["range"]


def changed_meanwhile(case, played):
    assert played.error is None or played.error.code == -32801
    assert "Traceback" not in played.log


def no_loop(case, played):
    assert "const second = 2;" not in [text.strip() for texts in played.shown for text in texts]
    assert len([texts for texts in played.shown if texts]) <= 2


def ends_with_1(case, played):
    assert played.exit_code == 1


CHECKS = {
    "begun_line_above": another_declaration,
    "comment_before_colon": no_comment,
    "tab_file_by_two_spaces": one_tab,
    "added_folder_ignore": nothing,
    "angle_bracket_java": types,
    "apostrophe_in_comment": no_bracket_alone,
    "column_zero_reoffers_function": body,
    "continued_call_bracket": without("(", ")"),
    "continued_call_quote": no_quote,
    "deleted_lines_again": nothing,
    "exit_code": ends_with_1,
    "fstring_brace": without("{", "}"),
    "git_diff_silent": begins_with("result"),
    "git_uri_secret": nothing,
    "html_strike": begins_with("<s>"),
    "inner_closed_outer_open": without("{", "}"),
    "negative_deadline": default_deadline,
    "newline_only": nothing_the_second_time,
    "punctuation_before_comment": no_comma_at_its_end,
    "renamed_file_silent": one_of_them("width, height"),
    "repeats_line_above": no_loop,
    "rust_lifetime": without("(", ")"),
    "same_version": changed_meanwhile,
    "selected_completion": selected,
    "tab_file_first_line_by_spaces": two_tabs,
    "undo_offers_again": nothing_the_second_time,
    "version_null": begins_with("width"),
}


def no_harm(case, played):
    """What holds for any case: no error inside, nothing invisible, and nothing that breaks the document."""
    assert played.error is None or played.error.code in (-32800, -32801)
    assert "Traceback" not in played.log
    for request, texts in enumerate(played.shown):
        document, _ = played.documents[request]
        for index, text in enumerate(texts):
            assert text.strip()
            after = (
                accepted(played, request, index) if not case.get("context", {}).get("selectedCompletionInfo") else ""
            )
            assert errors_in(after, case["language"]) <= errors_in(document, case["language"])
            assert faults(after, case["language"]) <= faults(document, case["language"])


def test_every_case_here_says_what_is_right():
    assert {file.stem for file in OWN.glob("*.json")} == set(CHECKS)


@pytest.mark.parametrize("name", CASES)
def test_what_was_reported_of_other_tools_does_not_happen_here(name, runtime):
    case = json.loads(CASES[name].read_text("utf-8"))
    played = play(case, runtime)
    no_harm(case, played)
    CHECKS.get(name, no_harm)(case, played)

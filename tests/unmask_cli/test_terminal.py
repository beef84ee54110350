import errno
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder_model.errors import ModelFileError
from coder_model.types import InvalidInput
from unmask_cli.terminal import MOST_SHOWN, fail, json_object, print_columns, shortened, two_numbers

ROWS = [("a-long-name-of-a-model", "1 B", "a licence of many words " * 4, "~1 GB"), ("b", "2 B", "MIT", "installed")]


def test_into_a_pipe_go_the_cells_alone_between_tabs(capsys):
    print_columns(("name", "size", "licence", "a pull is"), ROWS, "a remark")
    assert capsys.readouterr().out == "".join("\t".join(row) + "\n" for row in ROWS)


@pytest.mark.parametrize("columns", ["20", "60", "200"])
def test_on_a_terminal_no_cell_is_cut_and_names_stand_in_one_line(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    print_columns(("name", "size", "licence", "a pull is"), ROWS, "a remark")
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert "a-long-name-of-a-model" in shown
    assert shown.count("many") == 4
    assert "a remark" in shown


def test_an_error_is_one_line_whatever_a_file_is_named(capsys):
    with pytest.raises(SystemExit) as ended:
        fail("fill", InvalidInput("a\nb\x1b[2J größe.py must be a file"))
    assert ended.value.code == 2
    assert capsys.readouterr().err == "unmask fill: a\\nb\\x1b[2J größe.py must be a file\n"


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, 1), (errno.EROFS, 1), (errno.EACCES, 2)])
def test_a_disk_that_takes_nothing_may_take_it_another_time(number, code):
    error = ModelFileError("cannot be written")
    error.__cause__ = OSError(number, "")
    with pytest.raises(SystemExit) as ended:
        fail("models pull", error)
    assert ended.value.code == code


@given(st.from_regex(r"\d*:?\d*", fullmatch=True) | st.text())
def test_two_numbers_are_read_or_refused_whatever_stands_there(text):
    found = two_numbers(text)
    assert found is None or ":".join(map(str, found)) == ":".join(str(int(part)) for part in text.split(":"))


def test_two_numbers_of_any_length_end_in_no_traceback():
    assert two_numbers(f"{'9' * 5000}:1") is None
    assert two_numbers("120:7") == (120, 7)


@given(st.text(max_size=300))
def test_what_is_shown_of_a_text_is_both_ends(text):
    kept = shortened(text)
    assert len(kept) <= MOST_SHOWN + 1
    start, _, end = (kept, "", "") if kept == text else kept.partition("…")
    assert text.startswith(start[:10])
    assert text.endswith(end[-10:])


@pytest.mark.parametrize("text", ["[]", "{", '{"a": ' + "[" * 5_000 + "]" * 5_000 + "}"])
def test_what_is_no_json_object_is_a_value_error(text):
    with pytest.raises(ValueError, match="must be a JSON object"):
        json_object(text)

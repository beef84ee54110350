import sys

import pytest

from unmask_cli.terminal import print_columns

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

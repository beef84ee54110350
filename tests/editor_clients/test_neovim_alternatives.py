"""`:Unmask alternatives` in the real Neovim, with a fake model: what stands in the panel, and what becomes of it."""

import os
import signal

import pytest
from neovim import SERVER, VERSIONS, ghost, lines, said, wait

pytestmark = pytest.mark.parametrize("editor", VERSIONS, indirect=True)
HEADING = "6 alternatives; <CR> takes the one at the cursor, q closes"
TITLES = """
local namespace = vim.api.nvim_get_namespaces()['unmask.alternatives']
local marks = vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true })
return vim.tbl_map(function(mark) return { mark[2], mark[4].virt_text[1][1] } end, marks)
"""


@pytest.fixture
def quiet(fills, set_up):
    """An editor in which nothing is offered unasked."""
    return set_up(settings={"preset": "manual"})


def write(editor, *text):
    editor.current.buffer[:] = list(text)
    editor.command("normal! $")


def shown(editor, heading=HEADING):
    """Waits for the panel with a heading; returns what stands below it."""
    wait(lambda: lines(editor)[0] == heading, f"{heading}, not {lines(editor)}")
    return lines(editor)[1:]


def test_they_are_numbered_and_shown_as_the_lines_that_they_would_make(quiet):
    write(quiet, "slow = f()")
    quiet.command("normal! h")
    quiet.command("Unmask alternatives")
    assert lines(quiet) == ["looking for alternatives …"]
    below = shown(quiet)
    assert below[::2] == [""] * 6
    assert below[1::2] == [f"slow = f<slow = f|line|()~>{n or ''}()" for n in range(6)]
    assert quiet.exec_lua(TITLES) == [[2 * n - 1, f"{n} of 6"] for n in range(1, 7)]
    options = "return { vim.bo.syntax, vim.bo.filetype, vim.bo.modifiable, #vim.lsp.get_clients({ bufnr = 0 }) }"
    assert quiet.exec_lua(options) == ["python", "", False, 0]


def test_the_one_at_the_cursor_is_inserted_and_one_goes_on_behind_it(quiet):
    write(quiet, "é = f()", "y")
    quiet.input("ggA<Left><Cmd>Unmask alternatives<CR>")
    shown(quiet)
    quiet.input("4j<CR>")
    wait(lambda: lines(quiet) == ["é = f(<é = f(|line|)~y~>1)", "y"], "the inserted text")
    quiet.input("!")
    wait(lambda: lines(quiet)[0] == "é = f(<é = f(|line|)~y~>1!)", "what is typed behind it")
    assert len(quiet.windows) == 1


def test_in_normal_mode_the_place_is_behind_the_last_character(quiet):
    write(quiet, "x = é")
    quiet.input(":Unmask alternatives<CR>")
    assert shown(quiet)[1] == "x = é<x = é|line|~>"
    # on the heading the first is meant
    quiet.input("gg<CR>")
    wait(lambda: lines(quiet) == ["x = é<x = é|line|~>"], "the inserted text")


def test_a_block_keeps_the_line_ends_of_the_file(quiet, tmp_path):
    quiet.command("set fileformat=dos")
    write(quiet, "def f():", "    ")
    quiet.input("GA<Cmd>Unmask alternatives<CR>")
    below = shown(quiet)
    assert below[1:3] == ["    <    |block|~>", "more"]
    quiet.input("<CR>")
    wait(lambda: lines(quiet) == ["def f():", *below[1:3]], "the inserted block")
    quiet.input("<Esc>")
    quiet.command("write")
    assert (tmp_path / "a.py").read_bytes() == b"def f():\r\n    <    |block|~>\r\nmore\r\n"


def test_what_is_taken_is_learnt_like_any_acceptance(fills, set_up):
    editor = set_up()
    write(editor, "x = ")
    editor.input("A<Cmd>Unmask alternatives<CR>")
    shown(editor)
    editor.input("<CR>")
    wait(lambda: "True x = <x = |line|~>" in fills.read_text(), "the fill that looks ahead")


def test_after_an_edit_nothing_is_inserted(quiet):
    write(quiet, "x = ")
    quiet.command("Unmask alternatives")
    shown(quiet)
    quiet.command("wincmd p")
    quiet.input("Ay<Esc>")
    quiet.command("wincmd p")
    quiet.input("<CR>")
    wait(lambda: said(quiet)[-1][0] == "unmask: the text was edited; ask for alternatives again", "why")
    quiet.input("q")
    wait(lambda: len(quiet.windows) == 1, "the panel to close")
    assert lines(quiet) == ["x = y"]


def test_where_the_text_is_in_no_window_any_more_nothing_is_inserted(quiet):
    write(quiet, "x = ")
    quiet.command("Unmask alternatives")
    shown(quiet)
    quiet.command("only")
    quiet.input("<CR>")
    wait(lambda: said(quiet)[-1][0] == "unmask: the text is in its window no more", "why")


def test_closing_the_panel_ends_the_fill(quiet, fills):
    write(quiet, "slow = ")
    quiet.command("Unmask alternatives")
    quiet.input("q")
    wait(lambda: len(quiet.windows) == 1, "the panel to close")
    quiet.input("ox = ")
    quiet.input("<M-\\>")
    wait(lambda: ghost(quiet), "ghost text")
    # the model does one fill at a time, and notes what it has done
    assert fills.read_text() == "False x = \n"


def test_asking_again_takes_the_place_of_the_panel(quiet):
    write(quiet, "slow = ")
    quiet.command("Unmask alternatives")
    quiet.command("wincmd p")
    write(quiet, "x = ")
    quiet.command("Unmask alternatives")
    assert shown(quiet)[1] == "x = <x = |line|~>"
    assert len(quiet.windows) == 2


def test_where_the_server_dies_the_panel_says_so_and_can_be_closed(set_up, tmp_path):
    pid = tmp_path / "pid"
    editor = set_up(cmd=["sh", "-c", f'echo $$ > "{pid}"; exec "$@"', "sh", *SERVER])
    write(editor, "slow = ")
    editor.command("Unmask alternatives")
    os.kill(int(pid.read_text()), signal.SIGKILL)
    assert shown(editor, "no alternatives: the server has ended") == []
    editor.input("<CR>q")
    wait(lambda: len(editor.windows) == 1, "the panel to close")
    assert (lines(editor), editor.vvars["errmsg"]) == (["slow = "], "")


def test_why_there_are_none_stands_in_one_line(quiet, tmp_path):
    write(quiet, "word")
    quiet.input("0la<Cmd>Unmask alternatives<CR>")
    assert shown(quiet, "no alternatives: nothing is offered here") == []
    quiet.input("<CR>q")
    wait(lambda: len(quiet.windows) == 1, "the panel to close")
    assert lines(quiet) == ["word"]
    assert quiet.vvars["errmsg"] == ""

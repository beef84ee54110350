"""Places where little is expected of a completion, in the real Neovim with a fake model: quiet, or it works."""

import os
import shlex
import signal

import pytest
from neovim import SERVER, VERSIONS, ghost, lines, said, wait, wait_for_model

pytestmark = pytest.mark.parametrize("editor", VERSIONS, indirect=True)
PIDS = "return vim.tbl_map(function(client) return client.id end, vim.lsp.get_clients())"


def errors(editor):
    return editor.vvars["errmsg"]


def test_a_buffer_that_may_not_be_changed_gets_one_line(typing):
    typing.current.buffer[:] = ["x = "]
    typing.command("setlocal nomodifiable")
    for action in ("trigger", "watch", "alternatives", "fill-holes", "1Unmask rewrite"):
        typing.input(f":{action if action[0] == '1' else f'Unmask {action}'}<CR>")
    typing.exec_lua("vim.wait(300)")
    assert (ghost(typing), lines(typing), errors(typing)) == ("", ["x = "], "")
    assert {text for text, _ in said(typing)} == {"unmask: this buffer may not be changed"}


def test_a_file_that_is_read_only_gets_ghost_text_and_is_not_written(typing):
    typing.command("setlocal readonly")
    typing.input("ix = ")
    assert wait(lambda: ghost(typing), "ghost text") == "<x = |line|~>"


def test_a_window_that_compares_gets_ghost_text(typing):
    typing.current.buffer[:] = ["y = 1", ""]
    typing.command("vnew | setlocal buftype=nofile | diffthis | wincmd p | diffthis")
    typing.input("Gix = ")
    assert wait(lambda: ghost(typing), "ghost text") == "<x = |line|~>"
    typing.input("<Tab>")
    wait(lambda: lines(typing) == ["y = 1", "x = <x = |line|~>"], "the accepted text")


def test_a_megabyte_gets_ghost_text(typing):
    typing.current.buffer[:] = ["y = 1"] * 170_000
    typing.input("Gox = ")
    assert wait(lambda: ghost(typing), "ghost text") == "<x = |line|~>"


def test_of_several_lines_that_are_typed_at_once_each_gets_what_was_taken(typing):
    typing.current.buffer[:] = ["a", "b"]
    typing.input("gg<C-v>jA = ")
    wait(lambda: ghost(typing), "ghost text")
    typing.input("<Esc>")
    wait(lambda: lines(typing) == ["a = ", "b = "], "both lines")
    assert ghost(typing) == ""
    assert errors(typing) == ""


def test_a_server_that_dies_is_started_anew_by_hand(set_up, tmp_path):
    pid = tmp_path / "pid"
    editor = set_up(cmd=["sh", "-c", f'echo $$ > "{pid}"; exec "$@"', "sh", *SERVER])
    editor.input("ix = ")
    wait(lambda: ghost(editor), "ghost text")
    os.kill(int(pid.read_text()), signal.SIGKILL)
    wait(lambda: editor.exec_lua(PIDS) == [], "it to be gone")
    editor.input("y")
    editor.input("<Esc>")
    assert errors(editor) == ""
    editor.command("Unmask trigger")
    assert said(editor)[-1][0].startswith("unmask: no server is attached")
    editor.command("Unmask restart")
    wait_for_model(editor)
    editor.input("A")
    assert wait(lambda: ghost(editor), "ghost text") == "<x = y|line|~>"


def test_a_program_that_is_no_server_is_no_error_of_the_editor(editor, tmp_path):
    file = tmp_path / "a.py"
    file.write_text("x = ")
    editor.exec_lua("require('unmask').setup({ cmd = { 'true' } })")
    editor.command(f"edit {file}")
    editor.command("setfiletype python")
    editor.input("Ax")
    wait(lambda: editor.exec_lua(PIDS) == [], "it to be gone")
    editor.input("<Esc>")
    editor.command("Unmask watch")
    assert said(editor)[-1][0].startswith("unmask: no server is attached")


def test_neovim_that_is_too_old_is_told_once(editor):
    editor.exec_lua("vim.fn.has = function() return 0 end require('unmask').setup()")
    assert [text for text, _ in said(editor)] == ["unmask: needs Neovim 0.10 or newer"]


def test_a_program_that_never_answers_is_replaced_by_hand(editor, tmp_path):
    file, pids = tmp_path / "a.py", tmp_path / "pids"
    file.write_text("")
    editor.exec_lua(
        "require('unmask').setup({ cmd = { 'sh', '-c', ... } })",
        f"echo $$ >> {pids}; test $(wc -l < {pids}) = 1 && exec sleep 600; exec {shlex.join(SERVER)}",
    )
    editor.command(f"edit {file}")
    editor.command("setfiletype python")
    wait(pids.exists, "the program")
    editor.command("Unmask trigger")
    assert said(editor)[-1][0] == "unmask: the server has not answered yet; :Unmask restart starts another"
    editor.command("Unmask restart")
    wait_for_model(editor)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pids.read_text().split()[0]), 0)

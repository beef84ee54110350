"""Ghost text in the real Neovim, with the client that we ship and a fake model."""

import re
from pathlib import Path

import pytest
from neovim import SERVER, VERSIONS, ghost, lines, said, wait

everywhere = pytest.mark.parametrize("editor", VERSIONS, indirect=True)
LINE_ENDS = pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"], ids=["unix", "dos", "mac"])


@everywhere
def test_ghost_text_is_shown_and_tab_accepts_it(typing):
    typing.input("ix = ")
    assert wait(lambda: ghost(typing), "ghost text") == "<x = |line|~>"
    typing.input("<Tab>")
    wait(lambda: lines(typing) == ["x = <x = |line|~>"], "the accepted text")
    wait(lambda: typing.exec_lua("return #vim.lsp.get_clients()") == 1, "the server to live on")
    typing.input("!<Esc>:w<CR>")
    wait(lambda: Path(typing.current.buffer.name).read_text() == "x = <x = |line|~>!\n", "the file on disk")


@everywhere
def test_a_word_and_then_the_rest_of_the_line(typing):
    typing.input("ix = ")
    wait(lambda: ghost(typing), "ghost text")
    typing.input("<F2>")
    wait(lambda: lines(typing) == ["x = <"], "the first word")
    assert wait(lambda: ghost(typing), "the rest") == "x = |line|~>"
    typing.input("<F2>")
    wait(lambda: lines(typing) == ["x = <x"], "the second word")
    wait(lambda: ghost(typing), "the rest")
    typing.input("<F3>")
    wait(lambda: lines(typing) == ["x = <x = |line|~>"], "the line")


@everywhere
def test_what_was_typed_since_the_ghost_text_came_is_not_inserted_twice(typing):
    typing.input("ix = ")
    wait(lambda: ghost(typing), "ghost text")
    typing.input("<lt>x<Tab>")
    wait(lambda: lines(typing) == ["x = <x = |line|~>"], "the accepted text")


@everywhere
@LINE_ENDS
def test_a_block_is_taken_line_by_line(set_up, line_end):
    typing = set_up(b"# a" + line_end)
    typing.input("odef f():<CR>    ")
    whole = wait(lambda: ghost(typing), "ghost text")
    assert re.fullmatch(r"<    \|block\|~?>\nmore", whole)
    first = "    " + whole.partition("\n")[0]
    typing.input("<F3>")
    wait(lambda: lines(typing) == ["# a", "def f():", first], "the first line")
    wait(lambda: ghost(typing) == "\nmore", "the rest")
    typing.input("<F3>")
    wait(lambda: lines(typing) == ["# a", "def f():", first, "more"], "the block")
    typing.input("<Esc>:w<CR>")
    written = line_end.join([b"# a", b"def f():", first.encode(), b"more", b""])
    wait(lambda: Path(typing.current.buffer.name).read_bytes() == written, "the file on disk")


@everywhere
def test_without_ghost_text_the_key_is_itself(typing):
    typing.input("i<Tab>x")
    wait(lambda: lines(typing) == ["\tx"], "a tab")


@everywhere
def test_what_is_dismissed_comes_back_with_the_next_key(typing):
    typing.input("ix = ")
    wait(lambda: ghost(typing), "ghost text")
    typing.input("<C-]>")
    wait(lambda: not ghost(typing), "it to go")
    typing.exec_lua("vim.wait(400)")
    assert ghost(typing) == ""
    typing.input("y")
    assert wait(lambda: ghost(typing), "ghost text") == "<x = y|line|~>"


@everywhere
def test_it_goes_with_insert_mode_and_with_a_key_that_does_not_fit(typing):
    typing.input("ix = ")
    wait(lambda: ghost(typing), "ghost text")
    typing.input("q")
    assert wait(lambda: ghost(typing).startswith("<x = q") and ghost(typing), "another one") == "<x = q|line|~>"
    typing.input("<Esc>")
    wait(lambda: not ghost(typing), "it to go")


def notes(editor, folder, cmd):
    """What is said to the user while two files are opened; `cmd` is the client's own where it is empty."""
    editor.exec_lua(
        """
        local cmd = ...
        if #cmd > 0 then vim.lsp.config('unmask', { cmd = cmd }) end
        vim.lsp.enable('unmask')
        """,
        cmd,
    )
    for name in ("a.py", "b.py"):
        (folder / name).write_text("")
        editor.command(f"edit {folder / name}")
        editor.command("setfiletype python")
    # what was scheduled before has run then
    editor.exec_lua("vim.wait(50)")
    return said(editor)


@pytest.mark.parametrize(("cmd", "named"), [([], "'unmask'"), (["/nowhere/unmask", "lsp"], "'/nowhere/unmask'")])
def test_a_program_that_is_not_there_is_said_once(editor, tmp_path, cmd, named):
    editor.exec_lua("vim.env.PATH = '/usr/bin'")
    ((text, level),) = notes(editor, tmp_path, cmd)
    assert f"unmask: {named} is not on the PATH" in text
    assert level == editor.exec_lua("return vim.log.levels.WARN")


def test_with_a_program_nothing_is_said_and_the_folder_of_the_project_is_found(editor, tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / "src").mkdir()
    assert notes(editor, tmp_path / "src", SERVER) == []
    root = "local c = vim.lsp.get_clients({ bufnr = 0 })[1] return c and c.root_dir"
    assert wait(lambda: editor.exec_lua(root), "the server to attach") == str(tmp_path)

"""Ghost text fits the text as it stands now, or there is none: in the real Neovim with a fake model."""

import pytest
from neovim import VERSIONS, ghost, lines, said, wait

pytestmark = pytest.mark.parametrize("editor", VERSIONS, indirect=True)
OFFERED = "<x = |line|)~>"
AT_ONCE = "vim.api.nvim_feedkeys(vim.keycode(...), 't', false)"


def has_text(editor, text):
    return lambda: "\n".join(lines(editor)) == text


@pytest.fixture
def offered(set_up):
    """Begins a line anew, which a suggestion is for: `x = `, the cursor, `)`."""
    # another preset says nothing after a deletion
    editor = set_up(settings={"preset": "eager"})
    editor.command("setlocal softtabstop=0")

    def begin():
        editor.input("<Esc>")
        editor.current.buffer[:] = [")"]
        editor.input("ggIx = ")
        wait(lambda: ghost(editor) == OFFERED, "ghost text")
        return editor

    return begin


def test_what_is_deleted_behind_the_cursor_takes_it_away_and_another_one_comes(offered):
    editor = offered()
    editor.input("<Del>")
    wait(lambda: lines(editor) == ["x = "], "the bracket to go")
    wait(lambda: ghost(editor) == "<x = |line|~>", "one without the bracket")


def test_lines_that_come_above_by_no_key_leave_it_in_its_line(offered):
    editor = offered()
    editor.api.buf_set_lines(0, 0, 0, True, ["import y"])
    wait(lambda: ghost(editor) == OFFERED, "ghost text")
    editor.exec_lua("vim.wait(600)")
    assert ghost(editor) == OFFERED
    editor.input("<Tab>")
    wait(lambda: lines(editor) == ["import y", f"x = {OFFERED})"], "the accepted text")


def test_a_key_that_accepts_takes_what_fits_what_was_typed_at_once_with_it_and_nothing_else(offered):
    for keys, left in (
        ("<lt>x", f"x = {OFFERED})"),
        ("<lt>y<BS>", f"x = {OFFERED})"),
        ("q", "x = q\t)"),
        ("<BS><BS>: ", "x : \t)"),
        ("<Left>=<Left><Right>", "x ==\t )"),
        ("<Del>", "x = \t"),
        ("<lt><Del>", "x = <\t"),
        ("]<Left>", "x = \t])"),
        ("<lt><Left>", "x = \t<)"),
        ("<CR>", "x = \n\t)"),
    ):
        editor = offered()
        editor.exec_lua(AT_ONCE, f"{keys}<Tab>")
        wait(has_text(editor, left), (keys, left))


def test_a_repeated_insert_has_the_text_that_was_taken(offered):
    editor = offered()
    editor.input("<Tab>!<Esc>")
    editor.api.buf_set_lines(0, 1, 1, True, [""])
    editor.input("j.")
    wait(lambda: lines(editor) == [f"x = {OFFERED}!)", f"x = {OFFERED}!"], "the same again")
    editor.input("u")
    wait(lambda: lines(editor)[1:] == [""], "one undo")


def test_a_repeated_insert_has_the_tab_where_there_was_no_ghost_text(typing):
    typing.command("setlocal softtabstop=0")
    typing.input("o<Tab>y<lt><Tab>z<Esc>.")
    wait(lambda: lines(typing) == ["", "\ty<\tz", "\ty<\tz"], "the same again")


def test_a_count_repeats_the_text_that_was_taken(typing):
    typing.input("2odef f():<CR>    ")
    wait(lambda: "more" in ghost(typing), "a block")
    typing.input("<Tab><Esc>")
    block = ["def f():", "    <    |block|~>", "more"]
    wait(lambda: lines(typing) == ["", *block, *block], "two blocks")


def test_nothing_is_offered_while_a_macro_is_recorded_which_replays_what_was_seen(offered):
    editor = offered()
    editor.input("<Esc>qqox = ")
    editor.exec_lua("vim.wait(600)")
    assert ghost(editor) == ""
    editor.input("<M-\\><Tab>!<Esc>q")
    assert said(editor)[-1][0] == "unmask: nothing is offered while a macro is recorded"
    editor.input("@q")
    wait(lambda: lines(editor) == ["x = )", "x = \t!", "x = \t!"], "the same again")
    editor.input("ox = ")
    wait(lambda: ghost(editor), "ghost text")


def test_it_is_taken_while_a_menu_of_words_is_open(typing):
    typing.input("ione two o<C-n>")
    wait(lambda: ghost(typing) == "<one two one|line|~>", "ghost text")
    typing.input("<Tab>!")
    wait(lambda: lines(typing) == ["one two one<one two one|line|~>!"], "the accepted text")

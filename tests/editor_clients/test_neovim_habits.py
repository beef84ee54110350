"""What somebody who types all day does around ghost text, in the real Neovim with a fake model."""

import pytest
from neovim import SERVER, VERSIONS, ghost, lines, restart, wait, wait_for_model

pytestmark = pytest.mark.parametrize("editor", VERSIONS, indirect=True)
ON_ITS_WAY = """
for _, request in pairs(vim.lsp.get_clients()[1].requests) do
  if request.method == 'textDocument/inlineCompletion' then return true end
end
return false
"""
STATUS = "return require('unmask').status()"
AT_EACH_MOVE = "return #vim.api.nvim_get_autocmds({ event = 'CursorMoved', buffer = 0 })"


@pytest.fixture
def offered(typing):
    """An editor that shows `<x = |line|~>` behind `x = `."""
    typing.input("ix = ")
    wait(lambda: ghost(typing), "ghost text")
    return typing


def test_what_is_typed_behind_the_key_that_accepts_comes_behind_the_text(offered):
    # both are there at once, as over a slow line
    offered.input("<Tab>!")
    wait(lambda: lines(offered) == ["x = <x = |line|~>!"], "both, in this order")


def test_a_tab_in_the_next_line_is_a_tab(offered):
    offered.input("<CR><Tab>y")
    wait(lambda: lines(offered) == ["x = ", "\ty"], "a tab")


def test_a_tab_behind_all_of_the_text_is_a_tab(offered):
    offered.command("setlocal softtabstop=0")
    offered.input("<lt>x = |line|~>")
    wait(lambda: lines(offered) == ["x = <x = |line|~>"], "all of the text")
    offered.input("<Tab>y")
    wait(lambda: lines(offered) == ["x = <x = |line|~>\ty"], "a tab")


def test_what_does_not_fit_any_more_is_hidden_before_there_is_another(offered):
    offered.input("slow")
    wait(lambda: not ghost(offered), "it to go")


def test_nothing_stays_behind_in_a_window_that_is_left_while_one_types(typing):
    typing.command("vnew | setlocal buftype=nofile | wincmd p")
    typing.input("ix = ")
    wait(lambda: ghost(typing), "ghost text")
    typing.input("<Cmd>wincmd p<CR>")
    wait(lambda: not typing.current.buffer.name, "the other window")
    typing.command("wincmd p")
    assert ghost(typing) == ""


def test_what_is_off_stays_off_when_the_server_is_started_anew(typing):
    typing.command("Unmask toggle")
    restart(typing)
    typing.input("ix = ")
    typing.exec_lua("vim.wait(600)")
    assert ghost(typing) == ""
    typing.input("<Cmd>Unmask toggle<CR>y")
    assert wait(lambda: ghost(typing), "ghost text") == "<x = y|line|~>"


def test_it_can_be_turned_off_while_an_answer_is_on_its_way(typing):
    typing.input("islow = ")
    wait(lambda: typing.exec_lua(ON_ITS_WAY), "a request")
    typing.input("<Cmd>Unmask toggle<CR>")
    wait(lambda: not typing.exec_lua(ON_ITS_WAY), "its answer")
    assert (ghost(typing), typing.vvars["errmsg"]) == ("", "")


def test_after_a_restart_a_move_of_the_cursor_does_no_more_than_before(typing):
    before = typing.exec_lua(AT_EACH_MOVE)
    restart(typing)
    typing.command("doautocmd CursorMoved")
    assert typing.exec_lua(AT_EACH_MOVE) == before


def test_what_is_no_file_gets_no_server(typing):
    typing.command("new | setlocal buftype=nofile | set filetype=python")
    typing.exec_lua("vim.wait(50)")
    assert typing.exec_lua("return #vim.lsp.get_clients({ bufnr = 0 })") == 0


def test_two_projects_are_quiet_together_and_a_buffer_has_the_status_of_its_own(typing, tmp_path):
    (tmp_path / "other").mkdir()
    typing.exec_lua("require('unmask.lsp').configure({ root_dir = ... })", str(tmp_path / "other"))
    typing.command(f"edit {tmp_path / 'other' / 'b.py'}")
    typing.command("set filetype=python")
    wait(lambda: typing.exec_lua("return #vim.lsp.get_clients()") == 2, "another server")
    wait_for_model(typing)
    typing.command("Unmask snooze 5")
    wait(lambda: typing.exec_lua(STATUS).startswith("quiet until "), "it to be quiet")
    typing.input("ix = ")
    typing.exec_lua("vim.wait(600)")
    assert ghost(typing) == ""
    typing.command(f"buffer {tmp_path / 'a.py'}")
    wait(lambda: typing.exec_lua(STATUS).startswith("quiet until "), "the other to be quiet")


def test_one_undo_takes_the_text_away_and_leaves_what_was_typed_before(offered):
    offered.input("<Tab>")
    wait(lambda: lines(offered) == ["x = <x = |line|~>"], "the accepted text")
    offered.input("<Esc>u")
    wait(lambda: lines(offered) == ["x = "], "what was typed")
    offered.input("u")
    wait(lambda: lines(offered) == [""], "nothing")
    offered.input("<C-r><C-r>")
    wait(lambda: lines(offered) == ["x = <x = |line|~>"], "both again")


def test_words_are_undone_one_by_one_with_what_was_typed_behind_them(offered):
    offered.input("<F2>")
    wait(lambda: lines(offered) == ["x = <"], "a word")
    wait(lambda: ghost(offered), "the rest")
    offered.input("<F2>")
    wait(lambda: lines(offered) == ["x = <x"], "another word")
    offered.input("yz<Esc>u")
    wait(lambda: lines(offered) == ["x = <"], "one word")
    offered.input("u")
    wait(lambda: lines(offered) == ["x = "], "what was typed")


def test_a_plugin_that_calls_the_client_as_before_0_11_is_answered(typing):
    typing.exec_lua(
        """
        local place = { textDocument = vim.lsp.util.make_text_document_params(0), context = { diagnostics = {} } }
        place.range = { start = { line = 0, character = 0 }, ['end'] = { line = 0, character = 0 } }
        local function heard(err) _G.heard = err or 'well' end
        vim.lsp.get_clients()[1].request('textDocument/codeAction', place, heard, 0)
        """
    )
    wait(lambda: typing.exec_lua("return _G.heard") == "well", "an answer")


def test_a_function_may_start_the_server(editor, tmp_path):
    (tmp_path / "a.py").touch()
    editor.exec_lua(
        """
        local server = ...
        require('unmask').setup({ cmd = function(dispatchers) return vim.lsp.rpc.start(server, dispatchers) end })
        """,
        SERVER,
    )
    editor.command(f"edit {tmp_path / 'a.py'}")
    editor.command("setfiletype python")
    wait_for_model(editor)


def test_what_another_server_suggests_neovim_takes_as_it_does(typing):
    if not typing.exec_lua("return vim.lsp.inline_completion ~= nil"):
        pytest.skip("this Neovim shows nothing of other servers")
    typing.command("Unmask toggle")
    typing.exec_lua(
        """
        local whole = { start = { line = 0, character = 0 }, ['end'] = { line = 0, character = 3 } }
        local answers = {
          initialize = { capabilities = { inlineCompletionProvider = true } },
          ['textDocument/inlineCompletion'] = { items = { { insertText = 'y = 2', range = whole } } },
        }
        local function nothing() end
        vim.lsp.start({
          name = 'other',
          cmd = function()
            local function request(method, _, reply) return true, reply(nil, answers[method]) or 1 end
            return { request = request, notify = nothing, is_closing = nothing, terminate = nothing }
          end,
        })
        """
    )
    other = "local other = vim.lsp.get_clients({ name = 'other', bufnr = 0 })[1]; return other and other.initialized"
    wait(lambda: typing.exec_lua(other), "the other server")
    typing.input("iy 2<Left>")
    wait(lambda: ghost(typing), "ghost text")
    typing.input("<Tab>")
    wait(lambda: lines(typing) == ["y = 2"], "the line of the other server")


def test_where_a_plugin_closes_what_one_types_the_text_is_another_one(offered):
    offered.command("inoremap <lt> <lt>><Left>")
    offered.input("<lt>")
    wait(lambda: ghost(offered) == "<x = <|line|>~>", "the text before what was closed")

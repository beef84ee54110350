"""What `setup` of the Neovim client is given, right or wrong, and the keys that somebody had before."""

import pytest
from neovim import SERVER, VERSIONS, ghost, lines, said, wait

pytestmark = pytest.mark.parametrize("editor", VERSIONS, indirect=True)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ("{ cmd = 'unmask lsp' }", "setup.cmd must be a list such as { '/path/to/unmask', 'lsp' }, got \"unmask lsp\""),
        ("{ cmd = {} }", "setup.cmd must be a list such as { '/path/to/unmask', 'lsp' }, got {}"),
        ("{ settings = 'quiet' }", "setup.settings must be a table such as { preset = 'quiet' }, got \"quiet\""),
        ("{ setings = {} }", "setup takes cmd, keys, on_attach, settings, got 'setings'"),
        ("{ keys = true }", "setup.keys must be a table such as { accept = '<C-y>' }, or false, got true"),
        (
            "{ keys = { acept = '<C-y>' } }",
            "setup.keys takes accept, accept_line, accept_word, dismiss, next, previous, trigger, got 'acept'",
        ),
        ("{ keys = { accept = true } }", "setup.keys.accept must be a key such as '<C-y>', or false, got true"),
        ("'quiet'", 'setup() takes a table, got "quiet"'),
    ],
)
def test_a_wrong_option_is_said_and_the_rest_counts(editor, wrong, complaint):
    editor.exec_lua(f"require('unmask').setup({wrong})")
    # others may follow: that there is no such program
    assert said(editor)[0] == (f"unmask: {complaint}", editor.exec_lua("return vim.log.levels.WARN"))
    assert sum("setup" in text and "PATH" not in text for text, _ in said(editor)) == 1
    assert editor.exec_lua("return vim.fn.maparg('<Tab>', 'i', false, true).desc") == "unmask: accept"
    assert editor.exec_lua("return require('unmask.lsp').config().cmd") == ["unmask", "lsp"]


def test_nothing_is_said_of_options_that_are_right(editor):
    editor.exec_lua(
        "require('unmask').setup({ cmd = ..., settings = {}, keys = { accept = '<C-y>', next = false } })", SERVER
    )
    editor.exec_lua("require('unmask').setup({ keys = false })")
    assert said(editor) == []


@pytest.mark.parametrize(
    "before",
    [
        "vim.keymap.set('i', '<Tab>', 'was')",
        "vim.cmd([[inoremap <expr> <Tab> 'w' . 'as']])",
        "vim.cmd([[imap x was]]) vim.keymap.set('i', '<Tab>', 'x', { remap = true })",
        "vim.keymap.set('i', '<Tab>', function() return 'was' end, { expr = true })",
        "vim.keymap.set('i', '<Tab>', function() vim.api.nvim_put({ 'was' }, 'c', false, true) end)",
    ],
    ids=["keys", "expression", "recursive", "lua-expression", "lua"],
)
def test_without_ghost_text_a_key_does_what_it_did_before_and_with_it_takes_it(editor, set_up, before):
    editor.exec_lua(before)
    typing = set_up()
    typing.exec_lua("require('unmask').setup({ cmd = ..., keys = { accept_word = '<F2>' } })", SERVER)
    typing.input("i<Tab>")
    wait(lambda: lines(typing) == ["was"], "what the key did")
    typing.input(" = ")
    assert wait(lambda: ghost(typing), "ghost text") == "<was = |line|~>"
    typing.input("<Tab>")
    wait(lambda: lines(typing) == ["was = <was = |line|~>"], "the accepted text")
    assert typing.vvars["errmsg"] == ""


def test_a_mapping_may_end_in_its_own_key(editor, set_up):
    editor.command("imap <expr> <Tab> get(g:, 'in_snippet') ? 'was' : '<Tab>'")
    typing = set_up()
    typing.input("i<Tab>x<lt><Tab>y")
    wait(lambda: lines(typing) == ["\tx<\ty"], "two tabs")
    typing.vars["in_snippet"] = 1
    typing.input("<Tab> = ")
    assert wait(lambda: ghost(typing), "ghost text") == "<\tx<\tywas = |line|~>"
    typing.input("<Tab>")
    wait(lambda: lines(typing) == ["\tx<\tywas = <\tx<\tywas = |line|~>"], "the accepted text")


def test_a_mapping_may_go_through_a_menu_that_is_open(editor, set_up):
    editor.command("inoremap <expr> <Tab> pumvisible() ? '<C-n>' : '<Tab>'")
    typing = set_up(settings={"preset": "manual"})
    typing.input("ione1 one2 o<C-n>")
    wait(lambda: typing.funcs.pumvisible(), "the menu")
    typing.input("<Tab>")
    wait(lambda: lines(typing) == ["one1 one2 one2"], "the second word")


@pytest.mark.parametrize("given", ["setup", "this server", "all servers"])
def test_what_the_user_does_when_a_server_attaches_is_done_beside_what_we_do(editor, set_up, given):
    attached = "function(client, bufnr) _G.attached = { client.name, bufnr } end"
    if given == "setup":
        editor.exec_lua(
            f"local setup = require('unmask').setup "
            f"require('unmask').setup = function(options) options.on_attach = {attached} setup(options) end"
        )
    elif editor.exec_lua("return vim.lsp.inline_completion ~= nil"):
        name = "unmask" if given == "this server" else "*"
        began = "function() _G.began = true end"
        editor.exec_lua(f"vim.lsp.config('{name}', {{ on_attach = {attached}, on_init = {began} }})")
    else:
        pytest.skip("this Neovim's client is started by the plugin alone")
    typing = set_up()
    assert typing.exec_lua("return _G.attached") == ["unmask", typing.current.buffer.number]
    assert given == "setup" or typing.exec_lua("return _G.began")
    assert len(typing.api.get_autocmds({"event": "CursorMoved", "buffer": typing.current.buffer.number})) == 1
    assert typing.exec_lua("return require('unmask.server').release_of(vim.lsp.get_clients()[1])") == "0.1.0"
    typing.input("ix = ")
    assert wait(lambda: ghost(typing), "ghost text") == "<x = |line|~>"

"""The command `:Unmask`, its keys and its health check in the real Neovim, with a fake model."""

import shutil

import pytest
from neovim import CLIENT, SERVER, VERSIONS, ghost, lines, restart, said, wait

INFO, WARN, ERROR = 2, 3, 4
ACTIONS = ["alternatives", "dismiss", "fill-holes", "log", "next", "previous", "restart", "rewrite", "snooze"]
ACTIONS += ["status", "toggle", "trigger", "watch"]
everywhere = pytest.mark.parametrize("editor", VERSIONS, indirect=True)


def last(editor, start, level=INFO):
    """Waits until a line that starts so is the last one said."""

    def is_said():
        heard = said(editor)
        return heard and heard[-1][0].startswith(f"unmask: {start}") and heard[-1][1] == level and heard[-1][0]

    try:
        return wait(is_said, start)
    except AssertionError as error:
        raise AssertionError(said(editor)) from error


def type_text(editor, *text):
    editor.current.buffer[:] = list(text)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("Unmask ", ACTIONS),
        ("Unmask re", ["restart", "rewrite"]),
        ("Unmask rewrite ", ["light", "refresh", "rewrite"]),
        ("1,2Unmask rewrite re", ["refresh", "rewrite"]),
        ("Unmask rewrite light na", []),
        ("Unmask status ", []),
        ("Unmask nonsense ", []),
    ],
)
def test_words_are_completed(editor, typed, offered):
    assert editor.funcs.getcompletion(typed, "cmdline") == offered


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("nonsense", ":Unmask takes one of alternatives, dismiss, "),
        ("rewrite all", ":Unmask rewrite takes light, refresh or rewrite, and then an instruction, got all"),
        ("snooze -1", ":Unmask snooze takes minutes from 0 to 10080, got -1"),
        ("snooze soon", ":Unmask snooze takes minutes from 0 to 10080, got soon"),
    ],
)
def test_wrong_words_are_named_in_one_line(editor, command, told):
    editor.command(f"Unmask {command}")
    ((text, level),) = said(editor)
    assert text.startswith(f"unmask: {told}")
    assert level == ERROR


@pytest.mark.parametrize(
    "action", [one for one in ACTIONS if one not in ("dismiss", "log", "next", "previous", "restart")]
)
def test_without_a_server_every_action_says_so(editor, action):
    editor.command(f"Unmask {action}")
    ((text, level),) = said(editor)
    assert text.startswith("unmask: no server is attached")
    assert level == WARN


@everywhere
def test_with_the_preset_manual_only_the_trigger_asks_and_the_suggestions_are_cycled(set_up):
    editor = set_up(settings={"preset": "manual"})
    editor.input("ix = ")
    editor.exec_lua("vim.wait(600)")
    assert ghost(editor) == ""
    editor.input("<M-\\>")
    assert wait(lambda: ghost(editor), "ghost text") == "<x = |line|~>"
    editor.input("<M-]>")
    assert wait(lambda: ghost(editor) != "<x = |line|~>" and ghost(editor), "the second") == "<x = |line|~>1 (2/3)"
    editor.input("<M-]>")
    wait(lambda: ghost(editor) == "<x = |line|~>2 (3/3)", "the third")
    editor.input("<M-[>")
    wait(lambda: ghost(editor) == "<x = |line|~>1 (2/3)", "the second again")
    editor.input("<Tab>")
    wait(lambda: lines(editor) == ["x = <x = |line|~>1"], "the accepted text")


@everywhere
def test_the_trigger_begins_to_insert(set_up):
    editor = set_up(settings={"preset": "manual"})
    type_text(editor, "x = ")
    editor.command("normal! $")
    # as a person types it: a command by the API changes no mode
    editor.input(":Unmask trigger<CR>")
    assert wait(lambda: ghost(editor), "ghost text") == "<x = |line|~>"
    assert editor.api.get_mode()["mode"] == "i"


@everywhere
def test_toggle_turns_ghost_text_off_and_on(typing):
    typing.command("Unmask toggle")
    last(typing, "off; :Unmask toggle turns it on")
    typing.input("ix = ")
    typing.exec_lua("vim.wait(600)")
    assert ghost(typing) == ""
    typing.input("<M-\\>")
    last(typing, "inline completion is off in this buffer", WARN)
    typing.input("<Cmd>Unmask toggle<CR>")
    last(typing, "on")
    typing.input("y")
    assert wait(lambda: ghost(typing), "ghost text") == "<x = y|line|~>"


@everywhere
def test_snooze_says_until_when_and_zero_ends_it(typing):
    typing.command("Unmask snooze 5")
    last(typing, "quiet until ")
    typing.command("Unmask snooze 0")
    last(typing, "on")


@everywhere
def test_holes_are_filled_and_the_answer_says_how_many(typing):
    type_text(typing, "def one():", "    pass", "", "def two():", "    pass")
    typing.command("Unmask fill-holes")
    last(typing, "2 of 2 holes filled")
    assert lines(typing)[1].startswith("    return one")
    assert lines(typing)[4].startswith("    return two")


def test_of_a_range_only_its_holes_are_filled(typing):
    type_text(typing, "def one():", "    pass", "", "def two():", "    pass")
    typing.command("4,5Unmask fill-holes")
    last(typing, "1 of 1 holes filled")
    assert lines(typing)[:2] == ["def one():", "    pass"]


@everywhere
def test_selected_lines_are_rewritten(typing):
    type_text(typing, "é = bad", "b = bad")
    typing.command("1Unmask rewrite light names in full")
    last(typing, "")
    wait(lambda: lines(typing) == ["é = good", "b = bad"], f"the rewritten line, not {lines(typing)}")


@everywhere
def test_a_restart_attaches_a_new_server(typing):
    restart(typing)
    assert ("unmask: the server is started anew", INFO) in said(typing)
    typing.input("ix = ")
    assert wait(lambda: ghost(typing), "ghost text") == "<x = |line|~>"


def test_status_and_statusline_say_what_the_server_said(typing):
    typing.command("Unmask")
    assert last(typing, "on").startswith("unmask: " + typing.exec_lua("return require('unmask').status()"))


def test_the_log_is_opened_in_a_tab_of_its_own(typing):
    typing.command("Unmask log")
    assert typing.current.buffer.name.endswith("lsp.log")
    assert typing.exec_lua("return vim.bo.readonly and #vim.api.nvim_list_tabpages()") == 2


def health(editor):
    editor.command("checkhealth unmask")
    return "\n".join(lines(editor))


@everywhere
def test_the_health_check_names_program_server_and_model(typing):
    found = health(typing)
    for part in (
        "OK Neovim is ",
        f"OK the server is started by: {SERVER[0]}",
        "is attached to 1 buffer",
        "OK model: on",
    ):
        assert part in found, found
    assert "ERROR" not in found
    assert "WARNING" not in found


@everywhere
def test_the_health_check_says_what_is_missing(editor):
    editor.exec_lua("vim.env.PATH = '/usr/bin'")
    found = health(editor)
    assert "ERROR 'unmask' is not on the PATH of Neovim" in found, found
    assert "WARNING it is not enabled" in found
    assert "WARNING no server runs" in found


def test_the_help_has_every_action(editor, tmp_path):
    # the tags are made in a copy: a test leaves nothing in the checkout
    shutil.copytree(CLIENT / "doc", tmp_path / "help" / "doc")
    editor.command(f"set runtimepath-={CLIENT} runtimepath^={tmp_path / 'help'}")
    editor.command(f"helptags {tmp_path / 'help' / 'doc'}")
    editor.command("help :Unmask")
    text = "\n".join(lines(editor))
    assert all(f"Unmask {action}" in text for action in ACTIONS)


def test_a_snippet_keeps_its_tab(typing):
    typing.input("i")
    typing.exec_lua("vim.snippet.expand('f($1, $2)')")
    typing.exec_lua("vim.wait(50)")
    typing.input("a<Tab>b")
    # nothing was suggested yet: the key jumps, and does not indent
    wait(lambda: lines(typing) == ["f(a, b)"], "the jump")


@everywhere
def test_keys_are_mapped_as_named_or_not_at_all(editor):
    mapped = "return vim.tbl_map(function(key) return vim.fn.maparg(key, 'i') ~= '' end, { '<M-]>', '<M-[>', '<F4>' })"
    editor.exec_lua("require('unmask').setup({ keys = false })")
    assert editor.exec_lua(mapped) == [False, False, False]
    editor.exec_lua("require('unmask').setup({ keys = { next = '<F4>', previous = false } })")
    assert editor.exec_lua(mapped) == [False, False, True]

"""`:Unmask watch` in the real Neovim, with a fake model: passes as they are drawn, and ghost text at the end."""

import pytest
from neovim import VERSIONS, ghost, lines, said, wait

pytestmark = pytest.mark.parametrize("editor", VERSIONS, indirect=True)
GROUPS = """
local namespace = vim.api.nvim_get_namespaces()['unmask.denoising']
local marks = vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true })
return marks[1] and vim.tbl_map(function(chunk) return chunk[2] end, marks[1][4].virt_text) or {}
"""


def drawn(editor):
    return ghost(editor, ["unmask.denoising"])


def write(editor, text):
    editor.current.buffer[:] = [text]
    editor.command("normal! $")


def watch(editor):
    # as a person types it: a command by the API changes no mode
    editor.input(":Unmask watch<CR>")


def test_passes_are_drawn_with_masks_and_what_the_model_is_sure_of(set_up):
    editor = set_up(settings={"preset": "manual"})
    write(editor, "slow = ")
    watch(editor)
    assert wait(lambda: "9 passes" in drawn(editor) and drawn(editor), "passes").startswith("<░ ")
    assert editor.exec_lua(GROUPS)[:2] == ["UnmaskSure", "UnmaskMask"]
    assert ghost(editor) == ""
    wait(lambda: ghost(editor) == "<slow = |line|~>", "the answer as ghost text")
    assert drawn(editor) == ""
    wait(lambda: said(editor)[-1][0] == "unmask: 3 tokens in 2 passes, 1 ms", "what became of it")
    editor.input("<Tab>")
    wait(lambda: lines(editor) == ["slow = <slow = |line|~>"], "the accepted text")


@pytest.mark.parametrize("key", ["q", "<Left>", "<Esc>"])
def test_a_key_ends_it(set_up, key):
    editor = set_up(settings={"preset": "manual"})
    write(editor, "slow = ")
    watch(editor)
    wait(lambda: drawn(editor), "a pass")
    editor.input(key)
    wait(lambda: not drawn(editor), "it to go")
    editor.exec_lua("vim.wait(300)")
    assert drawn(editor) == ""
    assert not [text for text, _ in said(editor) if "passes" in text]


def test_where_nothing_is_found_no_ghost_text_follows(set_up):
    editor = set_up(settings={"preset": "manual"})
    write(editor, "silent = ")
    watch(editor)
    wait(
        lambda: said(editor) and said(editor)[-1][0].startswith("unmask: nothing found in 2 passes"),
        "what became of it",
    )
    assert (ghost(editor), drawn(editor)) == ("", "")

"""A server of another release than the plugin, in the real Neovim: said where one looks, and what both know works."""

import re
import tomllib

import pytest
from neovim import CLIENT, OTHER_RELEASE, ROOT, VERSIONS, ghost, lines, said, wait

everywhere = pytest.mark.parametrize("editor", VERSIONS, indirect=True)
INFO, WARN = 2, 3


def test_the_plugin_is_of_the_release_of_the_package():
    release = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert re.findall(r"RELEASE = '(.*)'", (CLIENT / "lua/unmask/server.lua").read_text("utf-8")) == [release]


@everywhere
@pytest.mark.parametrize("release", ["0.0.9", "9.0.0"])
def test_that_the_releases_differ_is_said_in_the_status_alone(set_up, release):
    editor = set_up(cmd=[*OTHER_RELEASE, release])
    difference = f"the server is {release}, the plugin 0.1.0"
    editor.input("ix = ")
    assert wait(lambda: ghost(editor), "ghost text") == "<x = |line|~>"
    assert said(editor) == []
    editor.command("Unmask status")
    ((text, level),) = said(editor)
    assert text.endswith(f"; {difference}")
    assert level == INFO
    editor.command("checkhealth unmask")
    assert f"WARNING {difference}" in "\n".join(lines(editor))


@everywhere
@pytest.mark.parametrize(
    ("action", "command"),
    [("alternatives", "unmask.findAlternatives"), ("watch", "unmask.watch"), ("snooze", "unmask.snooze")],
)
def test_what_the_server_lacks_is_said_in_one_line_and_the_rest_works(set_up, action, command):
    editor = set_up(cmd=[*OTHER_RELEASE, "0.0.9", command])
    editor.current.buffer[:] = ["x = "]
    editor.command(f"Unmask {action}")
    assert said(editor) == [(f"unmask: the server 0.0.9 has no '{command}', the plugin is 0.1.0", WARN)]
    assert len(editor.windows) == 1
    editor.input("A")
    assert wait(lambda: ghost(editor), "ghost text") == "<x = |line|~>"
    assert editor.vvars["errmsg"] == ""


def test_with_one_release_of_both_nothing_is_said_of_it(typing):
    typing.command("Unmask status")
    assert "plugin" not in said(typing)[-1][0]

"""Both clients begin in the languages that the server has rules for."""

import json
import re

import pytest
from neovim import ROOT

from coder_model.text.lexis import _LEXES, lexis_of
from lsp_server.languages import language_id

EVENTS = json.loads((ROOT / "editor_clients/vscode/package.json").read_text("utf-8"))["activationEvents"]
VSCODE = {event.removeprefix("onLanguage:") for event in EVENTS}
LUA = (ROOT / "editor_clients/neovim/lsp/unmask.lua").read_text("utf-8")
(FILETYPES,) = re.findall(r"filetypes = {(.*?)}", LUA, re.DOTALL)
NEOVIM = set(re.findall(r"'(.+?)'", FILETYPES))


def test_the_clients_begin_in_the_same_languages():
    assert {language_id(name) for name in NEOVIM} == VSCODE


def test_they_begin_in_all_that_the_server_has_rules_for():
    assert {language_id(name) for name in _LEXES} - VSCODE == {"plaintext", "svg"}


@pytest.mark.parametrize("language", sorted(VSCODE))
def test_the_server_knows_how_such_a_language_writes_strings_and_comments(language):
    assert lexis_of(language) is not lexis_of("nothing of the kind")

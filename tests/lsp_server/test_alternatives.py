import json
import os
from pathlib import Path

import pytest
from fakes import CANCELLED, MODIFIED, SERVER, URI
from lsp_client import LspClient, RequestFailed
from processes import wait_until

from lsp_server.alternatives import FIND_ALTERNATIVES, MOST

EXTENSION = Path(__file__).parents[2] / "editor_clients" / "vscode"


def start(client, text="x = ", uri=URI, version=1, position=None, options=None):
    """Begins to look for alternatives at the end of a document that is opened."""
    client.open(uri, text)
    argument = {"uri": uri, "version": version, "position": position or [0, len(text)], **(options or {})}
    return client.start("workspace/executeCommand", {"command": FIND_ALTERNATIVES, "arguments": [argument]})


def items(client, *arguments, **more):
    return client.finish(start(client, *arguments, **more))["items"]


def test_up_to_six_distinct_ones_are_found_as_by_hand_the_best_first(client):
    found = items(client)
    texts = [one["insertText"] for one in found]
    assert texts == ["<x = |line|>", *(f"<x = |line|>{n}" for n in range(1, MOST))]
    at = {"line": 0, "character": 4}
    assert all(one["range"] == {"start": at, "end": at} for one in found)
    assert client.told[-1] == "6 alternatives"


def test_a_blank_line_gets_blocks(client):
    text = "def f():\n    \n"
    found = items(client, text, position=[1, 4])
    assert {one["insertText"].count("\n") for one in found} == {1}


def test_the_preset_manual_does_not_keep_it_quiet():
    made = LspClient(SERVER, options={"preset": "manual"})
    try:
        assert len(items(made)) == MOST
    finally:
        made.close()


def test_what_is_taken_of_them_is_learnt_like_any_acceptance(tmp_path):
    fills = tmp_path / "fills"
    made = LspClient(SERVER, environment={**os.environ, "UNMASK_TEST_FILLS": str(fills)})
    try:
        third = items(made)[2]
        made.request("workspace/executeCommand", third["command"])
        assert wait_until(lambda: "True x = <x = |line|>2" in fills.read_text())
    finally:
        made.close()


def test_the_position_is_in_the_clients_units():
    made = LspClient(SERVER, encodings=("utf-8",))
    try:
        found = items(made, "é = ", position=[0, 5])
        assert found[0]["insertText"] == "<é = |line|>"
        assert found[0]["range"]["start"] == {"line": 0, "character": 5}
    finally:
        made.close()


def test_the_deadline_is_that_of_requests_by_hand():
    made = LspClient(SERVER, options={"deadlineInvokedMs": 1234})
    try:
        (facts,) = items(made, "overdue = ")[0]["command"]["arguments"]
        assert facts["elapsedMs"] == 1234
    finally:
        made.close()


def test_who_closes_the_panel_frees_the_model(tmp_path):
    fills = tmp_path / "fills"
    made = LspClient(SERVER, environment={**os.environ, "UNMASK_TEST_FILLS": str(fills)})
    try:
        started = start(made, "slow")
        made.notify("$/cancelRequest", {"id": started[0]})
        with pytest.raises(RequestFailed) as error:
            made.finish(started)
        assert error.value.code == CANCELLED
        # the model does one fill at a time, and notes what it has done
        made.open("file:///work/b.py", "y = ")
        assert made.items("file:///work/b.py", 0, 4)
        assert fills.read_text() == "False y = \n"
    finally:
        made.close()


def test_a_newer_request_ends_it(client):
    started = start(client, "slow")
    client.items(URI, 0, 0)
    with pytest.raises(RequestFailed) as error:
        client.finish(started)
    assert error.value.code == CANCELLED


def test_for_a_text_that_has_changed_there_is_no_answer(client):
    started = start(client, "slow")
    client.change(URI, 2, {"text": "slower"})
    with pytest.raises(RequestFailed) as error:
        client.finish(started)
    assert error.value.code == MODIFIED


@pytest.mark.parametrize(
    ("text", "more", "said"),
    [
        ("x = ", {"version": 7}, "no alternatives: the document was edited"),
        ("x = ", {"uri": "file:///work/.env"}, "no alternatives: there is no model, or none is asked about this file"),
        ("inside a word", {"position": [0, 2]}, "no alternatives: nothing is offered here"),
    ],
)
def test_why_there_are_none_is_said(client, text, more, said):
    assert items(client, text, **more) == []
    assert client.told[-1] == said


def test_where_the_model_is_broken_the_reason_is_said():
    made = LspClient([*SERVER, "--broken"])
    try:
        assert items(made) == []
        assert made.told[-1] == "no alternatives: weights.bin must be weights"
    finally:
        made.close()


@pytest.mark.parametrize(
    "argument",
    [None, {}, {"uri": URI, "version": 1, "position": 3}, {"uri": URI, "version": 1, "position": ["0", "4"]}],
)
def test_what_is_no_place_does_nothing(client, argument):
    client.open(URI, "x = ")
    parameters = {"command": FIND_ALTERNATIVES, "arguments": [argument]}
    assert client.request("workspace/executeCommand", parameters) is None


def test_no_command_of_the_server_has_the_name_of_one_of_the_extension(shared):
    # VS Code's language client registers the server's commands as commands of the editor
    contributes = json.loads((EXTENSION / "package.json").read_text("utf-8"))["contributes"]
    theirs = {one["command"] for one in contributes["commands"]}
    assert not theirs & {*shared.capabilities["executeCommandProvider"]["commands"]}

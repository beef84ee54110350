"""What the person is told: the status, progress, quiet for a while; and a copy that differs at save."""

import os
import signal
from datetime import datetime

import pytest
from fakes import SERVER, URI, ask
from lsp_client import LspClient
from processes import wait_until, worker_of

from lsp_server.status import status_of

ON = "on: fake, 0.0 M parameters, 1 ms a suggestion"


def told(client, method="didChangeStatus"):
    return [n["params"] for n in client.notifications if n["method"] == method]


@pytest.mark.parametrize(
    ("state", "quiet", "kind", "busy", "message"),
    [
        ("starting", False, "Normal", True, "the model is loading"),
        ("ready", False, "Normal", False, "on: tiny"),
        ("resting", False, "Normal", False, "on: tiny"),
        ("ready", True, "Inactive", False, "quiet until 12:30"),
        ("down", True, "Error", False, "no model: torch is missing; `unmask doctor` examines it"),
    ],
)
def test_the_status_says_what_matters_most(state, quiet, kind, busy, message):
    until = datetime(2026, 1, 1, 12, 30) if quiet else None
    assert status_of(state, "torch is missing", until, description="tiny") == {
        "kind": kind,
        "busy": busy,
        "message": message,
    }


def test_status_and_progress_follow_the_model(client):
    assert ask(client, "x = ")
    assert client.told == ["the model is loading", ON]
    assert wait_until(lambda: len(told(client, "$/progress")) == 2)
    assert [progress["value"]["kind"] for progress in told(client, "$/progress")] == ["begin", "end"]
    os.kill(worker_of(client), signal.SIGKILL)
    assert wait_until(lambda: client.told[2:] == ["the model is loading", ON])
    assert wait_until(lambda: len(told(client, "$/progress")) == 4)


def test_a_model_that_cannot_be_had_is_said_once():
    client = LspClient([*SERVER, "--broken"])
    try:
        assert ask(client, "x = ") == []
        assert wait_until(lambda: told(client)[-1]["kind"] == "Error")
        assert "weights.bin must be weights" in client.told[-1]
        assert wait_until(lambda: len(told(client, "$/progress")) == 2)
    finally:
        client.close()


def snooze(client, *arguments):
    client.request("workspace/executeCommand", {"command": "unmask.snooze", "arguments": list(arguments)})


def test_quiet_for_a_while_means_only_by_hand(client):
    assert ask(client, "x = ")
    snooze(client)
    assert ask(client, "y = ") == []
    assert ask(client, "y = ", trigger=1)
    assert told(client)[-1]["kind"] == "Inactive"
    snooze(client, 0)
    assert ask(client, "z = ")
    assert client.told[-1] == ON


def test_quiet_ends_by_itself(client):
    assert ask(client, "x = ")
    snooze(client, 0.01)
    assert ask(client, "y = ") == []
    assert wait_until(lambda: client.told[-1] == ON)
    assert ask(client, "z = ")


@pytest.mark.parametrize("minutes", [-1, "long", None, 1e12, [], {}])
def test_a_while_that_is_none_does_no_harm(client, minutes):
    snooze(client, minutes)
    assert ask(client, "x = ")


def test_a_copy_that_differs_at_save_is_put_right_and_counted(client):
    assert client.capabilities["textDocumentSync"]["save"] == {"includeText": True}
    client.open(URI, "x = \ny = ")
    client.notify("textDocument/didSave", {"textDocument": {"uri": URI}, "text": "x = \ny = "})
    client.notify("textDocument/didSave", {"textDocument": {"uri": URI}})
    assert client.items(URI, 1, 4)
    assert not any("differed" in line for line in client.log)
    client.notify("textDocument/didSave", {"textDocument": {"uri": URI}, "text": "# lost\nx = \nz = "})
    (item,) = client.items(URI, 2, 4)
    assert item["insertText"].startswith("<z = |")
    assert wait_until(lambda: any("differed" in line for line in client.log))
    assert not any("lost" in line for line in client.log)

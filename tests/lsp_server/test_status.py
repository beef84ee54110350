"""What the person is told: the status, progress, quiet for a while; and a copy that differs at save."""

import asyncio
import os
import signal
from datetime import datetime
from types import SimpleNamespace

import pytest
from fakes import SERVER, URI, ask
from lsp_client import LspClient
from processes import wait_until, worker_of

from lsp_server import status
from lsp_server.backends.base import AbsentBackend
from lsp_server.lateness import IN_A_ROW, TOO_LATE
from lsp_server.status import Announcer, status_of
from lsp_server.usage_stats import read_records, total

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


def test_a_model_whose_answers_come_too_late_is_said_beside_its_name():
    assert status_of("ready", "", None, description="tiny", remark="no line", too_late=True) == {
        "kind": "Warning",
        "busy": False,
        "message": f"on: tiny; {TOO_LATE}; no line",
    }


def test_answers_that_come_too_late_are_told_until_one_comes_in_time(client):
    for number in range(IN_A_ROW):
        assert client.told[1:] in ([], [ON])
        assert ask(client, f"overdue{number} = ")
    assert wait_until(lambda: client.told[2:] == [f"{ON}; {TOO_LATE}"])
    assert told(client)[-1]["kind"] == "Warning"
    assert ask(client, "x = ")
    assert wait_until(lambda: client.told[3:] == [ON])


def test_answers_that_came_too_late_are_in_the_statistics(tmp_path):
    client = LspClient(SERVER, environment={**os.environ, "XDG_STATE_HOME": str(tmp_path)})
    try:
        assert ask(client, "overdue = ")
        assert ask(client, "x = ")
        client.request("shutdown", None)
        client.notify("exit", None)
        assert client.process.wait(20) == 0
    finally:
        client.close()
    counts = total(read_records(tmp_path / "unmask" / "statistics")).counts
    assert (counts["late"], counts["fills"]) == (1, 2)


def run(client, command, *arguments):
    client.request("workspace/executeCommand", {"command": command, "arguments": list(arguments)})


def test_what_a_command_says_is_no_state_of_the_model(client):
    assert ask(client, "x = ")
    snooze(client)
    quiet = client.told[-1]
    run(client, "unmask.fillHoles", {"uri": URI, "version": 1, "range": [[0, 0], [0, 0]]})
    said = told(client)[-1]
    assert said == {"kind": "Inactive", "busy": False, "message": "there is no hole to fill", "state": quiet}
    snooze(client, 0)
    assert told(client)[-1] == {"kind": "Normal", "busy": False, "message": ON, "state": ON}


def test_after_a_moment_the_status_stands_where_the_message_of_a_command_did(monkeypatch):
    sent = []
    monkeypatch.setattr(status, "SAID_S", 0.05)

    async def scene():
        announcer = Announcer(SimpleNamespace(protocol=SimpleNamespace(notify=lambda _, one: sent.append(one))))
        announcer.tell(AbsentBackend("torch is missing"), None)
        for number in range(3):
            announcer.say(f"hole {number}", busy=True)
        announcer.say("stopped", busy=False)
        await asyncio.sleep(0.2)

    asyncio.run(scene())
    down = "no model: torch is missing; `unmask doctor` examines it"
    assert [one["message"] for one in sent] == [down, "hole 0", "hole 1", "hole 2", "stopped", down]
    assert {(one["kind"], one["state"]) for one in sent} == {("Error", down)}


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

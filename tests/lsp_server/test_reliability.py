"""What must not happen however fast one types and whatever dies: the real server, a client that never waits.

`UNMASK_SCALE=100` runs a hundred times as much: 100,000 keys and messages, 50 killed workers and editors; with
`UNMASK_RESULTS=FILE` the figures are kept.
"""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from fakes import SERVER, URI, ask, span
from lsp_client import LspClient, RequestFailed
from processes import gone, wait_until, worker_of
from results import record
from scale import SCALE, seeded

EAGER = {"preset": "eager"}


def answered(started):
    """The items of a reply, or its error code."""
    try:
        reply = LspClient.finish(None, started)
        return reply if reply is None else reply["items"]
    except RequestFailed as failed:
        return failed.code


def speaks_of(line, text):
    """The fake model says `<line|...`: what is shown must go on with the line that stands there."""
    full = line + text
    before, mark, after = full.partition("<")
    return bool(mark) and after.startswith(f"{before}|")


@pytest.mark.parametrize("cancels", [False, True], ids=["as Neovim, without cancels", "as VS Code, with cancels"])
def test_no_reply_is_stale_however_fast_one_types(cancels):
    keys = int(500 * SCALE)
    rng = seeded(7)
    environment = {**os.environ, "UNMASK_TEST_SLOWEST_S": "0.004"}
    client = LspClient(SERVER, options=EAGER, environment=environment)
    try:
        client.items(URI, 0, 0)
        client.open(URI, "\n" * 20)
        lines = [""] * 20
        row, version, shown = 0, 1, 0
        open_requests = []
        for _ in range(keys):
            version += 1
            line = lines[row]
            if rng.random() < 0.1 or len(line) > 30:
                row = rng.randrange(20)
                client.change(URI, version, {"range": span(row, 0, row, len(lines[row])), "text": ""})
                lines[row] = ""
            elif line and rng.random() < 0.1:
                client.change(URI, version, {"range": span(row, len(line) - 1, row, len(line)), "text": ""})
                lines[row] = line[:-1]
            else:
                key = rng.choice("abcxyz =(.")
                client.change(URI, version, {"range": span(row, len(line), row, len(line)), "text": key})
                lines[row] = line + key
            # once the server has seen the change, what is still open must not be answered with text any more
            pinged = client.start("test/ping", {})
            assert isinstance(answered(pinged), int)
            for started, old in open_requests:
                reply = answered(started)
                before = client.arrived.index(started[0], -20) < client.arrived.index(pinged[0], -20)
                if isinstance(reply, list):
                    assert before or not reply, "a reply for an older text"
                    assert all(speaks_of(old, item["insertText"]) for item in reply)
            open_requests = []
            started = client.ask(URI, row, len(lines[row]))
            if rng.random() < 0.3:
                reply = answered(started)
                assert all(speaks_of(lines[row], item["insertText"]) for item in reply)
                shown += bool(reply)
            else:
                open_requests.append((started, lines[row]))
                if cancels:
                    client.notify("$/cancelRequest", {"id": started[0]})
        assert shown > keys / 20
        record(f"typing, {'with' if cancels else 'without'} cancels", keys=keys, shown_and_checked=shown, stale=0)
    finally:
        client.close()


def test_nine_of_ten_requests_cancelled_in_one_write_run_the_model_once(tmp_path):
    fills = tmp_path / "fills"
    client = LspClient(SERVER, options=EAGER, environment={**os.environ, "UNMASK_TEST_FILLS": str(fills)})
    try:
        client.open(URI, "a = \nb = \n")
        client.items("file:///none", 0, 0)
        messages, first = [], 1000
        for number in range(first, first + 10):
            position = {"line": number % 2, "character": 4}
            parameters = {"textDocument": {"uri": URI}, "position": position, "context": {"triggerKind": 2}}
            messages.append({"id": number, "method": "textDocument/inlineCompletion", "params": parameters})
        messages += [{"method": "$/cancelRequest", "params": {"id": number}} for number in range(first, first + 9)]
        started = [client.expect(number) for number in range(first, first + 10)]
        bodies = [json.dumps({"jsonrpc": "2.0", **message}).encode() for message in messages]
        client.send_raw(b"".join(b"Content-Length: %d\r\n\r\n" % len(body) + body for body in bodies))
        replies = [answered(one) for one in started]
        assert replies[:9] == [-32800] * 9
        assert len(replies[9]) == 1
        assert len(fills.read_text().splitlines()) == 1
    finally:
        client.close()


VALUES = [None, True, 0, -1, 1 << 40, 1.5, "", "x", "\ud83d", [], {}, [[]], {"a": 1}, "file:///work/a.py", "💩" * 50]
METHODS = [
    "textDocument/inlineCompletion", "textDocument/didOpen", "textDocument/didChange", "textDocument/didClose",
    "textDocument/didSave", "workspace/didChangeConfiguration", "workspace/executeCommand", "$/cancelRequest",
    "$/setTrace", "window/workDoneProgress/cancel", "workspace/didChangeWorkspaceFolders", "initialize", "initialized",
    "test/unheardOf",
]  # fmt: skip


def fuzzed(rng):
    """A message that is right in most places and wrong in some."""
    place = lambda: {"line": rng.choice([0, 1, 2, 99, *VALUES]), "character": rng.choice([0, 4, 999, *VALUES])}  # noqa: E731
    text = "".join(rng.choice("ab =(\n\r\t\x0c\x00é😀\ud83d\u2028") for _ in range(rng.randrange(30)))
    parameters = {
        "textDocument": {"uri": URI, "version": rng.choice([1, 2, *VALUES]), "languageId": "python", "text": text},
        "position": place(),
        "context": {"triggerKind": rng.choice([0, 1, 2, 3, *VALUES])},
        "contentChanges": [{"range": {"start": place(), "end": place()}, "text": text}, {"text": text}],
        "settings": rng.choice([{"unmask": {"preset": "eager"}}, *VALUES]),
        "command": rng.choice(["unmask.accepted", *VALUES]),
        "arguments": [rng.choice([{"id": rng.randrange(9)}, *VALUES])],
        "id": rng.randrange(1000),
        "value": rng.choice(VALUES),
        "token": rng.choice(VALUES),
        "event": {"added": [], "removed": rng.choice(VALUES)},
        "processId": None,
        "capabilities": rng.choice([{}, *VALUES]),
    }
    for name in list(parameters):
        if rng.random() < 0.05:
            parameters[name] = rng.choice(VALUES)
        elif rng.random() < 0.05:
            del parameters[name]
    message = {"method": rng.choice(METHODS), "params": parameters if rng.random() < 0.95 else rng.choice(VALUES)}
    if rng.random() < 0.3:
        message["id"] = rng.randrange(10_000, 1 << 31)
    return message


def test_fuzzed_messages_neither_stop_nor_hang_it():
    rng = seeded(11)
    client = LspClient(SERVER, options=EAGER)
    slowest = 0.0
    try:
        assert wait_until(lambda: ask(client, "x = "))
        for _ in range(int(20 * SCALE)):
            for _ in range(50):
                client.send(fuzzed(rng))
            began = time.monotonic()
            with pytest.raises(RequestFailed):
                client.request("test/ping", {})
            slowest = max(slowest, time.monotonic() - began)
            assert client.process.poll() is None
        client.notify("workspace/didChangeConfiguration", {"settings": {"unmask": EAGER}})
        assert ask(client, "x = ")
        assert slowest < 20, "a hang; a busy machine may well take a second"
        assert not [n for n in client.notifications if n["method"] == "window/showMessage"]
        record("fuzzed messages", messages=int(20 * SCALE) * 50, slowest_answer_s=round(slowest, 3), crashes=0)
    finally:
        client.close()


def test_a_worker_killed_at_any_moment_is_back_and_nothing_is_seen():
    rng = seeded(3)
    back_after = []
    for _ in range(max(2, int(0.5 * SCALE))):
        client = LspClient(SERVER, options=EAGER, environment={**os.environ, "UNMASK_TEST_SLOWEST_S": "0.02"})
        try:
            assert wait_until(lambda: ask(client, "x = "))  # noqa: B023
            client.open(URI, "y = ")
            started = client.ask(URI, 0, 4)
            time.sleep(rng.uniform(0, 0.03))
            os.kill(worker_of(client), signal.SIGKILL)
            killed = time.monotonic()
            assert isinstance(answered(started), list)
            assert wait_until(lambda: ask(client, "z = "), 20)  # noqa: B023
            back_after.append(time.monotonic() - killed)
            assert not [n for n in client.notifications if n["method"].startswith("window/")]
        finally:
            client.close()
    record("killed workers", kills=len(back_after), slowest_back_s=round(max(back_after), 2), seen=0)


def test_nothing_stays_behind_however_the_editor_dies():
    deaths = max(4, int(0.5 * SCALE))
    gone_after = []
    for number in range(deaths):
        editor = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        client = LspClient(SERVER, process_id=editor.pid)
        try:
            assert ask(client, "x = ")
            front, worker = client.process, worker_of(client)
            client.open(URI, "slow")
            client.ask(URI, 0, 4)
            way = number % 4
            if way == 0:  # killed, while another process holds the pipe
                editor.kill()
            elif way == 1:  # it closes the pipe
                front.stdin.close()
            elif way == 2:  # it goes away in the middle of a message
                client.send_raw(b"Content-Length: 500\r\n\r\n{")
                front.stdin.close()
            else:  # it says goodbye
                client.start("shutdown", None)
                client.notify("exit", None)
            died = time.monotonic()
            assert front.wait(timeout=10) == 0
            assert wait_until(lambda: gone(worker), 3)  # noqa: B023
            gone_after.append(time.monotonic() - died)
        finally:
            editor.kill()
            editor.wait()
            client.close()
    record("dead editors", deaths=deaths, slowest_gone_s=round(max(gone_after), 2), left_behind=0)

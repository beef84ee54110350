"""Messages that are none, and how it ends: the real server as a process."""

import asyncio
import io
import json
import subprocess
import sys

import pytest
from fakes import INVALID, SERVER, URI, ask
from lsp_client import LspClient, RequestFailed
from processes import gone, wait_until, worker_of
from pygls.io_ import StdoutWriter

from lsp_server.backends.base import AbsentBackend
from lsp_server.server import make_server


@pytest.mark.parametrize(
    "parameters",
    [None, {}, {"textDocument": {"uri": URI}}, {"textDocument": 3, "position": "x", "context": []}],
)
def test_a_request_that_cannot_be_read_is_answered_and_nobody_is_bothered(shared, parameters):
    with pytest.raises(RequestFailed) as failed:
        shared.request("textDocument/inlineCompletion", parameters)
    assert failed.value.code == INVALID
    assert not [n for n in shared.notifications if n["method"].startswith("window/")]
    assert ask(shared, "x = ", 0, 4)


def test_an_unknown_method_is_an_error_and_an_unknown_notification_is_none(shared):
    shared.notify("$/unheardOf", {"a": 1})
    with pytest.raises(RequestFailed):
        shared.request("workspace/unheardOf", {})
    assert ask(shared, "x = ", 0, 4)


def test_bytes_that_are_no_message_do_no_harm(shared):
    for body in (b"not json", b"[1]", b'{"a": 1}', b'{"jsonrpc": "1.0", "method": "x"}', b"\xff\xfe"):
        shared.send_raw(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert ask(shared, "x = ", 0, 4)


@pytest.mark.parametrize("depth", [300, 900, 1_000, 2_000, 1_000_000])
def test_a_message_that_is_nested_deeply_does_no_harm(shared, depth):
    for opened, closed in ((b"[", b"]"), (b'{"a":', b"}")):
        for end in (b"", b"1" + closed * depth + b"}"):
            body = b'{"jsonrpc":"2.0","method":"x","params":' + opened * depth + end
            shared.send_raw(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert ask(shared, "x = ", 0, 4)


@pytest.mark.parametrize("number", [None, True, 1.5, [], {}, {"a": 1}, "x" * 10_000])
@pytest.mark.parametrize("method", ["$/cancelRequest", "$/setTrace", "textDocument/inlineCompletion", "workspace/none"])
def test_ids_that_cannot_be_one_do_no_harm(shared, method, number):
    shared.notify(method, {"id": number})
    shared.send({"method": method, "id": number, "params": {"id": number}})
    assert ask(shared, "x = ")


async def many_messages():
    """Returns a server that has had some."""
    server = make_server(lambda _: AbsentBackend("none"))
    server.protocol.set_writer(StdoutWriter(io.BytesIO()))
    for number in range(50):
        document = {"uri": URI, "languageId": "python", "version": 1, "text": "x"}
        params = {"textDocument": document}
        for method in ("textDocument/didOpen", "textDocument/didSave", "workspace/executeCommand"):
            body = {"jsonrpc": "2.0", "id": number, "method": method, "params": {**params, "command": "none"}}
            if method.startswith("text"):
                del body["id"]
            server.protocol.receive(json.dumps(body).encode())
    # until the commands have run
    await asyncio.sleep(0.1)
    return server


def test_nothing_is_kept_of_what_is_done():
    server = asyncio.run(many_messages())
    assert server.documents.get(URI)
    assert not server.protocol._request_futures


def test_header_names_count_in_any_case(client):
    body = json.dumps({"jsonrpc": "2.0", "id": 999, "method": "shutdown"}).encode()
    waiting = client.start("textDocument/none", {})
    client._waiting[999] = waiting[1]
    client.send_raw(b"content-LENGTH:%d\r\nX-Other: 1\r\n\r\n" % len(body) + body)
    while waiting[1].get(timeout=10)["id"] != 999:
        pass


def test_a_text_that_is_too_long_costs_the_other_documents_nothing(client):
    client.open("file:///long.py", "x = ")
    assert client.items("file:///long.py", 0, 4)
    start = {"line": 0, "character": 0}
    change = {"range": {"start": start, "end": start}, "text": "y" * (64 << 20)}
    client.change("file:///long.py", 2, change)
    assert ask(client, "x = ", 0, 4)
    # what is known of it is not what it is
    assert client.items("file:///long.py", 0, 4) == []
    client.open("file:///long.py", "x = ")
    assert client.items("file:///long.py", 0, 4)


def test_a_hostile_length_ends_the_server_cleanly(client):
    client.send_raw(b"Content-Length: 10000000000000\r\n\r\n")
    assert client.process.wait(timeout=30) == 0


def test_front_and_worker_end_when_the_pipe_closes(client):
    assert ask(client, "x = ", 0, 4)
    worker = worker_of(client)
    client.process.stdin.close()
    assert client.process.wait(timeout=30) == 0
    assert wait_until(lambda: gone(worker))


def test_front_and_worker_end_when_the_editor_dies_and_somebody_holds_the_pipe():
    editor = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    client = LspClient(SERVER, process_id=editor.pid)
    try:
        assert ask(client, "x = ", 0, 4)
        worker = worker_of(client)
        editor.kill()
        editor.wait()
        assert client.process.wait(timeout=30) == 0
        assert wait_until(lambda: gone(worker))
    finally:
        client.close()


def test_shutdown_and_exit_end_it(client):
    client.request("shutdown", None)
    client.notify("exit", None)
    assert client.process.wait(timeout=30) == 0


def test_the_front_never_loads_what_the_model_needs():
    code = (
        "import sys, lsp_server.server, unmask_cli.cli\n"
        "print([m for m in ('torch', 'numpy', 'tokenizers', 'safetensors') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_exit_without_shutdown_ends_with_1(client):
    client.notify("exit", None)
    assert client.process.wait(timeout=30) == 1


def test_a_version_that_is_null_absent_or_no_number_loses_no_text(client):
    uri = "file:///old.py"
    document = {"uri": uri, "languageId": "python", "text": "x = 1\n"}
    client.notify("textDocument/didOpen", {"textDocument": document})
    for number, version in enumerate(
        [{}, {"version": None}, {"version": "2"}, {"version": 2**40}, {"version": 1}, {"version": 1}]
    ):
        change = {"range": None, "rangeLength": None, "text": f"y{number} = "}
        client.notify("textDocument/didChange", {"textDocument": {"uri": uri, **version}, "contentChanges": [change]})
        (item,) = client.items(uri, 0, 5)
        assert item["range"]["end"] == {"line": 0, "character": 5}


def test_a_document_without_a_language_and_a_request_without_a_context_are_taken(client):
    document = {"uri": "file:///none", "languageId": None, "version": None, "text": "x = "}
    client.notify("textDocument/didOpen", {"textDocument": document})
    parameters = {"textDocument": {"uri": "file:///none"}, "position": {"line": 0, "character": 4}}
    assert "items" in client.request("textDocument/inlineCompletion", parameters)
    infos = ({}, 3, {"text": "a"}, {"text": "a", "range": {"start": {}, "end": None}})
    for context in (None, {}, {"triggerKind": None}, *({"selectedCompletionInfo": info} for info in infos)):
        assert client.request("textDocument/inlineCompletion", {**parameters, "context": context})["items"]


def test_an_item_goes_on_with_what_the_menu_has_selected(client):
    client.open("file:///menu.py", "cat = Cat()\ncat.fe\n")
    chosen = {"start": {"line": 1, "character": 4}, "end": {"line": 1, "character": 6}}
    context = {"triggerKind": 2, "selectedCompletionInfo": {"range": chosen, "text": "feed"}}
    at = {"textDocument": {"uri": "file:///menu.py"}, "position": {"line": 1, "character": 6}}
    (item,) = client.request("textDocument/inlineCompletion", {**at, "context": context})["items"]
    assert item["insertText"].startswith("feed")
    assert len(item["insertText"]) > len("feed")
    assert item["range"] == chosen


def test_nothing_is_offered_for_a_menu_whose_choice_is_not_in_the_cursors_line(client):
    client.open("file:///menu.py", "cat = Cat()\ncat.fe\n")
    for first, last in ((0, 1), (0, 0), (1, 2)):
        chosen = {"start": {"line": first, "character": 0}, "end": {"line": last, "character": 0}}
        context = {"triggerKind": 2, "selectedCompletionInfo": {"range": chosen, "text": "feed"}}
        at = {"textDocument": {"uri": "file:///menu.py"}, "position": {"line": 1, "character": 6}}
        assert client.request("textDocument/inlineCompletion", {**at, "context": context})["items"] == []

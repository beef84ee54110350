import os

import pytest
from fakes import SERVER, URI, ask, span
from lsp_client import LspClient
from next_edits import edited, next_edits

from lsp_server.usage_stats import read_records, total

TEXT = "def f(bad):\n    return bad\n"


def counts_of(folder):
    record = total(read_records(folder / "unmask" / "statistics"))
    return {name: count for name, count in record.counts.items() if count}


def test_what_a_client_says_of_what_it_shows_and_takes_is_counted_once(tmp_path):
    client = LspClient(SERVER, environment={**os.environ, "XDG_STATE_HOME": str(tmp_path)})
    try:
        (item,) = ask(client, "e = \n", 0, 4)
        client.notify("textDocument/didShowCompletion", {"item": item})
        part = item["insertText"][:4]
        client.notify("textDocument/didPartiallyAcceptCompletion", {"item": item, "acceptedLength": len(part)})
        client.change(URI, 2, {"range": span(0, 4, 0, 4), "text": part})
        assert client.items(URI, 0, 8)
        edited(client, TEXT, 0, 6, 9, "good", uri="file:///work/b.py")
        (edit,) = next_edits(client, uri="file:///work/b.py")
        command = edit["command"]
        client.notify("textDocument/didShowInlineEdit", {"item": {"command": {"arguments": command["arguments"]}}})
        client.request("workspace/executeCommand", command)
        client.request("shutdown", None)
        client.notify("exit", None)
        assert client.process.wait(timeout=30) == 0
    finally:
        client.close()
    found = counts_of(tmp_path)
    assert {name: found[name] for name in ("seen", "shown", "partly_accepted")} == {
        "seen": 1,
        "shown": 2,
        "partly_accepted": 1,
    }
    assert {name: count for name, count in found.items() if name.startswith("edits")} == {
        "edits_offered": 1,
        "edits_seen": 1,
        "edits_accepted": 1,
    }


def test_the_document_with_the_focus_is_the_latest(client):
    client.open("file:///work/b.py", "def total_price(orders):\n    return 1\n")
    for name in "cdefghijk":
        client.open(f"file:///work/{name}.py", "x = 1\n")
    client.open("file:///work/a.py", "total_price(orders)\nsnippets = \n")
    client.notify("textDocument/didFocus", {"textDocument": {"uri": "file:///work/b.py"}})
    # pieces come from the latest documents only
    (item,) = client.items("file:///work/a.py", 1, 11)
    assert item["insertText"].startswith("/work/b.py:")


@pytest.mark.parametrize("parameters", [{}, None, [], {"textDocument": None}, {"textDocument": {"uri": "file:///x"}}])
@pytest.mark.parametrize(
    "method", ["didShowCompletion", "didShowInlineEdit", "didPartiallyAcceptCompletion", "didFocus"]
)
def test_a_notification_that_says_nothing_does_no_harm(shared, method, parameters):
    shared.notify(f"textDocument/{method}", parameters)
    assert ask(shared, "x = ", 0, 4)


def test_the_status_is_told_as_such_clients_read_it(shared):
    (first, *_) = [note["params"] for note in shared.notifications if note["method"] == "didChangeStatus"]
    assert first.keys() == {"busy", "kind", "message", "state"}
    assert first["kind"] in ("Normal", "Error", "Warning", "Inactive")

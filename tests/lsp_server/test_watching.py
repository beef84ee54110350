import os

import pytest
from fakes import CANCELLED, SERVER, URI, ask
from lsp_client import LspClient, RequestFailed
from processes import wait_until

from lsp_server.denoising import MASK_SIGN


def watch(client, text="x = ", uri=URI, version=1, position=None):
    """Begins to watch at the end of a document that is opened."""
    client.open(uri, text)
    last = text.rpartition("\n")[2]
    argument = {"uri": uri, "version": version, "position": position or [text.count("\n"), len(last)]}
    return client.start("workspace/executeCommand", {"command": "unmask.watch", "arguments": [argument]})


def passes(client):
    return [note["params"] for note in client.notifications if note["method"] == "unmask/denoising"]


def test_every_pass_is_told_with_its_masks_and_then_the_answer(client):
    client.finish(watch(client))
    first, second, last = passes(client)
    assert first["textDocument"] == {"uri": URI, "version": 1}
    assert first["position"] == {"line": 0, "character": 4}
    assert (first["kind"], first["text"], first["confidence"]) == ("denoise", "<" + MASK_SIGN, [0.9, 0.5])
    assert (first["steps"], second["steps"]) == (0, 1)
    assert (last["final"], last["text"]) == (True, "<x = |line|>")
    assert len(last["confidence"]) == len(last["text"])
    assert client.told[-1] == "3 tokens in 2 passes, 1 ms"


def test_nobody_is_told_who_has_not_asked(client):
    ask(client, "x = ")
    ask(client, "y = ", trigger=1)
    assert passes(client) == []


@pytest.mark.parametrize("preset", ["manual", "balanced"])
@pytest.mark.parametrize("trigger", [1, 2])
def test_what_was_watched_is_the_next_answer_there_without_another_fill(tmp_path, preset, trigger):
    fills = tmp_path / "fills"
    made = LspClient(SERVER, options={"preset": preset}, environment={**os.environ, "UNMASK_TEST_FILLS": str(fills)})
    try:
        made.finish(watch(made))
        items = made.items(URI, 0, 4, trigger)
        assert [item["insertText"] for item in items] == (
            [] if (preset, trigger) == ("manual", 2) else ["<x = |line|>"]
        )
        assert fills.read_text().count("x = ") == 1
        # asked again by hand there are others
        assert len(made.items(URI, 0, 4, 1)) == (1 if items == [] else 3)
    finally:
        made.close()


def test_the_position_is_in_the_clients_units():
    made = LspClient(SERVER, encodings=("utf-8",))
    try:
        made.finish(watch(made, "é = ", position=[0, 5]))
        assert passes(made)[-1]["text"] == "<é = |line|>"
    finally:
        made.close()


def test_a_newer_request_ends_it(client):
    started = watch(client, "slow")
    assert wait_until(lambda: passes(client))
    client.items(URI, 0, 0)
    with pytest.raises(RequestFailed) as error:
        client.finish(started)
    assert error.value.code == CANCELLED
    assert not passes(client)[-1]["final"]


def test_an_edit_ends_it_and_nothing_is_told_of_the_text_that_was(client):
    started = watch(client, "slow")
    assert wait_until(lambda: passes(client))
    client.change(URI, 2, {"text": "slower"})
    client.finish(started)
    assert not passes(client)[-1]["final"]
    assert client.told[-1] == "nothing is watched: the document was edited"
    assert client.items(URI, 0, 6)


def test_it_ends_when_the_document_is_closed(client):
    started = watch(client, "slow")
    assert wait_until(lambda: passes(client))
    client.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    with pytest.raises(RequestFailed) as error:
        client.finish(started)
    assert error.value.code == CANCELLED
    assert not passes(client)[-1]["final"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"version": 7}, "nothing is watched: the document was edited"),
        ({"uri": "file:///work/.env"}, "nothing is watched: there is no model, or none is asked about this file"),
    ],
)
def test_why_nothing_is_watched_is_said(client, more, said):
    client.finish(watch(client, **more))
    assert passes(client) == []
    assert client.told[-1] == said


@pytest.mark.parametrize(
    "argument",
    [None, {}, {"uri": URI, "version": 1, "position": 3}, {"uri": URI, "version": 1, "position": ["0", "4"]}],
)
def test_what_is_no_place_does_nothing(client, argument):
    client.open(URI, "x = ")
    assert client.request("workspace/executeCommand", {"command": "unmask.watch", "arguments": [argument]}) is None
    assert passes(client) == []


def test_where_the_model_is_broken_the_reason_is_said():
    made = LspClient([*SERVER, "--broken"])
    try:
        made.finish(watch(made))
        assert made.told[-1] == "nothing is watched: weights.bin must be weights"
    finally:
        made.close()

"""When the server has a document read before anybody asks, and when it does not."""

import asyncio
import os
import time

import pytest
from fakes import SERVER, span
from lsp_client import LspClient
from processes import wait_until

from lsp_server import warming
from lsp_server.documents import Position
from lsp_server.warming import Warming

PAGE = "first = 1\nsecond = 2\nthird = 3\n"


class Session:
    """A client of a server with the fake model, and what that was told to read."""

    def __init__(self, folder, *arguments, **more):
        self.file = folder / "warmed"
        self.folder = folder
        self.file.touch()
        environment = {**os.environ, "UNMASK_TEST_WARMED": str(self.file)}
        self.client = LspClient([*SERVER, *arguments], environment=environment, **more)

    def uri(self, name):
        return (self.folder / name).as_uri()

    def move(self, name, line, character):
        position = {"line": line, "character": character}
        self.client.notify("unmask/didMoveCursor", {"textDocument": {"uri": self.uri(name)}, "position": position})

    def warmed(self):
        return self.file.read_text().splitlines()


@pytest.fixture
def session(tmp_path):
    made = Session(tmp_path, folders=[tmp_path.as_uri()])
    yield made
    made.client.close()


def test_an_opened_document_is_read_at_its_end_until_the_cursor_is_known(session):
    session.client.open(session.uri("a.py"), PAGE + "fourth")
    assert wait_until(lambda: session.warmed() == ["begun fourth", "done fourth"])


def test_a_cursor_that_rests_is_where_it_is_read_and_one_on_its_way_is_not(session):
    session.client.open(session.uri("a.py"), PAGE)
    for line in (0, 1, 2, 1):
        session.move("a.py", line, 3)
    assert wait_until(lambda: session.warmed())
    time.sleep(2 * warming.MOVED_S)
    # inside a word nothing is offered: it goes on at the end of the line
    assert session.warmed() == ["begun second = 2", "done second = 2"]


def test_after_the_last_key_it_is_read_where_the_text_ends(session):
    session.client.open(session.uri("a.py"), PAGE)
    session.move("a.py", 0, 0)
    session.client.change(session.uri("a.py"), 2, {"range": span(1, 10, 1, 10), "text": "0\nnew = "})
    assert wait_until(lambda: session.warmed() == ["begun new = ", "done new = "])


def test_a_request_takes_the_model_from_a_warm_up(session):
    session.client.open(session.uri("a.py"), "slow")
    assert wait_until(lambda: session.warmed() == ["begun slow"])
    session.client.open(session.uri("b.py"), "x = ")
    assert session.client.items(session.uri("b.py"), 0, 4)
    assert wait_until(lambda: session.warmed()[1:2] == ["stopped slow"])


@pytest.mark.parametrize("name", [".env", "private.py"])
def test_what_may_not_be_seen_is_not_read(session, name):
    (session.folder / ".unmaskignore").write_text("private.py\n")
    session.client.open(session.uri(name), PAGE + "secret")
    session.move(name, 3, 6)
    time.sleep(2 * warming.MOVED_S)
    session.client.open(session.uri("a.py"), "open")
    assert wait_until(lambda: session.warmed() == ["begun open", "done open"])


def test_a_language_that_is_off_is_not_read(tmp_path):
    session = Session(tmp_path, options={"languages": {"python": False}})
    try:
        session.client.open(session.uri("a.py"), "off")
        time.sleep(2 * warming.MOVED_S)
        session.client.open(session.uri("b.lua"), "on", language="lua")
        assert wait_until(lambda: session.warmed() == ["begun on", "done on"])
    finally:
        session.client.close()


def test_a_document_that_was_opened_before_the_model_was_there_is_read_then(tmp_path):
    session = Session(tmp_path, "--slow-start")
    try:
        session.client.open(session.uri("a.py"), "early")
        assert wait_until(lambda: session.warmed() == ["begun early", "done early"])
    finally:
        session.client.close()


def test_a_document_that_is_quiet_for_a_while_is_not_read(session):
    session.client.request("workspace/executeCommand", {"command": "unmask.snooze", "arguments": [10]})
    session.client.open(session.uri("a.py"), "quiet")
    time.sleep(2 * warming.MOVED_S)
    session.client.request("workspace/executeCommand", {"command": "unmask.snooze", "arguments": [0]})
    session.client.open(session.uri("b.py"), "loud")
    assert wait_until(lambda: session.warmed() == ["begun loud", "done loud"])


def test_a_cursor_without_sense_does_no_harm(session):
    session.client.open(session.uri("a.py"), "x = ")
    session.client.notify("unmask/didMoveCursor", {"textDocument": {"uri": session.uri("a.py")}, "position": "here"})
    session.client.notify("unmask/didMoveCursor", {})
    session.move("no.py", 0, 0)
    session.move("a.py", 99, 99)
    assert session.client.items(session.uri("a.py"), 0, 4)


async def test_a_closed_document_is_forgotten(monkeypatch):
    monkeypatch.setattr(warming, "MOVED_S", 0.01)
    read = []
    made = Warming(lambda *place: read.append(place))
    made.opened("a", Position(1, 1))
    made.closed("a")
    made.served_by(object())
    await asyncio.sleep(0.05)
    assert read == []
    made.opened("b", Position(2, 2))
    made.closed("a")
    await asyncio.sleep(0.05)
    assert read == [("b", Position(2, 2))]


async def test_only_another_model_reads_the_place_again():
    read = []
    made = Warming(lambda *place: read.append(place))
    made.typed("a", Position(1, 1))
    first, second = object(), object()
    for reader in (None, first, first, second, None, second):
        made.served_by(reader)
        await asyncio.sleep(0.01)
    assert read == [("a", Position(1, 1))] * 3

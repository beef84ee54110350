import asyncio
import io
import json
import logging
import os
import stat

import pytest
from fakes import SERVER, URI, ask, span
from lsp_client import LspClient, RequestFailed
from lsprotocol import types
from processes import wait_until
from pygls.exceptions import JsonRpcException
from pygls.io_ import StdoutWriter

from lsp_server import log_file
from lsp_server.backends.base import AbsentBackend
from lsp_server.server import make_server

SECRET = "the_price_of_the_order"


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return log_file.log_file()


@pytest.fixture
def open_log():
    """Opens the log as one server after the other would."""
    opened = []

    def make(file):
        opened.append(log_file.open_log(file))
        return opened[-1]

    yield make
    for handler in opened:
        handler.close()


@pytest.fixture
def begun(file):
    """The log of this process, as a server has it; pytest's own handlers come back."""
    root = logging.getLogger()
    before, root.handlers[:] = root.handlers[:], []
    level, others = root.level, {name: logging.getLogger(name).level for name in ("pygls", "httpx2")}
    log_file.begin_log()
    yield file
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = before
    root.setLevel(level)
    for name, before_it in others.items():
        logging.getLogger(name).setLevel(before_it)


def write(handler, text):
    handler.emit(logging.LogRecord("a", logging.INFO, "", 0, text, None, None))


def test_only_its_user_can_read_it(file, open_log):
    write(open_log(file), "one")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert file.read_text() == "one\n"


def test_two_files_of_100_kb_are_all_there_ever_is(file, open_log):
    handler = open_log(file)
    for number in range(4_000):
        write(handler, f"{number} {'x' * 90}")
    assert sorted(path.name for path in file.parent.iterdir()) == ["server.log", "server.log.1"]
    assert all(path.stat().st_size <= log_file.MAX_BYTES for path in file.parent.iterdir())
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in file.parent.iterdir())
    assert file.read_text().splitlines()[-1].startswith("3999 ")


def test_two_servers_write_to_the_same_file_also_after_one_has_begun_a_new_one(file, open_log):
    one, two = open_log(file), open_log(file)
    write(two, "early")
    for number in range(1_100):
        write(one, f"{number} {'x' * 90}")
    write(two, "late")
    text = file.read_text()
    assert text.endswith("late\n")
    assert len(text) < 20_000
    assert (file.parent / "server.log.1").read_text().startswith("early\n")


def test_without_a_file_stderr_alone_has_the_lines(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    client = LspClient(SERVER, environment={**os.environ, "XDG_STATE_HOME": str(tmp_path / "file")})
    try:
        assert ask(client, "x = ", 0, 4)
        assert wait_until(lambda: any("server.log cannot be written: Not a directory" in line for line in client.log))
    finally:
        client.close()


def test_an_error_of_ours_is_told_by_its_type_and_place(begun):
    try:
        raise KeyError(SECRET)
    except KeyError:
        logging.getLogger("unmask").exception("it failed")
    text = begun.read_text()
    assert "ERROR unmask: it failed\nKeyError at test_log_file.py:" in text
    assert SECRET not in text


def test_a_request_to_a_server_elsewhere_is_no_line(begun):
    logging.getLogger("httpx2").info("HTTP Request: POST")
    logging.getLogger("httpx2").warning("something")
    assert begun.read_text().count("\n") == 1


async def told_of(*messages):
    """Has a server read messages that handlers of some lines answer."""
    server = make_server(lambda _: AbsentBackend("none"))
    server.protocol.set_writer(StdoutWriter(io.BytesIO()))

    def broken(*_):
        raise KeyError(SECRET)

    def stale(*_):
        raise JsonRpcException("the document changed", types.LSPErrorCodes.ContentModified.value)

    server.documents.open = broken
    server.command("broken")(broken)
    server.command("stale")(stale)
    for message in messages:
        server.protocol.receive(json.dumps({"jsonrpc": "2.0", **message}).encode())
    # until the handlers have run
    await asyncio.sleep(0.1)


DOCUMENT = {"uri": URI, "languageId": "python", "version": 1, "text": SECRET}


@pytest.mark.parametrize(
    "message",
    [
        {"id": 1, "method": "workspace/executeCommand", "params": {"command": "broken"}},
        {"method": "textDocument/didOpen", "params": {"textDocument": DOCUMENT}},
    ],
)
def test_an_error_of_a_handler_is_told_by_its_type_and_place(message, begun):
    asyncio.run(told_of(message))
    assert "KeyError at test_log_file.py:" in begun.read_text()
    assert SECRET not in begun.read_text()


def test_an_answer_for_a_text_that_has_changed_is_no_error(begun):
    asyncio.run(told_of({"id": 1, "method": "workspace/executeCommand", "params": {"command": "stale"}}))
    assert "ERROR" not in begun.read_text()


def test_what_the_event_loop_reports_quotes_nothing(begun):
    async def fail():
        raise KeyError(SECRET)

    async def begin():
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda text: text + 1, SECRET)
        loop.call_exception_handler(
            {"message": SECRET, "future": asyncio.ensure_future(fail()), "exception": KeyError(SECRET)}
        )
        await asyncio.sleep(0.01)

    asyncio.run(begin())
    text = begun.read_text()
    assert "ERROR asyncio: a task or a callback failed" in text
    assert "TypeError at test_log_file.py:" in text
    assert SECRET not in text


def test_no_source_text_gets_into_the_log_whatever_goes_wrong(tmp_path):
    client = LspClient(SERVER, environment={**os.environ, "XDG_STATE_HOME": str(tmp_path)})
    document = {"uri": URI, "languageId": "python", "version": 1, "text": f"{SECRET} = \n"}
    try:
        assert ask(client, f"{SECRET} = \n", 0, len(SECRET) + 3)
        # a copy that differs from the editor's, a change of what is not open, and messages that are none
        client.notify("textDocument/didSave", {"textDocument": {"uri": URI}, "text": f"{SECRET} = 2\n"})
        client.change("file:///never/opened.py", 2, {"range": span(0, 0, 0, 0), "text": SECRET})
        client.notify("textDocument/didOpen", {"textDocument": {**document, "version": SECRET}})
        client.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": [SECRET]}]})
        with pytest.raises(RequestFailed):
            client.request("textDocument/inlineCompletion", {"textDocument": document, "position": SECRET})
        with pytest.raises(RequestFailed):
            client.request("workspace/unheardOf", {"text": SECRET})
        client.send_raw(b"Content-Length: %d\r\n\r\n%b" % (len(SECRET), SECRET.encode()))
        assert ask(client, f"crash {SECRET} = \n", 0, len(SECRET) + 9) == []
        file = tmp_path / "unmask" / "server.log"
        assert wait_until(lambda: "the worker went away" in file.read_text())
        text = file.read_text()
    finally:
        client.close()
    assert "is ready" in text
    assert "the copy of a document differed from the editor's" in text
    assert "a change of a document that is not open" in text
    assert SECRET not in text
    assert not any(SECRET in line for line in client.log)

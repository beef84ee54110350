import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import wait_until

from coder_model.types import FillRequest
from coder_model.worker import protocol
from coder_model.worker.connections import Connections
from coder_model.worker.protocol import (
    Broken,
    Cancel,
    Dropped,
    Fill,
    FillProgress,
    Hello,
    Ping,
    Pong,
    Ready,
    Resting,
    frame,
)
from coder_model.worker.request_queue import Job, RequestQueue

FAKE = [sys.executable, str(Path(__file__).parents[2] / "support" / "fake_worker.py")]


def request(session, prefix="x", **more):
    return FillRequest(session, prefix, "", **more)


class Worker:
    """A worker process and its socket."""

    def __init__(self, folder, command):
        self.path = folder / "worker"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.path))
            listener.listen()
            number = listener.fileno()
            self.process = subprocess.Popen([*command, "--listener", str(number)], pass_fds=[number])
        self._windows = []

    def window(self):
        made = Window(self.path)
        self._windows.append(made)
        return made

    def close(self):
        self.process.kill()
        self.process.wait()
        for window in self._windows:
            window.close()


class Window:
    def __init__(self, path):
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.settimeout(20)
        self._connection.connect(str(path))
        self._stream = self._connection.makefile("rb")

    def send(self, *sent):
        self.send_raw(b"".join(frame(message) for message in sent))

    def send_raw(self, data):
        self._connection.sendall(data)

    def receive(self):
        body = protocol.read_body(self._stream)
        return None if body is None else protocol.from_worker.decode(body)

    def close(self):
        self._stream.close()
        with contextlib.suppress(OSError):
            self._connection.close()


@pytest.fixture
def start(tmp_path):
    started = []

    def make(*arguments, command=FAKE):
        started.append(Worker(tmp_path, [*command, *arguments]))
        return started[-1]

    yield make
    for worker in started:
        worker.close()


@pytest.fixture
def worker(start):
    return start()


@pytest.fixture
def client(worker):
    return ready(worker)


def ready(worker):
    made = worker.window()
    assert made.receive() == Hello(worker.process.pid)
    assert isinstance(made.receive(), Ready)
    return made


def test_a_fill_is_answered_by_its_final_draft(client):
    client.send(Fill(1, request("s", "abc")))
    answer = client.receive()
    assert isinstance(answer, FillProgress)
    assert (answer.id, answer.draft.text, answer.draft.final) == (1, "<abc|line|>", True)


def test_who_watches_gets_every_step(client):
    client.send(Fill(1, request("s"), watch=True))
    assert [client.receive().draft.final for _ in range(3)] == [False, False, True]


def test_a_newer_request_of_the_session_takes_the_model(client):
    client.send(Fill(1, request("s", "slow")))
    time.sleep(0.1)
    client.send(Fill(2, request("s", "new")))
    assert client.receive() == Dropped(1)
    assert client.receive().id == 2


def test_requests_that_wait_are_superseded_at_once(client):
    client.send(Fill(1, request("other", "slow")))
    time.sleep(0.1)
    client.send(Fill(2, request("s")), Fill(3, request("s")), Cancel(1))
    assert {client.receive().id for _ in range(2)} == {1, 2}
    assert client.receive().id == 3


def test_sessions_do_not_disturb_each_other(client):
    client.send(Fill(1, request("a")), Fill(2, request("b")))
    assert [client.receive().id for _ in range(2)] == [1, 2]


def test_the_same_document_in_two_windows_is_two_sessions(worker):
    windows = [ready(worker), ready(worker)]
    for window in windows:
        window.send(Fill(1, request("s", "slow")))
    windows[0].send(Cancel(1))
    windows[1].send(Cancel(1))
    assert [window.receive() for window in windows] == [Dropped(1), Dropped(1)]
    for window in windows:
        window.send(Fill(2, request("s")))
    assert all(window.receive().draft.final for window in windows)


def test_a_failed_fill_says_where_but_never_quotes_the_text(client):
    client.send(Fill(1, request("s", "wrong")))
    answer = client.receive()
    assert answer.error.startswith("ValueError in fake_worker.py:")
    assert "secret" not in answer.error
    client.send(Fill(2, request("s")))
    assert client.receive().draft.final


def test_without_memory_it_is_tried_with_less_context_and_then_given_up(client):
    client.send(Fill(1, request("s", "huge")))
    assert client.receive().draft.final
    client.send(Fill(2, request("s", "too huge")))
    assert client.receive().error.startswith("MemoryError in fake_worker.py:")
    client.send(Fill(3, request("s")))
    assert client.receive().draft.final


def test_it_says_whether_it_is_alive_while_the_model_works(client):
    client.send(Ping())
    assert client.receive() == Pong(None)
    client.send(Fill(1, request("s", "hang")))
    time.sleep(0.1)
    client.send(Ping(), Ping())
    first, second = client.receive(), client.receive()
    assert first == second
    assert first.passes > 0


def test_it_ends_with_its_last_window(worker):
    first, second = ready(worker), ready(worker)
    first.send(Fill(1, request("s", "slow")))
    time.sleep(0.1)
    first.close()
    second.send(Fill(1, request("s")))
    assert second.receive().draft.final
    second.close()
    assert worker.process.wait(timeout=3) == 0
    assert not worker.path.exists()


def test_it_ends_when_its_only_window_goes_before_it_asks(start):
    worker = start()
    ready(worker).close()
    assert worker.process.wait(timeout=3) == 0


def test_it_frees_its_memory_when_nobody_asks(start):
    worker = start("--idle-seconds", "0.3")
    window = ready(worker)
    assert window.receive() == Resting()
    assert window.receive() is None
    assert worker.process.wait(timeout=3) == 0
    assert not worker.path.exists()


def test_another_user_is_turned_away(tmp_path, monkeypatch):
    monkeypatch.setattr("coder_model.worker.connections._user_of", lambda _: os.getuid() + 1)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "worker"))
        listener.listen()
        connections = Connections(listener, RequestQueue())
        window = Window(tmp_path / "worker")
        connections.retire()
        connections.tell(Resting())
        assert window.receive() is None
        window.close()


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\x03\0\0\0abc", b"\x00\0\0\0"])
def test_a_window_that_talks_nonsense_is_turned_out_and_the_others_stay(worker, data):
    good, bad = ready(worker), ready(worker)
    bad.send_raw(data)
    assert bad.receive() is None
    good.send(Fill(1, request("s")))
    assert good.receive().draft.final


def test_an_engine_that_cannot_be_made_is_reported(start):
    worker = start("--broken")
    window = worker.window()
    assert isinstance(window.receive(), Hello)
    assert window.receive() == Broken("weights.bin must be weights")
    assert worker.process.wait(timeout=3) == 1
    assert wait_until(lambda: not worker.path.exists())


def test_the_real_engine_runs_in_a_worker(start, model_directory):
    command = [sys.executable, "-P", "-m", "coder_model.worker.main"]
    window = ready(start("--model", str(model_directory), command=command))
    window.send(Fill(1, FillRequest("s", "def f(", ")")))
    assert window.receive().draft.final


def put(queue, number, session, client="w", **more):
    return [job.fill.id for job in queue.put(Job(client, Fill(number, request(session, **more))))]


def take(queue):
    job = queue.take(0.01)
    return job and (job.fill.id, job)


def test_a_mailbox_keeps_the_order_of_sessions():
    queue = RequestQueue()
    assert put(queue, 1, "a") == []
    assert put(queue, 2, "b") == []
    assert put(queue, 3, "a") == [1]
    number, job = take(queue)
    assert number == 2
    queue.finish(job)
    number, job = take(queue)
    assert number == 3
    assert not queue.unwanted(job)
    assert queue.cancel("other", 3) == []
    assert not queue.unwanted(job)
    assert queue.cancel("w", 3) == []
    assert queue.unwanted(job)


def test_what_nobody_waits_for_comes_last_and_gives_way():
    queue = RequestQueue()
    put(queue, 1, "a", speculative=True)
    put(queue, 2, "b")
    for expected in (2, 1):
        number, job = take(queue)
        assert number == expected
        queue.finish(job)
    put(queue, 3, "c", speculative=True)
    _, job = take(queue)
    assert not queue.unwanted(job)
    put(queue, 4, "d")
    assert queue.unwanted(job)


def test_a_window_that_leaves_takes_its_requests_along():
    queue = RequestQueue()
    put(queue, 1, "a", client="x")
    _, job = take(queue)
    put(queue, 2, "b", client="x")
    put(queue, 3, "c", client="y")
    queue.leave("x")
    assert queue.unwanted(job)
    queue.finish(job)
    number, job = take(queue)
    assert number == 3
    queue.finish(job)
    assert take(queue) is None


def test_several_run_together_but_never_two_of_a_session():
    queue = RequestQueue()
    queue.max_concurrent = 3
    put(queue, 1, "a")
    _, first = take(queue)
    put(queue, 2, "a")
    put(queue, 3, "b", speculative=True)
    put(queue, 4, "c")
    assert queue.unwanted(first)
    (number, other), (last, speculative) = take(queue), take(queue)
    assert (number, last) == (4, 3)
    put(queue, 5, "d")
    # there is no room left: what nobody waits for gives way, and only that
    assert queue.unwanted(speculative)
    assert not queue.unwanted(other)
    queue.finish(first)
    assert take(queue)[0] == 2
    queue.finish(other)
    assert take(queue)[0] == 5


def test_windows_are_served_together_where_passes_are_shared(start, model_directory):
    command = [sys.executable, "-m", "coder_model.worker.main"]
    options = json.dumps({"max_concurrent": 4, "copy": False, "precision": "float32"})
    worker = start("--model", str(model_directory), "--options", options, command=command)
    windows = [ready(worker) for _ in range(4)]
    prefixes = [f"def f{index}(" for index in range(4)]
    before = None
    for round_ in range(3):
        for window, prefix in zip(windows, prefixes, strict=True):
            window.send(Fill(round_, FillRequest("s", prefix, ")\n", hole="block")))
        found = [until_final(window) for window in windows]
        assert before in (None, found)
        before = found


def until_final(window):
    while not (message := window.receive()).draft.final:
        pass
    return message.draft.text


def test_a_frame_that_is_not_ours_is_refused():
    with pytest.raises(ValueError, match="frame must be at most"):
        protocol.frame_length(b"\xff\xff\xff\xff")

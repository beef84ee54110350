"""A worker process: fills, windows that come and go, and how it ends."""

import json
import sys
import time

import pytest
from processes import wait_until
from worker_windows import ready, request

from coder_model.types import FillRequest
from coder_model.worker.protocol import (
    Broken,
    Cancel,
    Dropped,
    Fill,
    FillProgress,
    Hello,
    Ping,
    Pong,
    Resting,
)


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


@pytest.mark.parametrize(("line", "kind"), [("wrong", "ValueError"), ("amiss", "KeyError")])
def test_a_failed_fill_says_where_but_never_quotes_the_text(client, line, kind):
    client.send(Fill(1, request("s", line)))
    answer = client.receive()
    assert answer.error.startswith(f"{kind} at fake_worker.py:")
    assert "secret" not in answer.error
    client.send(Fill(2, request("s")))
    assert client.receive().draft.final


def test_without_memory_it_is_tried_with_less_context_and_then_given_up(client):
    client.send(Fill(1, request("s", "huge")))
    assert client.receive().draft.final
    client.send(Fill(2, request("s", "too huge")))
    assert client.receive().error.startswith("MemoryError at fake_worker.py:")
    client.send(Fill(3, request("s")))
    assert client.receive().draft.final


def test_it_says_whether_it_is_alive_while_the_model_works(client):
    client.send(Ping())
    pong = client.receive()
    assert isinstance(pong, Pong)
    assert pong.passes is None
    client.send(Fill(1, request("s", "hang")))
    time.sleep(0.1)
    client.send(Ping(), Ping())
    first, second = client.receive(), client.receive()
    assert first.passes == second.passes > 0
    assert 0 < pong.processor_s <= first.processor_s <= second.processor_s


def test_it_ends_with_its_last_window(worker):
    first, second = ready(worker), ready(worker)
    first.send(Fill(1, request("s", "slow")))
    time.sleep(0.1)
    first.close()
    second.send(Fill(1, request("s")))
    assert second.receive().draft.final
    second.close()
    assert worker.process.wait(timeout=30) == 0
    assert not worker.path.exists()


def test_it_ends_when_its_only_window_goes_before_it_asks(start):
    worker = start()
    ready(worker).close()
    assert worker.process.wait(timeout=30) == 0


def test_it_frees_its_memory_when_nobody_asks(start):
    worker = start("--idle-seconds", "0.3")
    window = ready(worker)
    assert window.receive() == Resting()
    assert window.receive() is None
    assert worker.process.wait(timeout=30) == 0
    assert not worker.path.exists()


def test_an_engine_that_cannot_be_made_is_reported(start):
    worker = start("--broken")
    window = worker.window()
    assert isinstance(window.receive(), Hello)
    assert window.receive() == Broken("weights.bin must be weights")
    assert worker.process.wait(timeout=30) == 1
    assert wait_until(lambda: not worker.path.exists())


def test_a_model_that_finds_no_memory_is_reported_in_one_line(start):
    worker = start("--no-memory")
    window = worker.window()
    assert isinstance(window.receive(), Hello)
    reason = window.receive().reason
    assert "must have more memory than there is" in reason
    assert "\n" not in reason
    assert worker.process.wait(timeout=30) == 1


def test_the_real_engine_runs_in_a_worker(start, model_directory):
    command = [sys.executable, "-P", "-m", "coder_model.worker.main"]
    window = ready(start("--model", str(model_directory), command=command))
    window.send(Fill(1, FillRequest("s", "def f(", ")")))
    assert window.receive().draft.final


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

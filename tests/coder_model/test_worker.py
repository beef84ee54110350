import contextlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from coder_model import messages
from coder_model.messages import Broken, Cancel, Dropped, Fill, Progress, Ready, frame
from coder_model.types import FillRequest
from coder_model.worker import Mailbox

FAKE = [sys.executable, str(Path(__file__).parents[1] / "support" / "fake_worker.py")]


def request(session, prefix="x"):
    return FillRequest(session, prefix, "")


class Client:
    def __init__(self, *arguments):
        self.process = subprocess.Popen([*FAKE, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def send(self, *sent):
        self.process.stdin.write(b"".join(frame(message) for message in sent))
        self.process.stdin.flush()

    def receive(self):
        return messages.from_worker.decode(messages.read_body(self.process.stdout))

    def close(self):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                stream.close()


@pytest.fixture
def client():
    made = Client()
    assert isinstance(made.receive(), Ready)
    yield made
    made.close()


def test_a_fill_is_answered_by_its_final_draft(client):
    client.send(Fill(1, request("s", "abc")))
    answer = client.receive()
    assert isinstance(answer, Progress)
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


def test_a_failed_fill_says_where_but_never_quotes_the_text(client):
    client.send(Fill(1, request("s", "wrong")))
    answer = client.receive()
    assert answer.error.startswith("ValueError in fake_worker.py:")
    assert "secret" not in answer.error
    client.send(Fill(2, request("s")))
    assert client.receive().draft.final


def test_it_ends_with_its_parent(client):
    client.send(Fill(1, request("s", "slow")))
    time.sleep(0.1)
    client.process.stdin.close()
    assert client.process.wait(timeout=3) == 0


def test_an_engine_that_cannot_be_made_is_reported():
    client = Client("--broken")
    assert client.receive() == Broken("weights.bin must be weights")
    assert client.process.wait(timeout=3) == 1
    client.close()


def test_the_real_engine_runs_in_a_worker(model_directory):
    command = [sys.executable, "-P", "-m", "coder_model.worker", "--model", str(model_directory)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        ready = messages.from_worker.decode(messages.read_body(process.stdout))
        assert isinstance(ready, Ready)
        process.stdin.write(frame(Fill(1, FillRequest("s", "def f(", ")"))))
        process.stdin.flush()
        answer = messages.from_worker.decode(messages.read_body(process.stdout))
        assert answer.draft.final
    finally:
        process.kill()
        process.communicate()


def test_a_mailbox_keeps_the_order_of_sessions():
    mailbox = Mailbox()
    assert mailbox.put(Fill(1, request("a"))) == []
    assert mailbox.put(Fill(2, request("b"))) == []
    assert mailbox.put(Fill(3, request("a"))) == [1]
    assert [mailbox.take().id, mailbox.take().id] == [2, 3]
    assert not mailbox.unwanted()
    assert mailbox.cancel(3) == []
    assert mailbox.unwanted()


def test_what_nobody_waits_for_comes_last_and_gives_way():
    mailbox = Mailbox()
    ahead = FillRequest("a", "x", "", speculative=True)
    mailbox.put(Fill(1, ahead))
    mailbox.put(Fill(2, request("b")))
    assert mailbox.take().id == 2
    assert mailbox.take().id == 1
    mailbox.put(Fill(3, FillRequest("c", "x", "", speculative=True)))
    assert not mailbox.unwanted()
    mailbox.put(Fill(4, request("d")))
    assert mailbox.unwanted()


def test_a_frame_that_is_not_ours_is_refused():
    with pytest.raises(ValueError, match="frame must be at most"):
        messages.frame_length(b"\xff\xff\xff\xff")

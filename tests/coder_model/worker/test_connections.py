"""Who may ask a worker, and what becomes of windows that talk nonsense."""

import os
import socket

import pytest
from worker_windows import Window, ready, request

from coder_model.worker.connections import Connections
from coder_model.worker.protocol import (
    Fill,
    Resting,
)
from coder_model.worker.request_queue import RequestQueue

NESTED = b"\x89\x13\0\0" + b"\x82\xa4type\xa4Ping\xa1x" + b"\x91" * 4_987 + b"\xc0"
"""A message of which one field is lists in lists."""


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


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\x03\0\0\0abc", b"\x00\0\0\0", NESTED])
def test_a_window_that_talks_nonsense_is_turned_out_and_the_others_stay(worker, data):
    good, bad = ready(worker), ready(worker)
    bad.send_raw(data)
    assert bad.receive() is None
    good.send(Fill(1, request("s")))
    assert good.receive().draft.final

"""The worker as the server sees it: shared by windows, killed, hung, resting, missing."""

import os
import signal
import socket
import subprocess
import time

import pytest
from fakes import SERVER, URI, ask
from lsp_client import LspClient
from processes import gone, wait_until, worker_of

from coder_model.worker.connections import LOCK
from lsp_server.backends import worker_socket
from lsp_server.backends.base import BackendUnavailable
from lsp_server.backends.supervisor import HANG_S, MAX_DEATHS, MOST_PROCESSOR_S, Backoff, Pulse


def children(client):
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(client.process.pid)], capture_output=True, text=True)
    return len(listed.stdout.split())


def test_all_windows_of_a_user_share_one_worker_which_goes_with_the_last(tmp_path):
    windows = [LspClient(SERVER, runtime=tmp_path) for _ in range(4)]
    try:
        assert all(ask(window, "x = ") for window in windows)
        (owner,) = [window for window in windows if children(window)]
        worker = worker_of(owner)
        owner.close()
        others = [window for window in windows if window is not owner]
        assert all(ask(window, "y = ") for window in others)
        for window in others:
            assert not gone(worker)
            window.close()
        assert wait_until(lambda: gone(worker))
        assert wait_until(lambda: not [file for file in (tmp_path / "unmask").iterdir() if file.name != LOCK])
    finally:
        for window in windows:
            window.close()


def test_a_worker_that_dies_is_back_for_every_window(tmp_path):
    windows = [LspClient(SERVER, runtime=tmp_path) for _ in range(3)]
    try:
        assert all(ask(window, "x = ") for window in windows)
        (owner,) = [window for window in windows if children(window)]
        os.kill(worker_of(owner), signal.SIGKILL)
        assert all(wait_until(lambda: ask(window, "y = ")) for window in windows)  # noqa: B023
        assert sum(children(window) for window in windows) == 1
    finally:
        for window in windows:
            window.close()


def test_another_model_is_another_worker(tmp_path):
    windows = [LspClient([*SERVER, *more], runtime=tmp_path) for more in ([], ["--slow-start"])]
    try:
        assert all(ask(window, "x = ") for window in windows)
        assert all(children(window) == 1 for window in windows)
    finally:
        for window in windows:
            window.close()


def test_a_killed_worker_is_back_within_three_seconds(client):
    assert ask(client, "x = ")
    os.kill(worker_of(client), signal.SIGKILL)
    end = time.monotonic() + 3
    items = []
    while not items and time.monotonic() < end:
        items = client.items(URI, 0, 4)
    assert items


def test_a_fill_that_kills_the_worker_is_silence(client):
    assert ask(client, "crash") == []
    assert client.process.poll() is None


def test_a_worker_that_hangs_is_ended_and_another_one_answers(client):
    assert ask(client, "x = ")
    worker = worker_of(client)
    assert ask(client, "hang") == []
    assert gone(worker)
    assert wait_until(lambda: ask(client, "y = "))
    assert any("hangs" in line for line in client.log)


@pytest.mark.slow
def test_a_worker_that_was_asleep_with_its_server_does_not_hang(client):
    assert ask(client, "x = ")
    worker = worker_of(client)
    client.open(URI, "hang")
    client.ask(URI, 0, 4)
    time.sleep(0.5)
    for stop, seconds in ((signal.SIGSTOP, HANG_S + 2.5), (signal.SIGCONT, 2.5)):
        for process in (worker, client.process.pid):
            os.kill(process, stop)
        time.sleep(seconds)
    assert not gone(worker)


def test_a_worker_that_is_stopped_is_one_that_hangs(client):
    assert ask(client, "x = ")
    worker = worker_of(client)
    os.kill(worker, signal.SIGSTOP)
    assert ask(client, "y = ") == []
    assert gone(worker)
    assert wait_until(lambda: ask(client, "z = "))


def test_a_worker_that_rests_wakes_for_the_next_request():
    client = LspClient([*SERVER, "--idle-seconds", "0.5"])
    try:
        assert ask(client, "x = ")
        worker = worker_of(client)
        assert wait_until(lambda: gone(worker))
        assert ask(client, "y = ")
        assert not any("went away" in line for line in client.log)
    finally:
        client.close()


def test_a_failure_of_the_model_is_silence_and_the_log_holds_no_text(client):
    assert ask(client, "wrong_password = 'hunter2'") == []
    assert ask(client, "x = ")
    assert not any("hunter2" in line for line in client.log)


def test_while_the_model_loads_a_request_waits_no_longer_than_its_deadline():
    client = LspClient([*SERVER, "--slow-start"], options={"deadlineMs": 50})
    try:
        assert ask(client, "x = ") == []
    finally:
        client.close()


def test_without_a_model_there_is_silence_and_one_line_in_the_log():
    client = LspClient([*SERVER, "--broken"])
    try:
        assert ask(client, "x = ") == []
        assert ask(client, "x = ") == []
        assert wait_until(lambda: sum("weights.bin must be weights" in line for line in client.log) == 1)
    finally:
        client.close()


async def test_names_of_dead_workers_go_with_the_next_one_and_those_of_living_ones_stay(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    names = {}
    for name in ("dead", "alive"):
        names[name] = socket.socket(socket.AF_UNIX)
        names[name].bind(str(worker_socket.folder() / name))
        names[name].listen()
    names["dead"].close()
    with pytest.raises(BackendUnavailable):
        await worker_socket.meet(["/no-such-program"])
    left = {file.name for file in (tmp_path / "unmask").iterdir()}
    assert left == {"alive", LOCK}
    names["alive"].close()


async def test_a_lock_that_cannot_be_taken_is_an_error_instead_of_a_wait_for_ever(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    command = ["/no-such-program"]
    # as on a disk that is read-only, where whoever runs the tests may be root
    (worker_socket.folder() / LOCK).mkdir()
    with pytest.raises(BackendUnavailable, match="the worker cannot be started: .*directory"):
        await worker_socket.meet(command)


@pytest.mark.parametrize("made", ["open to all", "a file", "no folder can be there"])
def test_a_folder_that_others_can_enter_is_refused(made, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    if made == "open to all":
        (tmp_path / "unmask").mkdir(mode=0o755)
        (tmp_path / "unmask").chmod(0o755)
    elif made == "a file":
        (tmp_path / "unmask").write_text("")
    else:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "file"))
        (tmp_path / "file").write_text("")
    with pytest.raises(BackendUnavailable, match="unmask must be a folder"):
        worker_socket.folder()


def test_a_folder_that_cannot_be_made_is_said_and_how_to_name_another(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "file"))
    (tmp_path / "file").write_text("")
    with pytest.raises(BackendUnavailable, match="file/unmask must be .*: Not a directory; XDG_RUNTIME_DIR may name"):
        worker_socket.folder()


async def test_a_program_that_cannot_be_started_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(BackendUnavailable, match="the worker cannot be started: .*no-such-program"):
        await worker_socket.meet(["/no-such-program"])
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / ("long" * 40)))
    with pytest.raises(BackendUnavailable, match="the worker cannot be started: AF_UNIX path too long"):
        await worker_socket.meet(["/no-such-program"])


def test_a_worker_that_dies_too_often_stays_down():
    backoff = Backoff()
    waits = [backoff.after_death(float(second)) for second in range(MAX_DEATHS)]
    assert waits == [0.2, 1.0, 5.0, 30.0, None]
    assert Backoff().after_death(0.0) == 0.2


def test_a_pulse_is_lost_when_no_pass_begins():
    pulse = Pulse()
    assert not pulse.is_lost(100.0)
    pulse.felt(7, 1.0, 101.0)
    pulse.felt(7, 1.01, 101.0 + HANG_S)
    assert pulse.is_lost(101.5 + HANG_S)
    pulse.felt(8, 1.02, 102.0 + HANG_S)
    assert not pulse.is_lost(103.0 + HANG_S)
    pulse.felt(None, 1.02, 110.0 + HANG_S)
    assert not pulse.is_lost(111.0 + HANG_S)


def test_a_worker_that_has_little_of_a_busy_machine_is_not_lost_while_it_gets_on():
    pulse = Pulse()
    pulse.felt(7, 1.0, 100.0)
    for second in range(1, 60):
        pulse.felt(7, 1.0 + 0.1 * second, 100.0 + second)
        assert not pulse.is_lost(100.5 + second)
    # it says nothing more
    assert pulse.is_lost(159.0 + HANG_S + 0.1)


def test_a_pass_that_takes_processors_for_ever_is_lost():
    pulse = Pulse()
    pulse.felt(7, 0.0, 100.0)
    pulse.felt(7, MOST_PROCESSOR_S - 1, 170.0)
    assert not pulse.is_lost(170.5)
    pulse.felt(7, MOST_PROCESSOR_S, 171.0)
    assert pulse.is_lost(171.5)

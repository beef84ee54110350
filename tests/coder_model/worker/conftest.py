"""Workers of a test, ended with it."""

import sys
from pathlib import Path

import pytest
from worker_windows import Worker, ready

FAKE = [sys.executable, str(Path(__file__).parents[2] / "support" / "fake_worker.py")]


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

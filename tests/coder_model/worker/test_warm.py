"""Warm-ups in the queue: they come last, give way, and only the newest of a window is done."""

from coder_model.types import FillRequest
from coder_model.worker.protocol import Fill, Warm
from coder_model.worker.request_queue import Job, RequestQueue


def fill(number, session="s", client="w", **more):
    return Job(client, Fill(number, FillRequest(session, "x", "", **more)))


def warm(session="s", client="w"):
    return Job(client, Warm(FillRequest(session, "x", "")))


def test_a_warm_up_comes_after_every_fill():
    queue = RequestQueue()
    jobs = [warm("a"), fill(1, "b", speculative=True), fill(2, "c")]
    for job in jobs:
        assert queue.put(job) == []
    for expected in reversed(jobs):
        job = queue.take(0.01)
        assert job is expected
        queue.finish(job)


def test_a_fill_of_any_document_takes_the_model_from_a_warm_up():
    for job in (fill(1), fill(1, "other"), fill(1, "other", client="v"), fill(1, "other", speculative=True)):
        queue = RequestQueue()
        queue.put(warm())
        running = queue.take(0.01)
        assert not queue.unwanted(running)
        queue.put(job)
        assert queue.unwanted(running)


def test_a_warm_up_takes_the_model_from_nobody_who_gets_an_answer():
    for job in (fill(1), fill(1, speculative=True), fill(1, "other")):
        queue = RequestQueue()
        queue.put(job)
        running = queue.take(0.01)
        assert queue.put(warm()) == []
        assert not queue.unwanted(running)


def test_a_fill_that_waits_is_not_dropped_for_a_warm_up_and_drops_that_of_its_document():
    queue = RequestQueue()
    queue.put(fill(1, "busy"))
    queue.take(0.01)
    waiting, earlier = fill(2), warm()
    queue.put(earlier)
    assert queue.put(waiting) == [earlier]
    assert queue.put(warm()) == []


def test_only_the_newest_warm_up_of_a_window_is_done():
    queue = RequestQueue()
    first, other, newest = warm("a"), warm("a", client="v"), warm("b")
    queue.put(first)
    running = queue.take(0.01)
    queue.put(other)
    queue.put(newest)
    assert queue.unwanted(running)
    queue.finish(running)
    assert queue.put(warm("c")) == [newest]
    assert queue.take(0.01) is other


def test_where_there_is_room_warm_ups_of_several_windows_run_together():
    queue = RequestQueue()
    queue.max_concurrent = 2
    queue.put(warm("a"))
    first = queue.take(0.01)
    queue.put(warm("a", client="v"))
    assert queue.take(0.01).client == "v"
    assert not queue.unwanted(first)


class Window:
    def __init__(self):
        self.told = []

    def send(self, message):
        self.told.append(message)


class Failing:
    def __init__(self, error):
        self.error, self.relieved = error, 0

    def warm(self, request, cancelled):
        raise self.error

    def reduce_memory(self):
        self.relieved += 1
        return self.relieved < 2


def test_a_warm_up_that_fails_is_silent():
    from coder_model.types import Cancelled
    from coder_model.worker.main import _answer

    for error, relieved in ((ValueError("a"), 0), (KeyError("a"), 0), (MemoryError(), 2), (Cancelled(), 0)):
        window, engine = Window(), Failing(error)
        _answer(engine, Job(window, Warm(FillRequest("s", "x", ""))), RequestQueue())
        assert window.told == []
        assert engine.relieved == relieved

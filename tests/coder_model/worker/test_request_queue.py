"""Which request is next: the newest of a session, in the order of sessions."""

from worker_windows import request

from coder_model.worker.protocol import (
    Fill,
)
from coder_model.worker.request_queue import Job, RequestQueue


def put(queue, number, session, client="w", **more):
    return [job.work.id for job in queue.put(Job(client, Fill(number, request(session, **more))))]


def take(queue):
    job = queue.take(0.01)
    return job and (job.work.id, job)


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

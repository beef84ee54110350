"""Leader and followers: all work is run once, by one thread at a time, and errors reach whoever asked."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coder_model.runtime.scheduler import LeaderFollowers


class Work:
    def __init__(self, kind):
        self.kind, self.runs = kind, 0


def of_one_kind(most):
    return lambda waiting: [work for work in waiting if work.kind == waiting[0].kind][:most]


@settings(max_examples=20)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=40), st.integers(1, 4))
def test_all_work_is_run_once_in_batches_of_one_kind(kinds, most):
    batches, running = [], threading.Lock()

    def execute(works):
        assert running.acquire(blocking=False)
        for work in works:
            work.runs += 1
        batches.append([work.kind for work in works])
        running.release()

    scheduler = LeaderFollowers(of_one_kind(most), execute)
    works = [Work(kind) for kind in kinds]

    def run(work):
        scheduler.run(work)
        assert work.runs == 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, works))
    assert all(len(batch) <= most and len(set(batch)) == 1 for batch in batches)


def test_the_oldest_runs_first_and_what_waits_joins_it():
    order = []
    scheduler = LeaderFollowers(of_one_kind(2), lambda works: order.append([work.kind for work in works]))
    threads = []
    with scheduler.device:
        for kind in "abaab":
            threads.append(threading.Thread(target=scheduler.run, args=(Work(kind),)))
            threads[-1].start()
            while len(scheduler._waiting) < len(threads):
                pass
    for thread in threads:
        thread.join()
    assert order == [["a", "a"], ["b", "b"], ["a"]]


def test_an_error_reaches_those_of_its_batch_and_no_other():
    def execute(works):
        if works[0].kind == "bad":
            raise RuntimeError("broken")

    scheduler = LeaderFollowers(of_one_kind(4), execute)
    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(scheduler.run, Work(kind)) for kind in ("good", "bad", "good", "bad")]
    for kind, future in zip(("good", "bad", "good", "bad"), found, strict=True):
        if kind == "bad":
            with pytest.raises(RuntimeError, match="broken"):
                future.result()
        else:
            future.result()

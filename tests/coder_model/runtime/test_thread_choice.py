"""Passes go to one thread while other programs hold all of them up, and back."""

import pytest
import torch

from coder_model.runtime.thread_choice import FIRST_REST_S, HELD_UP, LONGEST_REST_S, ThreadChoice


class Machine:
    """A clock that passes move: they take so long with all threads and with one."""

    def __init__(self, monkeypatch):
        self.now, self.threads, self.with_all, self.with_one = 0.0, 4, 0.01, 0.02
        self.used = []
        monkeypatch.setattr(torch, "set_num_threads", lambda count: setattr(self, "threads", count))
        self.choice = ThreadChoice(lambda: self.now, 4)

    def passes(self, count, length=1):
        for _ in range(count):
            self.choice.run(length, self.work)
        return self.used[-count:]

    def work(self):
        self.used.append(self.threads)
        self.now += self.with_one if self.threads == 1 else self.with_all


@pytest.fixture
def machine(monkeypatch):
    return Machine(monkeypatch)


def test_a_free_machine_gives_all_threads(machine):
    assert machine.passes(50) == [4] * 50


def test_passes_that_are_held_up_go_to_one_thread(machine):
    machine.passes(5)
    machine.with_all = 0.1
    assert machine.passes(6) == [4] * HELD_UP + [1] * (6 - HELD_UP)


def test_a_single_slow_pass_changes_nothing(machine):
    machine.passes(5)
    for _ in range(4):
        machine.with_all = 0.1
        machine.passes(1)
        machine.with_all = 0.01
        assert machine.passes(3) == [4] * 3


def test_a_longer_pass_is_not_a_slow_one(machine):
    for length, seconds in [(1, 0.01), (200, 0.5), (1, 0.01), (200, 0.5)] * 3:
        machine.with_all = seconds
        assert machine.passes(1, length) == [4]


def test_all_threads_come_back_when_the_machine_is_free_again(machine):
    machine.passes(5)
    machine.with_all = 0.1
    machine.passes(5)
    machine.with_all = 0.01
    used = machine.passes(round(FIRST_REST_S / machine.with_one) + 5)
    assert used[0] == 1
    assert used[-4:] == [4] * 4


def test_tries_become_rare_while_it_stays_busy(machine):
    machine.passes(5)
    machine.with_all = 0.1
    began = machine.now
    used = machine.passes(5_000)
    assert used.count(4) < HELD_UP + 5 + (machine.now - began) / LONGEST_REST_S
    assert used.count(4) > HELD_UP


def test_where_there_is_one_thread_nothing_is_chosen(monkeypatch):
    monkeypatch.setattr(torch, "set_num_threads", lambda count: pytest.fail(f"asked for {count}"))
    done = []
    ThreadChoice(all_threads=1).run(1, lambda: done.append(1))
    assert done == [1]


def test_what_a_pass_raises_is_raised(machine):
    def fails():
        raise ValueError("pass")

    with pytest.raises(ValueError, match="pass"):
        machine.choice.run(1, fails)

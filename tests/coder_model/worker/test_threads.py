"""How many threads torch is given."""

import os

import pytest
import torch

from coder_model.worker import threads


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("seconds", "chosen"), [({1: 3, 2: 2, 4: 1, 8: 2}, 4), ({1: 1, 2: 9, 4: 9, 8: 9}, 1)])
def test_a_training_gets_the_threads_that_are_fastest_now(seconds, chosen, monkeypatch):
    monkeypatch.setattr(threads, "_available", lambda: 11)
    monkeypatch.setattr(threads, "_products_s", seconds.__getitem__)
    threads.choose_threads()
    assert torch.get_num_threads() == chosen


def test_products_are_measured_with_the_threads_that_are_asked_for():
    assert threads._products_s(1) > 0
    assert torch.get_num_threads() == 1


def test_a_model_that_answers_leaves_threads_to_others(monkeypatch):
    monkeypatch.setattr(threads, "_available", lambda: 64)
    threads.limit_threads()
    assert torch.get_num_threads() == threads.MAX_THREADS

"""The threads of the machine code: several callers, several numbers of threads, and a process that forks."""

import os
import signal
import subprocess
import sys
import threading

import pytest
import torch

from coder_kernels import ops, packing
from coder_kernels.cpu import grouped, processor

pytestmark = pytest.mark.skipif(not grouped.is_there(), reason="this processor multiplies no weights in groups")


@pytest.fixture
def threads():
    """Sets how many threads torch, and so the pool, may use."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def product():
    weight = packing.pack(torch.randn(1152, 896), "grouped")
    inputs = [ops.quantise_rows(torch.randn(rows, 896), "grouped") for rows in (1, 8, 40, 100)]
    return lambda index: ops.linear(inputs[index], weight)


def helpers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("products")]


def test_a_process_has_one_machine_and_helpers_once():
    from coder_kernels.cpu import compiled

    assert compiled.machine() is compiled.machine(processor.lanes())


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one processor has no helpers")
def test_helpers_are_there_as_torch_may_use_them(threads, product):
    from coder_kernels.cpu import compiled

    pool = compiled.machine().pool
    threads(64)
    product(0)
    assert len(pool._asleep) == pool.threads - 1 == os.cpu_count() - 1
    threads(1)
    before = len(helpers())
    product(0)
    assert len(helpers()) == before


def test_the_number_of_threads_changes_no_number(threads, product):
    found = []
    for count in (1, 2, 5, 1):
        threads(count)
        found.append([product(index) for index in range(4)])
    for others in found[1:]:
        assert all(torch.equal(one, other) for one, other in zip(found[0], others, strict=True))


@pytest.mark.parametrize("count", [1, 2])
def test_passes_of_several_threads_do_not_mix(threads, product, count):
    threads(count)
    expected = [product(index) for index in range(4)]
    wrong = []

    def run(index):
        torch.set_num_threads(count)
        for _ in range(40):
            if not torch.equal(product(index), expected[index]):
                wrong.append(index)

    callers = [threading.Thread(target=run, args=(index,)) for index in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


FORKS = """
import os, signal, threading, torch
from coder_kernels import ops, packing
torch.set_num_threads(2)
weight, x = packing.pack(torch.ones(1152, 896), "grouped"), ops.quantise_rows(torch.ones(8, 896), "grouped")
ends = threading.Event()
def work():
    while not ends.is_set():
        ops.linear(x, weight)
others = [threading.Thread(target=work) for _ in range(2)]
for other in others:
    other.start()
for _ in range(5):
    child = os.fork()
    if not child:
        signal.alarm(20)
        found = ops.linear(x, weight).numpy()
        os._exit(0 if abs(found - 896).max() < 1 else 1)
    print(os.waitpid(child, 0)[1])
ends.set()
for other in others:
    other.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_of_a_process_that_multiplies_does_so_too():
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=150)
    assert done.stdout.split() == ["0"] * 5, done.stderr


ENDS = """
import torch
from coder_kernels import ops, packing
torch.set_num_threads(2)
weight, x = packing.pack(torch.ones(1152, 896), "grouped"), ops.quantise_rows(torch.ones(8, 896), "grouped")
for _ in range(20):
    ops.linear(x, weight)
"""


def test_a_process_ends_though_its_helpers_look_for_work():
    for _ in range(3):
        assert subprocess.run([sys.executable, "-c", ENDS], timeout=60).returncode == 0


INTERRUPTS = """
import signal, time, torch
from coder_kernels import ops, packing
torch.set_num_threads(2)
weight, x = packing.pack(torch.ones(1152, 896), "grouped"), ops.quantise_rows(torch.ones(1, 896), "grouped")
expected, interrupts, end = ops.linear(x, weight), 0, time.monotonic() + 4
def interrupt(signum, frame):
    while frame:
        if frame.f_code.co_name == "run":
            raise KeyboardInterrupt
        frame = frame.f_back
signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0003)
while time.monotonic() < end:
    try:
        assert torch.equal(ops.linear(x, weight), expected)
    except KeyboardInterrupt:
        interrupts += 1
signal.signal(signal.SIGALRM, signal.SIG_IGN)
assert torch.equal(ops.linear(x, weight), expected)
print(interrupts > 100)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timer that interrupts")
def test_an_interrupt_at_any_place_stops_no_later_pass():
    done = subprocess.run([sys.executable, "-c", INTERRUPTS], capture_output=True, text=True, timeout=30)
    assert done.stdout == "True\n", done.stderr

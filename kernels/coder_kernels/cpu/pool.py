"""Threads that share a job's items, taking some at a time: who is not there, or is taken off its core, holds nobody up.

Jobs come in chains that run to their end without Python. A gate is open while a job has items. Helpers come in by
counting themselves, take items until none is left, and go; the caller takes items too, closes the gate, and waits only
for helpers that are inside. A helper looks at the gate for some tenths of a millisecond and then sleeps until a call
wakes it. The caller that waits gives its core to others now and then: one that is waited for may need it.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import torch
from llvmlite import ir

from coder_kernels.cpu.emit import I32, I64, JOB, NOTHING, POINTER
from coder_kernels.cpu.layout import STEP

_GATE, _NEXT, _END, _CHUNK, _JOB, _ARGUMENTS, _GIVE_WAY, _STATE_BYTES = 0, 64, 128, 136, 144, 152, 160, 192
"""Bytes of the state at which its numbers stand; the first two are written by all threads, and have a line each."""
_OPEN = 1 << 32
_PAUSE = "pause"
_LOOKS = 8192
"""How often one looks, some 40 ns each: a helper at a closed gate before it sleeps, a caller before it offers its core.

Where other work takes all cores, offering it every 64 looks cost a tenth to a half of a pass's time more.
"""


Steps = ctypes.Array[ctypes.c_int64]


def write_pool(module: ir.Module, is_arm: bool) -> None:
    """Writes `run(state, steps, count)`, which runs a chain, and `help(state, thread)`, for who helps."""
    _write_pause(module, is_arm)
    share = _write_share(module)
    _write_run(module, share)
    _write_help(module)


def _write_run(module: ir.Module, share: ir.Function) -> None:
    function = ir.Function(module, ir.FunctionType(NOTHING, [POINTER, POINTER, I64]), "run")
    state, steps, count = function.args
    b = ir.IRBuilder(function.append_basic_block())
    begin = b.block
    test, step, alone, shared, behind = (b.append_basic_block() for _ in range(5))
    b.branch(test)
    b.position_at_end(test)
    index = b.phi(I64)
    index.add_incoming(ir.Constant(I64, 0), begin)
    b.cbranch(b.icmp_signed("<", index, count), step, behind)
    b.position_at_end(step)
    place = b.gep(steps, [b.mul(index, ir.Constant(I64, STEP))], source_etype=I64)
    job, arguments, items, chunk = (
        b.load(b.gep(place, [ir.Constant(I64, at)], source_etype=I64), typ=I64) for at in range(STEP)
    )
    following = b.add(index, ir.Constant(I64, 1))
    b.cbranch(b.icmp_signed("<=", items, chunk), alone, shared)
    b.position_at_end(alone)
    _call(b, job, arguments, ir.Constant(I64, 0), items, ir.Constant(I64, 0))
    index.add_incoming(following, alone)
    b.branch(test)
    b.position_at_end(shared)
    b.call(share, [state, job, arguments, items, chunk])
    index.add_incoming(following, shared)
    b.branch(test)
    b.position_at_end(behind)
    b.ret_void()


def _write_share(module: ir.Module) -> ir.Function:
    """One job, with whoever helps."""
    kind = ir.FunctionType(NOTHING, [POINTER, I64, I64, I64, I64])
    function = ir.Function(module, kind, "share")
    state, *numbers = function.args
    job, arguments, end, chunk = numbers
    b = ir.IRBuilder(function.append_basic_block())
    for offset, number in (
        (_NEXT, ir.Constant(I64, 0)),
        (_END, end),
        (_CHUNK, chunk),
        (_JOB, job),
        (_ARGUMENTS, arguments),
    ):
        b.store(number, _at(b, state, offset))
    b.atomic_rmw("xchg", _at(b, state, _GATE), ir.Constant(I64, _OPEN), "release")
    _take(b, state, job, arguments, end, chunk, ir.Constant(I64, 0))
    b.atomic_rmw("sub", _at(b, state, _GATE), ir.Constant(I64, _OPEN), "acq_rel")
    begin = b.block
    wait, look, behind = (b.append_basic_block() for _ in range(3))
    b.branch(look)
    b.position_at_end(look)
    looks = b.phi(I64)
    looks.add_incoming(ir.Constant(I64, 0), begin)
    inside = b.load_atomic(_at(b, state, _GATE), "acquire", 8, typ=I64)
    b.cbranch(b.icmp_signed("==", inside, ir.Constant(I64, 0)), behind, wait)
    b.position_at_end(wait)
    more = _look_again(b, looks)
    is_due = b.icmp_signed("==", b.and_(more, ir.Constant(I64, _LOOKS - 1)), ir.Constant(I64, 0))
    with b.if_then(is_due):
        give_way = b.load(_at(b, state, _GIVE_WAY), typ=I64)
        b.call(b.inttoptr(give_way, ir.FunctionType(I32, []).as_pointer()), [])
    looks.add_incoming(more, b.block)
    b.branch(look)
    b.position_at_end(behind)
    b.ret_void()
    return function


def _write_help(module: ir.Module) -> None:
    function = ir.Function(module, ir.FunctionType(NOTHING, [POINTER, I64]), "help")
    state, thread = function.args
    b = ir.IRBuilder(function.append_basic_block())
    begin = b.block
    look, come, work, closed, behind = (b.append_basic_block() for _ in range(5))
    b.branch(look)
    b.position_at_end(look)
    looks = b.phi(I64)
    looks.add_incoming(ir.Constant(I64, 0), begin)
    gate = b.load_atomic(_at(b, state, _GATE), "acquire", 8, typ=I64)
    b.cbranch(b.icmp_signed(">=", gate, ir.Constant(I64, _OPEN)), come, closed)
    b.position_at_end(come)
    came = b.cmpxchg(_at(b, state, _GATE), gate, b.add(gate, ir.Constant(I64, 1)), "acq_rel", "acquire")
    b.cbranch(b.extract_value(came, 1), work, look)
    looks.add_incoming(looks, come)
    b.position_at_end(work)
    end, chunk, job, arguments = (b.load(_at(b, state, at), typ=I64) for at in (_END, _CHUNK, _JOB, _ARGUMENTS))
    _take(b, state, job, arguments, end, chunk, thread)
    b.atomic_rmw("sub", _at(b, state, _GATE), ir.Constant(I64, 1), "acq_rel")
    _pause(b)
    looks.add_incoming(ir.Constant(I64, 0), b.block)
    b.branch(look)
    b.position_at_end(closed)
    more = _look_again(b, looks)
    looks.add_incoming(more, b.block)
    b.cbranch(b.icmp_signed("<", more, ir.Constant(I64, _LOOKS)), look, behind)
    b.position_at_end(behind)
    b.ret_void()


def _look_again(b: ir.IRBuilder, looks: Any) -> Any:
    """Waits for a moment, and returns how many looks there were."""
    _pause(b)
    return b.add(looks, ir.Constant(I64, 1))


def _take(b: ir.IRBuilder, state: Any, job: Any, arguments: Any, end: Any, chunk: Any, thread: Any) -> None:
    """Runs the job on some items at a time until none is left."""
    take, work, behind = (b.append_basic_block() for _ in range(3))
    b.branch(take)
    b.position_at_end(take)
    first = b.atomic_rmw("add", _at(b, state, _NEXT), chunk, "monotonic")
    b.cbranch(b.icmp_signed("<", first, end), work, behind)
    b.position_at_end(work)
    last = b.add(first, chunk)
    last = b.select(b.icmp_signed("<", last, end), last, end)
    _call(b, job, arguments, first, last, thread)
    b.branch(take)
    b.position_at_end(behind)


def _call(b: ir.IRBuilder, job: Any, arguments: Any, first: Any, last: Any, thread: Any) -> None:
    b.call(b.inttoptr(job, JOB.as_pointer()), [b.inttoptr(arguments, POINTER), first, last, thread])


def _at(b: ir.IRBuilder, state: Any, offset: int) -> Any:
    return b.gep(state, [ir.Constant(I64, offset)], source_etype=ir.IntType(8))


def _pause(b: ir.IRBuilder) -> None:
    b.call(b.module.globals[_PAUSE], [])


def _write_pause(module: ir.Module, is_arm: bool) -> None:
    """Some ten nanoseconds of nothing; ARM's own hint to wait is none, and a barrier for instructions takes as long."""
    function = ir.Function(module, ir.FunctionType(NOTHING, []), _PAUSE)
    function.linkage = "internal"
    b = ir.IRBuilder(function.append_basic_block())
    if is_arm:
        barrier = ir.Function(module, ir.FunctionType(NOTHING, [I32]), "llvm.aarch64.isb")
        b.call(barrier, [ir.Constant(I32, 15)])
    else:
        b.call(ir.Function(module, ir.FunctionType(NOTHING, []), "llvm.x86.sse2.pause"), [])
    b.ret_void()


class Pool:
    """The threads, and the state that they share."""

    def __init__(self, run: Callable[..., None], help_: Callable[..., None], most: int) -> None:
        """Takes the two functions of `write_pool`, and how many threads there may be, the one that calls among them.

        As many as torch may use take part in a job; each is started when it is first wanted.
        """
        self.threads = most
        self._run, self._help = run, help_
        self._begin()
        if hasattr(os, "register_at_fork"):
            # a child has no helpers, and a copy of what another thread was about to change
            os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        room = (ctypes.c_char * (_STATE_BYTES + 64))()
        self._room = room
        self._state = ctypes.addressof(room) + -ctypes.addressof(room) % 64
        ctypes.c_int64.from_address(self._state + _GIVE_WAY).value = _give_way()
        self.alone = threading.RLock()
        """Held while a chain runs, and by those whose chain must not change meanwhile."""
        # locks, not events: who is interrupted while he sets an event may leave it locked for ever
        self._asleep: list[threading.Lock] = []

    def run(self, steps: Steps, is_shared: bool) -> None:
        """Runs a chain of jobs, each when all items of the one before are done.

        Args:
            steps: `STEP` numbers each; of threads that call at the same time the later one waits.
            is_shared: whether any of them has more items than a thread takes at a time.
        """
        with self.alone:
            if is_shared:
                for wake in self._helpers(min(self.threads, torch.get_num_threads()) - 1):
                    if wake.locked():
                        wake.release()
            self._run(self._state, steps, len(steps) // STEP)

    def _helpers(self, count: int) -> list[threading.Lock]:
        """Locks, each of which a helper waits for; those that were not needed before are started."""
        for index in range(len(self._asleep), count):
            wake = threading.Lock()
            wake.acquire()
            # noted first: whoever is interrupted here never starts two of one number
            self._asleep.append(wake)
            threading.Thread(target=self._serve, args=(index + 1, wake), daemon=True, name=f"products {index}").start()
        return self._asleep[:count]

    def _serve(self, thread: int, wake: threading.Lock) -> None:
        while True:
            wake.acquire()
            self._help(self._state, thread)


def _give_way() -> int:
    """Address of the function of the system by which a thread offers its core."""
    if sys.platform == "win32":
        function = ctypes.windll.kernel32.SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    return ctypes.cast(function, ctypes.c_void_p).value or 0

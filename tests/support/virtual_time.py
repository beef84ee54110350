"""An event loop whose clock goes at once to the next moment at which something is due: minutes pass in milliseconds."""

import asyncio
import selectors


class _Impatient(selectors.DefaultSelector):
    """Waits for nothing, and says how long it would have."""

    def __init__(self):
        super().__init__()
        self.now = 0.0

    def select(self, timeout=None):
        self.now += timeout or 0.0
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """For tasks that wait for nothing but each other and the clock."""

    def __init__(self):
        self._waits = _Impatient()
        super().__init__(self._waits)

    def time(self):
        return self._waits.now


def run_virtually(monkeypatch, work):
    """Runs a coroutine in virtual time, which `time.monotonic` tells, too; returns its result."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        monkeypatch.setattr("time.monotonic", runner.get_loop().time)
        return runner.run(work)

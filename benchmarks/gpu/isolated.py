"""Checks in processes of their own, several at a time: kernels compile beside each other, and a crash costs one check.

A kernel that reads where it must not spoils its whole process, and one that hangs never returns. What is compiled here
lies in Triton's cache afterwards, so that whoever measures does not wait for a compiler.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

import torch

SECONDS = 75.0
"""Of a check, the start of its process counted; then it is ended."""


def attempt(run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Returns what is found, or why it could not be: one failure must not cost the rest of a lent machine's time."""
    try:
        return run()
    except Exception as error:
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {error}"[:300]}


def results(names: Iterable[str], command: list[str], workers: int, minutes: float) -> dict[str, dict[str, Any]]:
    """Returns what processes say of each name for which the time suffices.

    Args:
        names: of checks, in the order in which they are begun.
        command: starts a process that calls `serve`.
        workers: processes at a time.
        minutes: after which no check is begun.
    """
    end = time.monotonic() + 60 * minutes
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for name in names:
        waiting.put(name)
    found: dict[str, dict[str, Any]] = {}
    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(_work_off, waiting, command, found, end) for _ in range(workers)]:
            done.result()
    return found


def serve(checks: dict[str, Callable[[], dict[str, Any]]], device: torch.device) -> None:
    """Does the checks whose names come in, a line each, and answers with a line of JSON."""
    # a library that prints must not answer
    with os.fdopen(os.dup(1), "w") as answers, contextlib.redirect_stdout(sys.stderr):
        for line in sys.stdin:
            found = attempt(checks[line.rstrip("\n")])
            print(json.dumps(found), file=answers, flush=True)
            if device.type == "cuda":
                # an error that stays raises again, and ends the process
                torch.cuda.synchronize()
                torch.cuda.empty_cache()


def _work_off(
    waiting: queue.SimpleQueue[str], command: list[str], found: dict[str, dict[str, Any]], end: float
) -> None:
    process: subprocess.Popen[str] | None = None
    while time.monotonic() < end:
        try:
            name = waiting.get_nowait()
        except queue.Empty:
            break
        if process is None or process.poll() is not None:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        found[name] = _asked(process, name)
    if process is not None:
        process.communicate()


def _asked(process: subprocess.Popen[str], name: str) -> dict[str, Any]:
    stdin, stdout = process.stdin, process.stdout
    assert stdin
    assert stdout
    alarm = threading.Timer(SECONDS, process.kill)
    alarm.start()
    try:
        answer = _answer(stdin, stdout, name)
    finally:
        alarm.cancel()
    if not answer:
        process.kill()
        with contextlib.suppress(BrokenPipeError):
            process.communicate()
        return {"failed": f"the process ended with {process.returncode}"}
    record: dict[str, Any] = json.loads(answer)
    return record


def _answer(stdin: IO[str], stdout: IO[str], name: str) -> str:
    try:
        stdin.write(name + "\n")
        stdin.flush()
        return stdout.readline()
    except BrokenPipeError:
        return ""

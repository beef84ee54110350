"""Runs a program that a model has written a part of, in a child process with limits.

Limits of time, memory, files and processes; no environment; no network where the system lets an ordinary user take it
away. A guard against accidents, not a jail: for completions of somebody you do not trust use a machine to throw away.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

TIMEOUT_S, MEMORY_BYTES, FILE_BYTES, MAX_PROCESSES = 10, 1 << 30, 1 << 20, 64

# The child prints a word that the program cannot know, so that leaving early does not count as passing.
_CHILD = f"""
import resource, sys
word = sys.stdin.readline()
for what, most in (("CPU", {TIMEOUT_S}), ("AS", {MEMORY_BYTES}), ("FSIZE", {FILE_BYTES}), ("NPROC", {MAX_PROCESSES})):
    resource.setrlimit(getattr(resource, "RLIMIT_" + what), (most, most))
real, sys.stdout = sys.stdout, sys.stderr
exec(compile(open("program.py").read(), "program.py", "exec"), {{"__name__": "__main__"}})
real.write(word)
"""


def passes(program: str) -> bool:
    """Returns True when a Python program, its tests included, runs to its end without an error."""
    word = secrets.token_hex(8)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "program.py").write_text(program, "utf-8")
        command = [*_without_network(), sys.executable, "-I", "-c", _CHILD]
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={"PYTHONHASHSEED": "0"},
            start_new_session=True,
        )
        with child:
            try:
                said, _ = child.communicate(word.encode() + b"\n", timeout=TIMEOUT_S)
            except subprocess.TimeoutExpired:
                said = b""
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
    return word.encode() in said


@cache
def _without_network() -> list[str]:
    """The command before a command that has no network; empty where the system does not allow it."""
    command = ["unshare", "--user", "--map-root-user", "--net"]
    try:
        done = subprocess.run([*command, "true"], capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return command if done.returncode == 0 else []

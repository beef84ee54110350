"""The benchmark of GPUs runs where there is none, in a small form."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from coder_kernels import configs

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tune(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks/gpu"))
    return importlib.import_module("tune")


def test_tuning_keeps_what_is_fastest(tune, monkeypatch):
    """Without a GPU the times are made up: more stages are faster, more than 64 rows cannot run."""

    def made_up(_table, _kernel, entry, _device):
        return float("inf") if entry["rows"] > 64 else 100.0 - entry["stages"] + entry["warps"]

    monkeypatch.setattr(tune, "microseconds", made_up)
    before = configs.table(90)
    found = tune.tuned(before, torch.device("cpu"), 1.0)
    for kernel in tune.CASES:
        for old, new in zip(before[kernel], found[kernel], strict=True):
            assert (new["stages"], new["warps"]) == (5, 4)
            assert new["rows"] <= 64
            assert {**new, **{name: old[name] for name in ("rows", "warps", "stages")}} == old
    assert json.loads(tune.as_text(found)) == found
    assert tune.tuned(before, torch.device("cpu"), 0.0) == before
    few = list(tune.entries(before, ["eight"], True))
    assert [kernel for kernel, _ in few] == ["product", "swiglu", "select"]
    found = tune.tuned(before, torch.device("cpu"), 1.0, few)
    assert [
        index for index, (old, new) in enumerate(zip(before["product"], found["product"], strict=True)) if old != new
    ] == [few[0][1]]
    assert found["attention"] == before["attention"]
    job = json.dumps(["product", few[0][1], before["product"][few[0][1]]])
    assert tune.once(before, torch.device("cpu"), job) == {"us": 100.0 - 4 + 4}


def test_a_tile_comes_from_the_nearest_older_device():
    assert configs.nearest(89) == 80
    assert configs.nearest(120) == 100
    with pytest.raises(ValueError, match=r"the GPU must have compute capability 8.0 or newer, found 7.5"):
        configs.nearest(75)


def test_the_command_checks_measures_and_says_what_it_left_out(tmp_path):
    out = tmp_path / "gpu.json"
    command = [
        sys.executable,
        "-W",
        "ignore",
        ROOT / "benchmarks/gpu/run.py",
        "--small",
        "--minutes",
        "0.1",
        "--parts",
        "checks",
        "kernels",
        "models",
        "peers",
        "rows",
        "--out",
        out,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    record = json.loads(out.read_text("utf-8"))
    kernels = record["kernels"]
    named = {name.partition(": ")[2] for name in (*kernels, *record["left_out"])}
    assert {"linear qkv fp8", "swiglu int4", "head_select bf16", "block_attention", "unmask cosine"} <= named
    assert kernels
    assert all(one["error"] <= one["tolerance"] and one["repeats"] for one in kernels.values())
    assert record["ceilings"]["bytes_per_second"] > 0
    assert record["left_out"] or record["models"]
    assert record["rows"].keys() | set(record["left_out"]) >= {"tiny 32 rows: swiglu fp8"}


CHECK = """
import os, time

def check(name):
    if name == "bad":
        raise ValueError("not so")
    if name == "dead":
        os._exit(3)
    if name == "hangs":
        time.sleep(60)
    return {"error": 0.0}
"""


def test_a_check_that_ends_its_process_or_never_ends_costs_no_other_check(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks/gpu"))
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "some_checks.py").write_text(CHECK)
    isolated, check = importlib.import_module("isolated"), importlib.import_module("some_checks").check
    found = isolated.results(["dead", "good", "bad"], check, 1, 1.0)
    assert found == {
        "dead": {"failed": "the process ended with 3"},
        "good": {"error": 0.0},
        "bad": {"failed": "ValueError: not so"},
    }
    assert isolated.results(["good"], check, 1, 0.0) == {}
    monkeypatch.setattr(isolated, "SECONDS", 10.0)
    assert isolated.results(["hangs"], check, 1, 1.0) == {"hangs": {"failed": "the process ended with -9"}}

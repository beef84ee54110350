"""What the compiler makes of the kernels for GPUs that are not here, held against a budget."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUDGETS = json.loads((Path(__file__).parent / "budgets.json").read_text("utf-8"))
SHARED_BYTES = {"sm_80": 163 << 10, "sm_90": 227 << 10, "sm_100": 227 << 10}
"""Of a program, at most (CUDA C++ Programming Guide, table of compute capabilities)."""
OLDEST = ROOT / "tools" / "triton-3.6"
"""Where CI puts the oldest Triton that is supported."""


def compiled(tmp_path, *arguments, before=()):
    """The table of `benchmarks/gpu/ahead.py`, made in a process in which nothing is interpreted."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    path = [*before, ROOT / "kernels", ROOT]
    environment |= {
        "PYTHONPATH": os.pathsep.join(str(part) for part in path),
        "TRITON_CACHE_DIR": str(tmp_path / "cache"),
    }
    table = tmp_path / "table.json"
    command = [sys.executable, ROOT / "benchmarks/gpu/ahead.py", *arguments, "--output", table]
    subprocess.run(command, env=environment, check=True, timeout=600)
    return json.loads(table.read_text("utf-8"))


def assert_within(found):
    assert found["kernels"].keys() == {name for name in BUDGETS if name.split()[0] in sm_of(found)}
    for name, made in found["kernels"].items():
        budget = BUDGETS[name]
        assert made["registers"] <= budget["registers"], name
        assert made["spilled_bytes"] == 0, name
        assert made["shared_bytes"] <= min(budget["shared_bytes"], SHARED_BYTES[name.split()[0]]), name
        assert made["matrix"] == budget["matrix"], name


def sm_of(found):
    return {name.split()[0] for name in found["kernels"]}


@pytest.mark.parametrize("sm", [80, 90, 100])
def test_every_kernel_compiles_within_its_budget(tmp_path, sm):
    assert_within(compiled(tmp_path, "--few", "--arch", str(sm)))


def test_every_kernel_compiles_within_its_budget_under_the_oldest_triton(tmp_path):
    if not OLDEST.is_dir():
        pytest.skip(f"{OLDEST.relative_to(ROOT)} is absent: `.ci/run` brings it where an index of packages is at hand")
    found = compiled(tmp_path, "--few", "--arch", "90", before=[OLDEST])
    assert found["triton"].startswith("3.6")
    assert_within(found)


def test_kernels_that_begin_before_the_one_ahead_has_ended_compile(tmp_path):
    found = compiled(tmp_path, "--few", "--arch", "90", "--early")
    assert all(not made["spilled_bytes"] for made in found["kernels"].values())

"""What the compiler makes of the kernels for GPUs that are not here, held against a budget."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
BUDGETS = json.loads((Path(__file__).parent / "budgets.json").read_text("utf-8"))
SHARED_BYTES = {"sm_80": 163 << 10, "sm_90": 227 << 10, "sm_100": 227 << 10}
"""Of a program, at most (CUDA C++ Programming Guide, table of compute capabilities)."""
OLDEST = ROOT / "tools" / "triton-3.6"
"""Where CI puts the oldest Triton that is supported."""


RUNS = {f"sm_{sm}": ["--arch", str(sm)] for sm in (80, 90, 100)} | {
    "oldest": ["--arch", "90"],
}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """The tables of `benchmarks/gpu/ahead.py`, two at a time, made in processes in which nothing is interpreted."""
    folder = tmp_path_factory.mktemp("compiled")
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(compiled, folder, name) for name in RUNS if name != "oldest" or OLDEST.is_dir()}


def compiled(folder, name):
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    path = [*([OLDEST] if name == "oldest" else []), ROOT / "kernels", ROOT]
    environment |= {"PYTHONPATH": os.pathsep.join(map(str, path)), "TRITON_CACHE_DIR": str(folder / name)}
    table = folder / f"{name}.json"
    command = [sys.executable, ROOT / "benchmarks/gpu/ahead.py", "--few", *RUNS[name], "--output", table]
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


@pytest.mark.parametrize("sm", ["sm_80", "sm_90", "sm_100"])
def test_every_kernel_compiles_within_its_budget(tables, sm):
    assert_within(tables[sm].result())


def test_every_kernel_compiles_within_its_budget_under_the_oldest_triton(tables):
    if "oldest" not in tables:
        pytest.skip(f"{OLDEST.relative_to(ROOT)} is absent: `.ci/run` brings it where an index of packages is at hand")
    found = tables["oldest"].result()
    assert found["triton"].startswith("3.6")
    assert_within(found)

"""The benchmark of GPUs runs where there is none, in a small form."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


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
        "--out",
        out,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    record = json.loads(out.read_text("utf-8"))
    kernels = record["kernels"]
    assert {"linear qkv fp8", "swiglu int4", "head_select bf16", "block_attention", "unmask cosine"} <= {
        name.partition(": ")[2] for name in kernels
    }
    assert all(one["error"] <= one["tolerance"] and one["repeats"] for one in kernels.values())
    assert record["ceilings"]["bytes_per_second"] > 0
    assert record["left_out"] or record["models"]
    assert out.with_suffix(".png").stat().st_size > 1000

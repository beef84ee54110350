"""Runs under torchrun: several processes learn what one learns."""

import json
import subprocess
import sys
from dataclasses import asdict, replace

import pytest
import torch
from tiny_training import NOISE, options

from coder_model.errors import CorpusError
from coder_model.model import weights
from coder_model.training.loop import train


def under_torchrun(corpus, output, processes, values):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command += ["-m", "unmask_cli.train", "run", "--corpus", str(corpus), "--output", str(output)]
    done = subprocess.run([*command, "--options", json.dumps(values)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    trained, _ = weights.load(output / "model")
    return torch.cat([p.flatten() for p in trained.parameters()])


@pytest.fixture
def small(model):
    sizes = {"length": 64, "final_length": 64, "micro_rows": 1, "bf16": False, "steps": 3, "warm_up": 1}
    return {**sizes, "model": asdict(replace(model.config, vocab_size=310)), "noise": asdict(NOISE)}


@pytest.mark.slow
def test_four_processes_equal_one(corpus, tmp_path, small):
    one = under_torchrun(corpus, tmp_path / "1", 1, {**small, "rows": 4})
    four = under_torchrun(corpus, tmp_path / "4", 4, {**small, "rows": 1})
    # bfloat16 weights of sums in another order
    torch.testing.assert_close(four, one, atol=2e-2, rtol=2e-2)


@pytest.mark.slow
def test_sharded_weights_equal_whole_ones_and_go_on_exactly(corpus, tmp_path, small):
    one = under_torchrun(corpus, tmp_path / "1", 1, {**small, "rows": 4})
    sharded = {**small, "rows": 2, "shard": True, "decay_share": 0.01}
    under_torchrun(corpus, tmp_path / "2", 2, {**sharded, "steps": 2})
    two = under_torchrun(corpus, tmp_path / "2", 2, {**sharded, "decay_share": 0.2})
    torch.testing.assert_close(two, one, atol=2e-2, rtol=2e-2)


def test_a_mean_of_sharded_weights_is_refused(corpus, tmp_path, model):
    with pytest.raises(CorpusError, match="shard and average exclude each other"):
        train(options(corpus, tmp_path, model, shard=True, average=0.5))

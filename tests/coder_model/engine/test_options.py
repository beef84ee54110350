from typing import get_args

import pytest

from coder_kernels.policies import POLICIES
from coder_model.engine.fill_options import CPU_PRECISIONS
from coder_model.engine.options import ONE_TOKEN, CpuPrecision, EngineOptions, PolicyName
from coder_model.types import InvalidInput


def test_the_names_are_those_of_what_they_choose():
    assert set(get_args(PolicyName)) == {*POLICIES, ONE_TOKEN}
    assert set(get_args(CpuPrecision)) == CPU_PRECISIONS.keys()


def test_options_come_back_from_the_worker_border_as_they_went():
    options = EngineOptions(policy="top_k", k=3, filters_off=("repetition",), min_accepted=0.0)
    assert EngineOptions.from_json(options.to_json()) == options
    assert EngineOptions().to_json() == "{}"


@pytest.mark.parametrize("text", ['{"polcy": "top_k"}', '{"k": "two"}', '{"k": 0}', '{"policy": "best"}', "[", ""])
def test_what_is_no_options_is_refused_with_one_line(text):
    with pytest.raises(InvalidInput, match="options must be") as refused:
        EngineOptions.from_json(text)
    assert "\n" not in str(refused.value)


def test_fills_share_passes_only_where_a_device_is_shared():
    assert EngineOptions().concurrent_on("cpu") == 1
    assert EngineOptions().concurrent_on("cuda") > 1
    assert EngineOptions(max_concurrent=3).concurrent_on("cpu") == 3


@pytest.mark.parametrize(
    "options",
    [
        {"policy": "best"},
        {"max_steps": -1},
        {"refresh_every": 0},
        {"block_length": 1},
        {"k": 0},
        {"threshold": 1.5},
        {"factor": -0.1},
        {"entropy_bound": -1},
        {"alternatives": -1},
        {"min_accepted": -1},
        {"remask_below": 2},
        {"sessions": 0},
        {"sync_interval": 0},
        {"max_concurrent": -1},
        {"min_copy": -1},
        {"precision": "int3"},
        {"filters_off": ("all",)},
    ],
)
def test_a_wrong_option_is_named(options):
    with pytest.raises(InvalidInput, match=next(iter(options))):
        EngineOptions.of(options)

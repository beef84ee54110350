"""A training run in this process, which may be one of several under torchrun."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import msgspec
import torch
import torch.distributed as dist

from coder_model.errors import CorpusError
from coder_model.model.config import ModelConfig
from coder_model.training.loop import TrainOptions, device_of, train
from coder_model.training.sampler import NoiseOptions


def launch(corpus: str, output: str, values: Mapping[str, Any]) -> None:
    """Trains with the options that are named; joins the other processes where torchrun has started some.

    Args:
        corpus: directory that `prepare` wrote.
        output: directory of the checkpoint, the log and the exported model.
        values: of `TrainOptions`; `model` and `noise` are mappings of `ModelConfig` and `NoiseOptions`.

    Raises:
        CorpusError: when an option is unknown or out of its range, and as `train` does.
        ModelFileError: as `train` does.
    """
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    options = _options(corpus, output, values)
    if world > 1:
        on_gpu = device_of(options.device, rank).type == "cuda"
        torch.set_num_threads(1)
        dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        train(options, rank, world)
        if world > 1:
            # nobody leaves while another still writes
            dist.barrier()
    finally:
        if world > 1:
            dist.destroy_process_group()


def _options(corpus: str, output: str, values: Mapping[str, Any]) -> TrainOptions:
    for within, kind in (("", TrainOptions), ("model", ModelConfig), ("noise", NoiseOptions)):
        named = values.get(within, {}) if within else values
        if not isinstance(named, Mapping):
            raise CorpusError(f"--options {within} must be an object, got {named!r}")
        if unknown := named.keys() - {field.name for field in fields(kind)}:
            names = ", ".join(f"{within}.{name}".strip(".") for name in sorted(unknown))
            raise CorpusError(f"--options has no {names}")
    try:
        return msgspec.convert({"corpus": corpus, "output": output, **values}, TrainOptions)
    except msgspec.ValidationError as error:
        raise CorpusError(f"--options must be those of a training run: {error}") from error

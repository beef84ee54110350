"""Everything a run needs to go on exactly where it stopped, as safetensors and JSON (no pickle).

The data needs no state: batch n is a function of n. A checkpoint is written beside the old one and then renamed, so a
kill at any moment leaves a whole one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from coder_model.errors import CorpusError
from coder_model.training.sharding import placed, whole
from coder_model.whole_file import written_whole


def save_checkpoint(
    path: Path,
    step: int,
    model: nn.Module,
    average: nn.Module | None,
    optimizers: list[torch.optim.Optimizer],
    facts: dict[str, Any],
    write: bool = True,
) -> None:
    """Writes model, its running mean, optimizer state and `facts` to `path` (safetensors), replacing it in one move.

    Every process of a sharded run must call this, one of them with `write`.
    """
    tensors: dict[str, Tensor] = {f"model.{name}": whole(p) for name, p in model.state_dict().items()}
    if average is not None:
        tensors |= {f"average.{name}": p for name, p in average.state_dict().items()}
    names = {id(p): name for name, p in model.named_parameters()}
    for optimizer in optimizers:
        for parameter, state in optimizer.state.items():
            for key, value in state.items():
                tensors[f"optimizer.{key}.{names[id(parameter)]}"] = whole(torch.as_tensor(value))
    if not write:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part:
        written = {k: v.contiguous() for k, v in tensors.items()}
        save_file(written, part, {"step": str(step), "facts": json.dumps(facts)})


def load_checkpoint(
    path: Path,
    model: nn.Module,
    average: nn.Module | None,
    optimizers: list[torch.optim.Optimizer],
    facts: dict[str, Any],
) -> int:
    """Restores a run and returns the number of steps done.

    A running mean that the run did not keep before begins at its weights.

    Raises:
        CorpusError: when the checkpoint was written by a run with other facts (sizes, data, seed).
    """
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    stored = json.loads(metadata["facts"])
    if stored != facts:
        changed = sorted(key for key in stored.keys() | facts.keys() if stored.get(key) != facts.get(key))
        raise CorpusError(f"{path} belongs to a run with other settings: {', '.join(changed)}")
    tensors = load_file(path)
    present = model.state_dict()
    model.load_state_dict({name: placed(tensors[f"model.{name}"], like) for name, like in present.items()})
    if average is not None:
        kept = {k.removeprefix("average."): v for k, v in tensors.items() if k.startswith("average.")}
        average.load_state_dict(kept or {f"module.{k}": v for k, v in model.state_dict().items()}, strict=bool(kept))
    parameters = dict(model.named_parameters())
    owner = {id(p): o for o in optimizers for group in o.param_groups for p in group["params"]}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, field, name = key.split(".", 2)
            parameter = parameters[name]
            whole_shape = value.shape == parameter.shape
            owner[id(parameter)].state[parameter][field] = placed(value, parameter) if whole_shape else value
    return int(metadata["step"])

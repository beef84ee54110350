"""The larger model, cut to the tokens of a corpus: few enough bytes to be carried to a lent GPU in parts.

The weights stay in the number format that their file has them in, GGUF's blocks or the floats of safetensors.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from coder_kernels.ggml_blocks import dequantise_blocks
from coder_model.errors import CorpusError, ModelFileError
from coder_model.model.config import ModelConfig, Yarn
from coder_model.model.transformer import Transformer
from coder_model.training.published.holes import HoleTokens
from coder_model.training.published.vocabulary import Cut

if TYPE_CHECKING:
    # a lent machine trains on what was cut elsewhere, without the libraries that read published models
    from coder_model.checkpoints.hf_config import Published

INDEX, BYTES, TOKENS, VOCABULARY = "target.json", "target.bin", "vocabulary.npy", "marks.json"
EMBEDDINGS, ALIGNMENT = "embed_tokens.weight", 32


def write_cut(published: Published, cut: Cut, marks: HoleTokens, output: Path) -> None:
    """Writes the larger model with a cut vocabulary: an index, and the values as its files have them.

    The marks are written last: they tell that the rest is there.

    Args:
        published: the larger model, GGUF or safetensors.
        cut: its vocabulary.
        marks: what the sampler must know of it.
        output: directory that exists.

    Raises:
        ModelFileError: when a file is broken, or its tensors are not those of the configuration.
    """
    from coder_model.checkpoints.loading import tensors_of
    from coder_model.checkpoints.tensors import stored_rows

    found, theirs = tensors_of(published), published.names.theirs
    head = "lm_head.weight" if theirs("lm_head.weight") in found else EMBEDDINGS
    config = replace(published.config, vocab_size=len(cut.ids), tied_head=False)
    with torch.device("meta"):
        names = list(Transformer(config).state_dict())
    kept = {EMBEDDINGS: cut.ids, "lm_head.weight": cut.ids[: cut.head_tokens]}
    index, at = {}, 0
    with (output / BYTES).open("wb") as out:
        for name in names:
            stored = found[theirs(head if name == "lm_head.weight" else name)]
            part, shape = stored_rows(stored), stored.shape
            if name in kept:
                part, shape = part[torch.from_numpy(kept[name])], (len(kept[name]), *shape[1:])
            # values of 4 bytes are read in place: each tensor begins at a multiple of that
            out.write(bytes(-at % ALIGNMENT))
            at += -at % ALIGNMENT
            out.write(part.numpy().tobytes())
            index[name] = {"kind": stored.kind, "shape": shape, "start": at, "n_bytes": part.numel()}
            at += part.numel()
    (output / INDEX).write_text(json.dumps({"config": asdict(config), "tensors": index}), "utf-8")
    np.save(output / TOKENS, cut.ids)
    (output / VOCABULARY).write_text(json.dumps({**vars(marks), "breaks": marks.breaks.tolist()}), "utf-8")


def read_tokens(directory: Path) -> HoleTokens:
    """Returns what the sampler knows of the vocabulary.

    Raises:
        CorpusError: when the directory holds none.
    """
    try:
        values = json.loads((directory / VOCABULARY).read_text("utf-8"))
        return HoleTokens(**{**values, "breaks": np.array(values["breaks"], np.int64)})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorpusError(f"{directory} must hold a cut vocabulary: {error}") from error


def read_cut(directory: Path) -> Cut:
    """Returns the vocabulary that a model was cut to.

    Raises:
        ModelFileError: when the directory holds none.
    """
    try:
        index = json.loads((directory / INDEX).read_text("utf-8"))
        return Cut(np.load(directory / TOKENS), index["tensors"]["lm_head.weight"]["shape"][0])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{directory} must hold a model that was cut: {error}") from error


def load_cut(directory: Path, device: torch.device, dtype: torch.dtype) -> Transformer:
    """Returns the larger model with the cut vocabulary; its head has the rows of the tokens that may be said.

    Raises:
        ModelFileError: when the directory holds none.
    """
    try:
        index = json.loads((directory / INDEX).read_text("utf-8"))
        data = torch.from_file(str(directory / BYTES), size=(directory / BYTES).stat().st_size, dtype=torch.uint8)
        yarn = index["config"]["yarn"]
        config = ModelConfig(**{**index["config"], "yarn": yarn and Yarn(**yarn)})
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ModelFileError(f"{directory} must hold a model that was cut: {error}") from error
    with torch.device("meta"):
        model = Transformer(config)
    for name, entry in index["tensors"].items():
        part = data[entry["start"] : entry["start"] + entry["n_bytes"]]
        owner, _, field = name.rpartition(".")
        values = dequantise_blocks(part, entry["kind"], entry["shape"], dtype).to(device)
        setattr(model.get_submodule(owner), field, nn.Parameter(values, requires_grad=False))
    return model.eval()

"""The larger model, cut to the tokens of a corpus: few enough bytes to be carried to a lent GPU in parts.

The weights stay in the blocks that their file has them in. Tokens are counted over the corpus and numbered anew, the
most frequent first, so that the head's rows are the first ones of the table.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from coder_kernels.ggml_blocks import dequantise_blocks
from coder_model.errors import CorpusError, ModelFileError
from coder_model.model.config import ModelConfig
from coder_model.model.transformer import Transformer
from coder_model.training.drafter.sampler import DrafterTokens

INDEX, BYTES, TOKENS, VOCABULARY = "target.json", "target.bin", "vocabulary.npy", "marks.json"


@dataclass(frozen=True, slots=True)
class Cut:
    """A vocabulary with fewer tokens."""

    ids: npt.NDArray[np.int32]
    """[kept] the larger model's id of each token, the most frequent first; the last one stands for all others."""
    head_tokens: int
    """Tokens that the drafter may say: the first ones."""

    def renumbered(self, tokens: npt.NDArray[np.unsignedinteger], vocab_size: int) -> npt.NDArray[np.uint16]:
        """Returns tokens of the larger model in the new numbers."""
        new = np.full(vocab_size, len(self.ids) - 1, np.uint16)
        new[self.ids] = np.arange(len(self.ids), dtype=np.uint16)
        renumbered: npt.NDArray[np.uint16] = new[tokens]
        return renumbered


def cut_of(counts: npt.NDArray[np.int64], always: list[int], unknown: int, kept: int, head_tokens: int) -> Cut:
    """Chooses the tokens that stay.

    Args:
        counts: [V] how often each token is in the corpus.
        always: ids that the head must have: marks, and single bytes, without which not every text could be said.
        unknown: id that stands for what is cut; in no text.
        kept: tokens of the table, at most 65,536.
        head_tokens: tokens of the head.
    """
    ranked = counts.copy()
    ranked[always] = counts.max() + 1
    ranked[unknown] = -1
    ids = np.argsort(-ranked, kind="stable")[: kept - 1]
    return Cut(np.append(ids, unknown).astype(np.int32), head_tokens)


def write_cut(path: Path, cut: Cut, marks: DrafterTokens, output: Path) -> None:
    """Writes the larger model with a cut vocabulary: an index, and the blocks of a GGUF file.

    Raises:
        ModelFileError: when the file is broken or of an architecture that we do not compute.
    """
    from coder_model.checkpoints.hf_config import read_published
    from coder_model.checkpoints.tensors import in_gguf
    from coder_model.checkpoints.weight_names import GGUF

    published = read_published(path)
    if published.header is None:
        raise ModelFileError(f"{path} must be a GGUF file")
    found = in_gguf(published.header)
    head = "lm_head.weight" if GGUF.theirs("lm_head.weight") in found else "embed_tokens.weight"
    config = replace(published.config, vocab_size=len(cut.ids), tied_head=False)
    with torch.device("meta"):
        names = list(Transformer(config).state_dict())
    index, at = {}, 0
    data = np.memmap(path, np.uint8, "r")
    with (output / BYTES).open("wb") as out:
        for name in names:
            stored = found[GGUF.theirs(head if name == "lm_head.weight" else name)]
            part, shape = data[stored.start : stored.start + stored.n_bytes], stored.shape
            if stored.shape[0] == published.config.vocab_size:
                ids = cut.ids[: cut.head_tokens] if name == "lm_head.weight" else cut.ids
                part, shape = part.reshape(shape[0], -1)[ids], (len(ids), *shape[1:])
            out.write(part.tobytes())
            index[name] = {"kind": stored.kind, "shape": shape, "start": at, "n_bytes": part.size}
            at += part.size
    (output / INDEX).write_text(json.dumps({"config": asdict(config), "tensors": index}), "utf-8")
    np.save(output / TOKENS, cut.ids)
    (output / VOCABULARY).write_text(json.dumps({**vars(marks), "breaks": marks.breaks.tolist()}), "utf-8")


def read_tokens(directory: Path) -> DrafterTokens:
    """Returns what the sampler knows of the vocabulary.

    Raises:
        CorpusError: when the directory holds none.
    """
    try:
        values = json.loads((directory / VOCABULARY).read_text("utf-8"))
        return DrafterTokens(**{**values, "breaks": np.array(values["breaks"], np.int64)})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorpusError(f"{directory} must hold a cut vocabulary: {error}") from error


def load_cut(directory: Path, device: torch.device, dtype: torch.dtype) -> Transformer:
    """Returns the larger model with the cut vocabulary; its head has the rows that a drafter may say.

    Raises:
        ModelFileError: when the directory holds none.
    """
    try:
        index = json.loads((directory / INDEX).read_text("utf-8"))
        data = torch.from_file(str(directory / BYTES), size=(directory / BYTES).stat().st_size, dtype=torch.uint8)
        config = ModelConfig(**{**index["config"], "yarn": None})
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

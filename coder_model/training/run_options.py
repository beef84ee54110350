"""The options of a training run, checked before torch is imported, which takes seconds."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import msgspec

from coder_model.errors import CorpusError
from coder_model.model.config import ModelConfig
from coder_model.prompt.tokenizer import TOKENIZER, CodeTokenizer
from coder_model.ranges import AboveZero, Count, Length, NotNegative, Positive, Rows, Share


@dataclass(frozen=True, slots=True)
class NoiseOptions:
    """How blocks are noised."""

    block_lengths: tuple[Positive, ...] = (8, 16, 32)
    """One is drawn per batch; each must divide `slots`."""
    slots: Positive = 128
    """Noised slots per sequence, in blocks of the drawn length."""
    min_rate: Share = 0.3
    full_share: Share = 0.3
    """Share of the blocks that are masked whole, as in the first denoise step; the others draw from [min_rate, 1]."""

    def __post_init__(self) -> None:
        if any(self.slots % length for length in self.block_lengths):
            raise ValueError(f"block_lengths must divide slots, got {self.block_lengths} and {self.slots}")


@dataclass(frozen=True)
class TrainOptions:
    """A run. All but the clock's options must stay the same for a run to be resumed."""

    corpus: str
    """Directory that `prepare` wrote."""
    output: str
    """Directory of the checkpoint, the log and the exported model; not under version control."""
    model: ModelConfig = field(default_factory=ModelConfig)
    noise: NoiseOptions = field(default_factory=NoiseOptions)
    steps: Positive = 4000
    minutes: AboveZero = math.inf
    """Stop after so many, with a checkpoint to go on from."""
    rows: Rows = 16
    """Sequences per step and process."""
    micro_rows: Rows = 4
    """Sequences per forward pass: what fits the processor's cache."""
    length: Length = 512
    """Clean tokens per sequence until the decay."""
    final_length: Length = 1024
    """Clean tokens per sequence in the decay, with the rows reduced to keep the tokens per step."""
    matrix_lr: AboveZero = 0.02
    other_lr: AboveZero = 0.004
    warm_up: Count = 60
    decay_share: Share = 0.2
    shard: bool = False
    """Spread the weights over the processes instead of holding them whole in each: for models that do not fit."""
    average: Share = 0.0
    """Weight of the past in a running mean of the weights, which is validated and exported; 0: no mean is kept."""
    diffusion_weight: NotNegative = 0.5
    middle_weight: NotNegative = 1.0
    language_weights: dict[str, NotNegative] = field(default_factory=dict)
    """How often a token of a language id is drawn; 1 where nothing is said."""
    bf16: bool | None = None
    """Whether matrix products are in bfloat16; None: on a GPU, and on a CPU that multiplies faster in it."""
    compiler: str = ""
    """Backend of `torch.compile` for the model's pass, such as `inductor` on a GPU. None: as it is, which on a CPU is
    5 % slower and begins half a minute earlier."""
    device: str = "auto"
    """`cpu`, `cuda`, or `auto`: a GPU where there is one."""
    workers: Count = 0
    """Processes that make batches; 0: made between the steps, which costs a CPU run 2 % and starves a GPU."""
    seed: int = 1
    checkpoint_minutes: AboveZero = 4.0
    validate_every: Positive = 200
    validation_batches: Positive = 4

    def facts(self, world: int) -> dict[str, Any]:
        """What a checkpoint must agree with to be resumed."""
        clock = (
            "corpus",
            "output",
            "checkpoint_minutes",
            "validate_every",
            "validation_batches",
            "steps",
            "minutes",
            "decay_share",
            "device",
            "compiler",
            "workers",
            "micro_rows",
            "average",
            "shard",
        )
        return json.loads(json.dumps({k: v for k, v in asdict(self).items() if k not in clock} | {"world": world}))  # type: ignore[no-any-return]


def read_options(corpus: str, output: str, values: Mapping[str, Any]) -> TrainOptions:
    """Returns the options of a run by their names.

    Args:
        corpus: directory that `prepare` wrote.
        output: directory of the checkpoint, the log and the exported model.
        values: of `TrainOptions`; `model` and `noise` are mappings of `ModelConfig` and `NoiseOptions`.

    Raises:
        CorpusError: when an option is unknown or out of its range; names it, and what there is.
        ModelFileError: when the corpus' tokenizer is broken.
    """
    for within, kind in (("", TrainOptions), ("model", ModelConfig), ("noise", NoiseOptions)):
        named = values.get(within, {}) if within else values
        if not isinstance(named, Mapping):
            raise CorpusError(f"--options {within} must be an object, got {named!r}")
        known = [field.name for field in fields(kind)]
        if unknown := sorted(named.keys() - set(known)):
            names = ", ".join(f"{within}.{name}".strip(".") for name in unknown)
            by_spelling = difflib.get_close_matches(unknown[0], known, len(known), 0.0)
            raise CorpusError(f"--options has no {names}; there are {', '.join(by_spelling)}")
    model = {**_vocabulary_of(Path(corpus)), **values.get("model", {})}
    try:
        return msgspec.convert({"corpus": corpus, "output": output, **values, "model": model}, TrainOptions)
    except msgspec.ValidationError as error:
        raise CorpusError(f"--options must be those of a training run: {error}") from error


def _vocabulary_of(corpus: Path) -> dict[str, int]:
    """The size of the vocabulary that a corpus is prepared with: the model's, unless somebody says another one."""
    file = corpus / TOKENIZER
    return {"vocab_size": CodeTokenizer.load(file).vocab_size} if file.exists() else {}

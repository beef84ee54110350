"""The run of a drafter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from coder_model.model.drafter import Drafter
from coder_model.model.drafter_files import CONFIG, WEIGHTS
from coder_model.training.drafter.initial import initial_drafter
from coder_model.training.drafter.objective import DraftOutcome, accepted_tokens, outcome, target_states
from coder_model.training.drafter.options import DrafterOptions
from coder_model.training.drafter.sampler import DrafterBatch, DrafterSampler
from coder_model.training.optim import make_optimizers
from coder_model.training.published.compiled import compile_if_faster
from coder_model.training.published.target import load_cut, read_tokens
from coder_model.training.published.timed_run import TimedRun
from coder_model.training.shards import Shard
from coder_model.whole_file import written_whole


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the larger model accepts of blocks."""

    accepted: float
    """Tokens of a block, besides the one that verification brings anyway."""
    chances: list[float]
    """Of each slot, to be accepted when all before it were."""


@dataclass(frozen=True, slots=True)
class DrafterScores:
    """What held-out files say of a drafter."""

    loss: float
    """Nats per slot."""
    middle: Accepted
    """Of blocks in the middle of holes."""
    prefix: Accepted
    """Of the others."""


class DrafterRun(TimedRun[DrafterBatch, DrafterScores]):
    """A drafter, the larger model, and what is needed to train the one on the other."""

    options: DrafterOptions

    def __init__(self, options: DrafterOptions, say: Callable[[str], None] = print) -> None:
        """Reads everything.

        Args:
            options: of the run.
            say: takes a line on how it goes.

        Raises:
            CorpusError: when the corpus is not there, or `rows` is no multiple of `micro_rows`.
            ModelFileError: when the larger model is broken, or the drafter to go on from is, or does not fit it.
        """
        super().__init__(options, say)
        corpus = Path(options.corpus)
        self.target = load_cut(corpus, self.device, self.dtype)
        self.head = self.target.lm_head.weight.data
        init = options.output if self.step else options.init
        self.drafter = initial_drafter(replace(options, init=init), self.target.config).to(self.device)
        marks = read_tokens(corpus)
        self.sampler = DrafterSampler(Shard.open(corpus, "train"), marks, options.holes, options.seed)
        self.validation = DrafterSampler(Shard.open(corpus, "valid"), marks, options.holes, 0)
        matrices = [p for name, p in self.drafter.named_parameters() if p.dim() == 2 and name != "masks"]
        others = [p for name, p in self.drafter.named_parameters() if p.dim() != 2 or name == "masks"]
        if self.device.type == "cuda":
            compile_if_faster([self.target], self._states_of_nothing, say)
        self.optimizers = make_optimizers(matrices, others, options.matrix_lr, options.other_lr)

    def _states_of_nothing(self) -> None:
        tokens = torch.zeros(self.options.micro_rows, self.options.holes.length, dtype=torch.int64, device=self.device)
        with self.autocast():
            target_states(self.target, tokens, self.drafter.config.taps)

    def loss(self, batch: DrafterBatch) -> Tensor:
        """Returns how far the drafter is from what the larger model says, [], in nats, weighted."""
        return self._outcome(batch, self.drafter).loss

    def _outcome(self, batch: DrafterBatch, drafter: Drafter) -> DraftOutcome:
        with self.autocast():
            return outcome(drafter, self.target, self.head, self.moved(batch), self.options.hard)

    @torch.no_grad()
    def validate(self, drafter: Drafter | None = None) -> DrafterScores:
        """Returns the loss, and how many tokens are accepted in the middle of holes and in the prefix.

        Args:
            drafter: on the run's device; the one that is trained when absent.
        """
        found = []
        for number in range(-(-self.options.validation_rows // self.options.micro_rows)):
            batch = self.validation.batch(number, self.options.micro_rows)
            result = self._outcome(batch, drafter or self.drafter)
            fresh = ~batch.known[..., 1:].any(dim=2)
            asked = (batch.weights > 0) & fresh[..., None]
            found.append([*(t.cpu() for t in (result.losses, result.agrees, result.on_path)), asked, batch.in_middle])
        losses, agrees, on_path, asked, in_middle = (torch.cat(parts) for parts in zip(*found, strict=True))

        def among(blocks: Tensor) -> Accepted:
            accepted, chances = accepted_tokens(agrees[blocks], on_path[blocks], asked[blocks])
            return Accepted(round(accepted, 3), [round(chance, 3) for chance in chances.tolist()])

        return DrafterScores(float(losses[asked].mean()), among(in_middle), among(~in_middle))

    def save(self, output: Path) -> None:
        """Writes configuration and weights (float16), replacing what is there in one move."""
        self.drafter.config.save(output / CONFIG)
        tensors = {name: p.detach().half().cpu().contiguous() for name, p in self.drafter.state_dict().items()}
        with written_whole(output / WEIGHTS) as part:
            save_file(tensors, part)

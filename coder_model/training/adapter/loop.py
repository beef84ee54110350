"""The run of an adapter."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from coder_model.errors import ModelFileError
from coder_model.model.adapter_files import StoredAdapter, read_adapter, write_unpacked
from coder_model.model.transformer import Transformer
from coder_model.training.adapter.low_rank import LowRankLinear, attach_, factors, fill_
from coder_model.training.adapter.objective import FillOutcome, outcome
from coder_model.training.adapter.options import AdapterOptions
from coder_model.training.adapter.sampler import AdapterBatch, AdapterSampler
from coder_model.training.published.compiled import compile_if_faster
from coder_model.training.published.target import load_cut, read_tokens
from coder_model.training.published.timed_run import TimedRun
from coder_model.training.shards import Shard

BEFORE = "before.json"


@dataclass(frozen=True, slots=True)
class HolesFilled:
    """Holes of files that were held out, each token asked for behind the text's own ones."""

    holes: int
    """Those whose every token could be said."""
    whole: float
    """Percent of them of which every token and the end are the model's first choices: what greedy decoding fills
    exactly."""
    tokens: float
    """Percent of their tokens."""
    taught_whole: float
    """Percent of the holes by the teacher."""
    loss: float
    """Nats per token, as it is trained on."""


class AdapterRun(TimedRun[AdapterBatch, HolesFilled]):
    """A model with an adapter, its teacher, and what is needed to train."""

    options: AdapterOptions

    def __init__(
        self,
        options: AdapterOptions,
        say: Callable[[str], None] = print,
        filled: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Reads everything.

        Args:
            options: of the run.
            say: takes a line on how it goes.
            filled: called with the share of a validation that is done, in (0, 1].

        Raises:
            CorpusError: when the corpus is not there, `rows` is no multiple of `micro_rows`, or rank or layers are
                not those of the model.
            ModelFileError: when a model or the adapter to go on from is broken, or does not fit.
        """
        super().__init__(options, say)
        self._filled, corpus = filled, Path(options.corpus)
        self.model = load_cut(corpus, self.device, self.dtype).requires_grad_(False)
        self.teacher = self._teacher()
        torch.manual_seed(options.seed)
        self.adapted = self._attached(self.model, options.output if self.step else options.init)
        marks, head_tokens = read_tokens(corpus), len(self.model.lm_head.weight)
        self.sampler = AdapterSampler(Shard.open(corpus, "train"), marks, head_tokens, options, options.seed)
        self.validation = AdapterSampler(Shard.open(corpus, "valid"), marks, head_tokens, options, 0)
        learnt = [parameter for layer in self.adapted.values() for parameter in (layer.down, layer.up)]
        self.optimizers = [torch.optim.AdamW(learnt, options.learning_rate, betas=(0.9, 0.95), weight_decay=0.0)]
        if self.device.type == "cuda":
            compile_if_faster([self.model, self.teacher], self.seconds_to_learn, say)

    def _teacher(self) -> Transformer:
        if self.options.teacher:
            teacher = load_cut(Path(self.options.teacher), self.device, self.dtype)
            if teacher.lm_head.weight.shape[0] != self.model.lm_head.weight.shape[0]:
                raise ModelFileError("teacher must be cut to the vocabulary of the model")
        else:
            # other layers around the same weights
            teacher = deepcopy(self.model, {id(parameter): parameter for parameter in self.model.parameters()})
            if self.options.init:
                self._attached(teacher, self.options.init)
        return teacher.requires_grad_(False)

    def _attached(self, model: Transformer, init: str) -> dict[str, LowRankLinear]:
        return adapted_(model, model.norm.weight, self.options, read_adapter(Path(init)) if init else None)

    def seconds_to_learn(self) -> float:
        """Returns how long a sequence takes; nothing is learnt from it."""
        batch = self.sampler.batch(0, self.options.micro_rows)
        seconds = 0.0
        # the first time takes longer
        for _ in range(2):
            began = time.perf_counter()
            # the number is there when the device is done
            float(self._learn(batch))
            seconds = time.perf_counter() - began
        self.optimizers[0].zero_grad(set_to_none=True)
        return seconds / self.options.micro_rows

    def before(self) -> HolesFilled:
        """Returns how holes were filled when the run began, also where it was interrupted since."""
        kept = Path(self.options.output) / BEFORE
        if not self.step:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(asdict(self.validate())), "utf-8")
        return HolesFilled(**json.loads(kept.read_text("utf-8")))

    def loss(self, batch: AdapterBatch) -> Tensor:
        """Returns how far the model is from the text and the teacher, [], in nats per token."""
        return self._outcome(batch).loss

    def _outcome(self, batch: AdapterBatch) -> FillOutcome:
        with self.autocast():
            return outcome(self.model, self.teacher, self.moved(batch), self.options.hard)

    @torch.no_grad()
    def validate(self) -> HolesFilled:
        """Returns how holes of the held-out files are filled."""
        losses, rows = [], []
        n_batches = -(-self.options.validation_rows // self.options.micro_rows)
        for number in range(n_batches):
            batch = self.validation.batch(number, self.options.micro_rows)
            found = self._outcome(batch)
            losses.append(float(found.loss))
            can_be_said = (batch.weights > 0) | ~batch.in_middle
            said, taught = (right.cpu() | ~batch.in_middle for right in (found.said_right, found.taught_right))
            tokens = torch.where(batch.in_middle, said, False).sum(dim=1)
            counts = [can_be_said.all(dim=1), said.all(dim=1), taught.all(dim=1), tokens, batch.in_middle.sum(dim=1)]
            rows.append(torch.stack([count.long() for count in counts], dim=1))
            self._filled((number + 1) / n_batches)
        kept = torch.cat(rows)
        kept = kept[kept[:, 0] == 1].double()
        whole, taught_whole, right, asked = (float(total) for total in kept[:, 1:].sum(dim=0))
        holes = len(kept)
        return HolesFilled(
            holes, 100 * whole / max(1, holes), 100 * right / max(1.0, asked), 100 * taught_whole / max(1, holes),
            sum(losses) / len(losses),
        )  # fmt: skip

    def stored(self) -> StoredAdapter:
        """Returns what has been learnt, the factors in float16."""
        return StoredAdapter(factors(self.adapted), self.model.norm.weight.float().cpu())

    def save(self, output: Path) -> None:
        """Writes the adapter, its factors in float16, replacing what is there in one move."""
        write_unpacked(output, self.stored())


def adapted_(
    model: Transformer, norm: Tensor, options: AdapterOptions, init: StoredAdapter | None
) -> dict[str, LowRankLinear]:
    """Puts a run's adapter on a model; see `attach_`.

    Args:
        model: with or without values.
        norm: [D] float, the weights of its last norm.
        options: of the run.
        init: what the adapter begins as; as no change when absent.

    Raises:
        CorpusError: when rank or layers are not those of the model.
        ModelFileError: when `init` belongs to another model, or does not fit into rank or layers.
    """
    if init and not init.belongs_to(model, norm):
        raise ModelFileError("the adapter to go on from must be one of this model, found that of another one")
    adapted = attach_(model, options.rank, options.scale, options.layers)
    if init:
        fill_(adapted, init)
    return adapted

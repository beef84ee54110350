"""Small trainings at equal tokens, one change each: what the recipe in `coder_model/training` is chosen by.

    .venv/bin/python benchmarks/ablations.py CORPUS [--steps 400] [--out benchmarks/results/ablations.json]

One process per core, each variant on one thread. Ways of training that lost live here and nowhere else.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from coder_model.evaluation.run import facts
from coder_model.model import weights
from coder_model.model.config import ModelConfig
from coder_model.model.transformer import Transformer
from coder_model.prompt.tokenizer import MASK, N_SPECIAL, CodeTokenizer
from coder_model.training import sampler as sampling
from coder_model.training.objective import joint_attention, joint_loss
from coder_model.training.optim import optimizers_for, schedule, schedulers_for
from coder_model.training.sampler import IGNORE, Batch, NoiseOptions, Sampler
from coder_model.training.shards import Shard, write_split

SMALL = ModelConfig(d_model=128, n_layers=4, n_heads=2, n_kv_heads=1, d_ff=352)
ROWS, LENGTH, VALID_BATCHES = 16, 256, 24
LANGUAGES = {"python": 20.0}
SURE, RETOLD_FILES = 0.9, 3_000

Loss = Callable[[Transformer, Batch, float], Tensor]
"""(model, batch, share of the run that is done) -> loss."""


def plain(diffusion_weight: float = 0.5, middle_weight: float = 1.0) -> Loss:
    """The objective as it is."""
    return lambda model, batch, _: joint_loss(model, batch, diffusion_weight, torch.bfloat16, middle_weight).total


def sharpened(weight: float) -> Loss:
    """In the last quarter, the entropy of slots whose likeliest token is right counts as loss."""

    def loss(model: Transformer, batch: Batch, done: float) -> Tensor:
        total = plain()(model, batch, done)
        if done < 0.75:
            return total
        logits, targets = slot_logits(model, batch)
        log_p = logits.log_softmax(1)
        right = log_p.argmax(1) == targets
        entropy = -(log_p.exp() * log_p).sum(1)
        return total + weight * (entropy * right).mean()

    return loss


def distilled(weight: float) -> Loss:
    """A slot also learns what the autoregressive mode says at its place, given the true text before it."""

    def loss(model: Transformer, batch: Batch, done: float) -> Tensor:
        total = plain()(model, batch, done)
        logits, targets, teacher = slot_logits(model, batch, with_teacher=True)
        soft = F.cross_entropy(logits, teacher.softmax(1).detach())
        return total + weight * soft if len(targets) else total

    return loss


def slot_logits(model: Transformer, batch: Batch, with_teacher: bool = False) -> tuple[Tensor, ...]:
    """Logits [N, V] and targets [N] of the slots that carry loss; with_teacher adds the clean tokens' logits there."""
    length = batch.clean.shape[1]
    slot = (batch.starts[:, :, None] + torch.arange(batch.block_length)).flatten(1)
    positions = torch.cat([torch.arange(length).expand_as(batch.clean), slot], 1)
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model(torch.cat([batch.clean, batch.noised], 1), positions, joint_attention(batch, torch.bfloat16))
    kept = batch.noised_targets != IGNORE
    logits = model.logits(hidden[:, length:][kept])
    if not with_teacher:
        return logits, batch.noised_targets[kept]
    # shifted form: slot j predicts the token after position starts + j, as the clean token there does
    teacher = hidden[:, :length].gather(1, slot[:, :, None].expand(-1, -1, hidden.shape[2]))[kept]
    return logits, batch.noised_targets[kept], model.logits(teacher)


def as_it_is(batch: Batch) -> Batch:
    """No change."""
    return batch


def unshifted(batch: Batch) -> Batch:
    """A slot predicts its own token, not the next one."""
    blocks = batch.noised_targets.view(len(batch.clean), -1, batch.block_length)
    own = torch.cat([torch.full_like(blocks[:, :, :1], IGNORE), blocks[:, :, :-1]], 2)
    return replace(batch, noised_targets=own.flatten(1))


def complementary(batch: Batch) -> Batch:
    """The second half of the blocks repeats the first half with the other slots masked."""
    shape = (len(batch.clean), -1, batch.block_length)
    starts, noised, targets = batch.starts.clone(), batch.noised.view(shape), batch.noised_targets.view(shape)
    half = starts.shape[1] // 2
    index = (starts[:, :half, None] + torch.arange(batch.block_length)).flatten(1)
    clean = batch.clean.gather(1, index).view(len(batch.clean), half, -1)
    visible = noised[:, :half] != MASK
    visible[:, :, 0] = False
    other = clean.masked_fill(visible, MASK)
    wanted = torch.cat([clean[:, :, 1:], torch.full_like(clean[:, :, :1], IGNORE)], 2)
    next_visible = torch.cat([visible[:, :, 1:], torch.zeros_like(visible[:, :, :1])], 2)
    other_targets = wanted.masked_fill(~next_visible, IGNORE)
    starts[:, half : 2 * half] = starts[:, :half]
    return replace(
        batch,
        starts=starts,
        noised=torch.cat([noised[:, :half], other, noised[:, 2 * half :]], 1).flatten(1),
        noised_targets=torch.cat([targets[:, :half], other_targets, targets[:, 2 * half :]], 1).flatten(1),
    )


def corrupted(batch: Batch) -> Batch:
    """A tenth of the visible slots shows a wrong token, as before a remask round; the slot before still learns it."""
    shape = (len(batch.clean), -1, batch.block_length)
    noised = batch.noised.view(shape).clone()
    wrong = (torch.rand(noised.shape) < 0.1) & (noised != MASK)
    wrong[:, :, 0] = False
    index = (batch.starts[:, :, None] + torch.arange(batch.block_length)).flatten(1)
    clean = batch.clean.gather(1, index).view(shape)
    noised = torch.where(wrong, torch.randint(N_SPECIAL, 8192, noised.shape), noised)
    next_wrong = torch.cat([wrong[:, :, 1:], torch.zeros_like(wrong[:, :, :1])], 2)
    next_clean = torch.cat([clean[:, :, 1:], clean[:, :, :1]], 2)
    targets = torch.where(next_wrong, next_clean, batch.noised_targets.view(shape))
    return replace(batch, noised=noised.flatten(1), noised_targets=targets.flatten(1))


@dataclass(frozen=True)
class Variant:
    """One change to the recipe."""

    question: str
    name: str
    noise: NoiseOptions = field(default_factory=NoiseOptions)
    loss: Loss = field(default_factory=plain)
    change: Callable[[Batch], Batch] = as_it_is
    snippets: float = sampling.SNIPPET_SHARE
    short_blocks_until: float = 0.0
    """Share of the run with blocks of the shortest length only."""
    vocabulary: int = 0
    """Tokens of a tokenizer of its own, and a small corpus told in them; 0: the corpus as it is."""
    seed: int = 1


def variants() -> list[Variant]:
    """The table's rows; the first is what the others change."""
    default = NoiseOptions()
    return [
        Variant("", "recipe"),
        Variant("", "recipe, another seed", seed=2),
        Variant("block size", "16 only", noise=replace(default, block_lengths=(16,))),
        Variant("block size", "8 for the first half, then 8, 16, 32", short_blocks_until=0.5),
        Variant("mask rate", "0.05 to 1, none masked whole", noise=replace(default, min_rate=0.05, full_share=0.0)),
        Variant("mask rate", "0.3 to 1, none masked whole", noise=replace(default, full_share=0.0)),
        Variant("mask rate", "60 % masked whole", noise=replace(default, full_share=0.6)),
        Variant("complementary masks", "yes", change=complementary),
        Variant("diffusion weight", "0", loss=plain(0.0)),
        Variant("diffusion weight", "0.2", loss=plain(0.2)),
        Variant("diffusion weight", "1.0", loss=plain(1.0)),
        Variant("middle weight", "4", loss=plain(0.5, 4.0)),
        Variant("slots", "unshifted", change=unshifted),
        *(Variant("vocabulary, small corpus", str(size), vocabulary=size) for size in (4096, 8192, 16384)),
        Variant("snippets", "none", snippets=0.0),
        Variant("confidence sharpening", "0.1 in the last quarter", loss=sharpened(0.1)),
        Variant("corrupted visible tokens", "a tenth", change=corrupted),
        Variant("self-distillation", "from the autoregressive mode, 0.25", loss=distilled(0.25)),
    ]


def train(corpus: Path, steps: int, number: int) -> dict[str, object]:
    """Trains one variant and returns its validation figures."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    variant = variants()[number]
    sampling.SNIPPET_SHARE = variant.snippets
    config = SMALL
    if variant.vocabulary:
        config = replace(SMALL, vocab_size=variant.vocabulary)
        corpus = retold(corpus, variant.vocabulary)
    tokenizer = weights.load_tokenizer(corpus, config)
    model = Transformer(config)
    model.initialise_(variant.seed)
    optimizers = optimizers_for(model, 0.02, 0.004)
    schedulers = schedulers_for(optimizers, lambda step: schedule(step, steps, 30, 0.3))
    shard = Shard.open(corpus, "train")
    full = Sampler(shard, tokenizer, variant.noise, variant.seed, LANGUAGES)
    short = Sampler(shard, tokenizer, replace(variant.noise, block_lengths=(8,)), variant.seed, LANGUAGES)
    for step in range(steps):
        done = step / steps
        batch = (short if done < variant.short_blocks_until else full).batch(step, range(ROWS), LENGTH)
        for part in variant.change(batch).split(8):
            (variant.loss(model, part, done) / 2).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        for scheduler in schedulers:
            scheduler.step()
    sampling.SNIPPET_SHARE = Variant("", "").snippets
    return {"question": variant.question, "change": variant.name, **validate(model, corpus, variant)}


def retold(corpus: Path, vocabulary: int) -> Path:
    """Returns a small corpus, parts of `corpus` told in a vocabulary of another size; made beside it once."""
    output = corpus.parent / f"vocabulary-{vocabulary}"
    old = weights.load_tokenizer(corpus, SMALL)
    texts = {}
    for split, count in (("train", RETOLD_FILES), ("valid", RETOLD_FILES // 6)):
        shard = Shard.open(corpus, split)
        python = [i for i, name in enumerate(shard.names) if name.endswith(".py")]
        chosen = sorted(random.Random(0).sample(python, min(count, len(python))))
        texts[split] = {shard.names[i]: old.decode(shard.file(i).tolist()) for i in chosen}
    tokenizer = CodeTokenizer.train(texts["train"].values(), vocabulary)
    output.mkdir(exist_ok=True)
    tokenizer.save(output / weights.TOKENIZER)
    for split, files in texts.items():
        ids = (np.array(tokenizer.encode(text), np.uint16).tobytes() for text in files.values())
        write_split(output, split, list(files), ids)
    return output


@torch.no_grad()
def validate(model: Transformer, corpus: Path, variant: Variant) -> dict[str, float]:
    """Losses in nats on the same held-out batches for every variant, and what few-step decoding would live on."""
    tokenizer = weights.load_tokenizer(corpus, model.config)
    sampler = Sampler(Shard.open(corpus, "valid"), tokenizer, NoiseOptions(block_lengths=(16,)), 7, LANGUAGES)
    change = unshifted if variant.change is unshifted else as_it_is
    sums: dict[str, float] = {}
    sure = right_and_sure = runs = blocks = slots = n_tokens = n_bytes = 0.0
    size = torch.tensor([len(data) for data in tokenizer.token_bytes])
    for number in range(VALID_BATCHES):
        batch = change(sampler.batch(number, range(8), LENGTH))
        losses = joint_loss(model, batch, 0.5, torch.bfloat16)
        for name in ("autoregressive", "middle", "full", "partial"):
            sums[name] = sums.get(name, 0.0) + getattr(losses, name) / VALID_BATCHES
        counted = batch.targets[batch.targets != IGNORE]
        n_tokens += len(counted)
        n_bytes += float(size[counted].sum())
        logits, targets = slot_logits(model, batch)
        confidence, token = logits.softmax(1).max(1)
        right = token == targets
        sure += float((confidence > SURE).sum())
        right_and_sure += float((right & (confidence > SURE)).sum())
        slots += len(targets)
        kept = batch.noised_targets != IGNORE
        hits = torch.zeros_like(kept)
        hits[kept] = right
        # the first slot says what the autoregressive mode says: the run begins after it
        run = hits.view(len(kept), -1, 16)[:, :, 1:-1].long().cumprod(2).sum(2)
        runs += float(run[batch.full].sum())
        blocks += float(batch.full.sum())
    figures = {name: round(value, 3) for name, value in sums.items()}
    figures["per_byte"] = round(sums["autoregressive"] * n_tokens / n_bytes, 4)
    figures["run"] = round(runs / blocks, 3)
    figures["sure"] = round(100 * sure / slots, 2)
    figures["right_where_sure"] = round(100 * right_and_sure / max(1.0, sure), 1)
    return figures


def main() -> None:
    """Trains the variants and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/ablations.json"))
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    count, tokens = len(variants()), arguments.steps * ROWS * LENGTH
    one = partial(train, arguments.corpus, arguments.steps)
    rows: list[dict[str, object]] = []
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for row in track(pool.imap(one, range(count)), total=count, console=Console(stderr=True)):
            rows.append(row)
            # after each: a run that is stopped leaves what it has
            record = {**facts(), "tokens": tokens, "parameters": "1.8 M, 4 layers x 128", "rows": rows}
            arguments.out.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    table = Table(*rows[0].keys())
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table)


if __name__ == "__main__":
    main()

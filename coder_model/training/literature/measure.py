"""What a trained model does: its bounds, holes filled in so many passes, the time of one, and how it looks."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any

import torch
from rapidfuzz.distance import Indel
from torch import Generator, Tensor

from coder_model.prompt.tokenizer import CodeTokenizer
from coder_model.training.literature.bounds import (
    bits_per_byte,
    importance_weighted,
    log_weights,
    mean_bound,
    single_sample,
)
from coder_model.training.literature.models import LiteratureModel
from coder_model.training.literature.samplers.canvas import CanvasSampler, Chance
from coder_model.training.literature.text import SEED, SLOTS, LabText, OpenHoles, held_out_rows

BOUND_ROWS, BOUND_DRAWS = 64, 4
WEIGHED_ROWS, WEIGHED_DRAWS, WEIGHED_STEPS = 8, 8, 8
"""Rows, noisings of each, and steps of a noising, for the bound of several noisings."""
ROUNDS = 2
LONG_CONTEXT, LONG_SLOTS = 384, 128
"""Tokens of what a cache is for."""
SHOWN_STEPS = 4
OTHER_STEPS = 4
"""Steps of samplers other than a model's own."""
SHOWN_MASK = "░"


@torch.no_grad()
def all_bounds(model: LiteratureModel, text: LabText) -> dict[str, float]:
    """Returns the paper's bound with its error, and those of one noising and of several, in bits per byte."""
    predict, generator = model.network, Generator().manual_seed(SEED)
    x0, n_bytes = held_out_rows(text, BOUND_ROWS)
    nats, error = mean_bound(model.objective, predict, x0, BOUND_DRAWS, generator)
    few, few_bytes = held_out_rows(text, WEIGHED_ROWS)
    weights = log_weights(model.objective, predict, few, WEIGHED_STEPS, WEIGHED_DRAWS, generator)
    paper, _ = mean_bound(model.objective, predict, few, BOUND_DRAWS, generator)
    return {
        "bound": bits_per_byte(nats * BOUND_ROWS, n_bytes),
        "error": bits_per_byte(error * BOUND_ROWS, n_bytes),
        "few_rows_bound": bits_per_byte(paper * WEIGHED_ROWS, few_bytes),
        "one_noising": bits_per_byte(float(single_sample(weights).sum()), few_bytes),
        "several_noisings": bits_per_byte(float(importance_weighted(weights).sum()), few_bytes),
    }


def curve(model: LiteratureModel, holes: OpenHoles, tokenizer: CodeTokenizer) -> list[dict[str, float]]:
    """Returns what the model's own sampler fills, for each number of steps."""
    return [fills(model, model.sampler, steps, holes, tokenizer) for steps in model.steps]


@torch.no_grad()
def fills(
    model: LiteratureModel, sampler: CanvasSampler, steps: int, holes: OpenHoles, tokenizer: CodeTokenizer
) -> dict[str, float]:
    """Returns how holes were filled.

    Exact match, the share of the reference's tokens that stand in their place, and the similarity of the texts are in
    percent.
    """
    predict = model.network
    filled = sampler(predict, holes.canvas, steps, Chance(Generator().manual_seed(SEED)))
    pairs = list(zip(holes.middles(filled.tokens), holes.references, strict=True))
    texts = [(tokenizer.decode(found), tokenizer.decode(wanted)) for found, wanted in pairs]
    ended = [found[-1] == holes.end for found, _ in pairs]
    return {
        "steps": steps,
        "passes_per_token": filled.passes / SLOTS,
        "exact": 100 * statistics.fmean(end and a == b for end, (a, b) in zip(ended, texts, strict=True)),
        "tokens_right": 100 * statistics.fmean(_share_right(*pair) for pair in pairs),
        "similarity": 100 * statistics.fmean(Indel.normalized_similarity(*pair) for pair in texts),
    }


def _share_right(found: list[int], wanted: list[int]) -> float:
    return sum(a == b for a, b in zip(found, wanted, strict=False)) / len(wanted)


@torch.no_grad()
def times(models: Sequence[LiteratureModel], holes: OpenHoles, text: LabText) -> dict[str, dict[str, Any]]:
    """Returns what fills take, by the name of the model: all in turn, so that what the machine does else is the same.

    Milliseconds of the processor for one hole, by steps and for the other samplers, and seconds for `LONG_SLOTS` behind
    `LONG_CONTEXT` tokens (None where not asked), each the least of `ROUNDS`.
    """
    mask = text.tokenizer.special_tokens.mask
    given = text.held_out.batch(0, range(1), LONG_CONTEXT).clean
    long_row = torch.cat([given, torch.full((1, LONG_SLOTS), mask)], dim=1)
    rounds = [{model.name: _times(model, holes.canvas[:1], long_row) for model in models} for _ in range(ROUNDS)]
    found = {name: [one[name] for one in rounds] for name in rounds[0]}
    return {
        name: {
            "steps_ms": [min(each) for each in zip(*(one["steps_ms"] for one in ones), strict=True)],
            "others_ms": {other: min(one["others_ms"][other] for one in ones) for other in ones[0]["others_ms"]},
            "long_s": min(one["long_s"] for one in ones) if ones[0]["long_s"] else None,
        }
        for name, ones in found.items()
    }


def _times(model: LiteratureModel, row: Tensor, long_row: Tensor) -> dict[str, Any]:
    """One round of one model, in float32, which is quicker than bfloat16 where there is little to multiply."""
    model.network.dtype = torch.float32

    def seconds(sampler: CanvasSampler, steps: int, canvas: Tensor) -> float:
        began = time.process_time()
        sampler(model.network, canvas, steps, Chance(Generator().manual_seed(SEED)))
        return time.process_time() - began

    return {
        "steps_ms": [1000 * seconds(model.sampler, steps, row) for steps in model.steps],
        "others_ms": {name: 1000 * seconds(other, OTHER_STEPS, row) for name, other in model.others.items()},
        "long_s": seconds(model.sampler, model.long_steps, long_row) if model.long_steps else None,
    }


@torch.no_grad()
def shown(model: LiteratureModel, rows: list[Tensor], tokenizer: CodeTokenizer) -> list[list[str]]:
    """Returns for each row [1, T] what its open slots held after each pass, masks drawn."""
    steps = min(model.steps, key=lambda steps: abs(steps - SHOWN_STEPS))
    pictures = []
    for row in rows:
        filled = model.sampler(model.network, row, steps, Chance(Generator().manual_seed(SEED)))
        pictures.append([_picture(past[0, -SLOTS:].tolist(), tokenizer) for past in filled.history])
    return pictures


def _picture(tokens: list[int], tokenizer: CodeTokenizer) -> str:
    special = tokenizer.special_tokens
    parts: list[str] = []
    for token in tokens:
        if token == special.eom:
            parts.append("■")
        else:
            parts.append(SHOWN_MASK if token == special.mask else tokenizer.decode([token]))
    return "".join(parts)


def summary(
    model: LiteratureModel, log: list[dict[str, Any]], text: LabText, holes: OpenHoles, rows: list[Tensor]
) -> dict[str, Any]:
    """Returns all that is recorded of a trained model."""
    last = log[-1]
    model.network.eval()
    return {
        "parameters": sum(parameter.numel() for parameter in model.network.parameters()),
        "tokens": last["tokens"],
        "seconds": last["seconds"],
        "cpu_seconds": last["cpu_seconds"],
        "keeps_keys": model.keeps_keys,
        "watched": [{k: row[k] for k in ("tokens", "bits_per_byte")} for row in log if "bits_per_byte" in row],
        **all_bounds(model, text),
        "curve": curve(model, holes, text.tokenizer),
        "others": {
            name: fills(model, sampler, OTHER_STEPS, holes, text.tokenizer) for name, sampler in model.others.items()
        },
        "shown": shown(model, rows, text.tokenizer),
    }

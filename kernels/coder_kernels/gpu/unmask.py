"""The unmask policies on the device: a program per block, no sorting, since a slot's rank is a count of surer slots."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from coder_kernels.configs import tile
from coder_kernels.gpu.launch import launch, power_of_two
from coder_kernels.policies import ROUNDING, Schedule
from coder_kernels.tensor_types import Blocks, Selection


@triton.jit
def _rank(value, slot):
    """How many slots stand before each one in falling order; ties go left."""
    before = (value[:, None] > value[None, :]) | ((value[:, None] == value[None, :]) & (slot[:, None] < slot[None, :]))
    return tl.sum(before.to(tl.int32), 0)


@triton.jit
def _cosine(x):
    """Cosine of [0, pi/2], by its series: the library's own keeps an array in memory for angles that are large."""
    square = x * x
    tail = 1 - square / 90 * (1 - square / 132)
    return 1 - square / 2 * (1 - square / 12 * (1 - square / 30 * (1 - square / 56 * tail)))


@triton.jit(do_not_specialize=["n_slots", "vocabulary", "total", "k"])
def unmask_kernel(
    tokens,  # [B, T] int64
    candidates,  # [B, T] int64
    masks,  # [B, T] bool
    confidences,  # [B, T] float32
    entropies,  # [B, T] float32
    steps,  # [B] int32
    actives,  # [B] bool
    kinds,  # [B] int32
    found_token,  # [B * T] int64
    found_confidence,  # [B * T] float32
    found_entropy,  # [B * T] float32
    ends,  # [E, V] bool
    n_slots,
    vocabulary,
    total,
    threshold,
    factor,
    entropy_bound,
    k,
    rounding,
    POLICY: tl.constexpr,
    SHIFT: tl.constexpr,
    SLOTS: tl.constexpr,
):
    block = tl.program_id(0)
    if tl.load(actives + block) != 0:
        slot = tl.arange(0, SLOTS)
        inside = slot < n_slots
        at = block * n_slots + slot
        masked = tl.load(masks + at, inside, 0) != 0
        # in the shifted form slot j's scores come from slot j - 1, and the first slot is given
        source = at - SHIFT
        news = masked & (slot >= SHIFT)
        candidate = tl.where(news, tl.load(found_token + source, news, 0), tl.load(candidates + at, inside, 0))
        old = tl.load(confidences + at, inside, 0.0)
        confidence = tl.where(news, tl.load(found_confidence + source, news, 0.0), old)
        entropy = tl.where(news, tl.load(found_entropy + source, news, 0.0), tl.load(entropies + at, inside, 0.0))
        step = tl.load(steps + block) + 1
        # a slot outside is never before a real one
        sureness = tl.where(inside, tl.where(masked, confidence, -1.0), -2.0)
        if POLICY == "by_entropy_bound":
            certainty = tl.where(masked, -entropy, float("-inf"))
            rank = _rank(certainty, slot)
            lower = (rank[:, None] < rank[None, :]) & masked[:, None]
            joint = tl.sum(tl.where(lower, entropy[:, None], 0.0), 0)
            n = tl.min(tl.where(joint <= entropy_bound, SLOTS, rank), 0)
            reveals = rank < tl.maximum(n, 1)
        elif POLICY == "by_threshold":
            rank = _rank(sureness, slot)
            sure = ((rank + 2) * (1.0 - sureness) < factor) & inside
            n = tl.min(tl.where(sure, SLOTS, rank), 0)
            reveals = (confidence > threshold) | (rank < tl.maximum(n, 1))
        elif POLICY == "top_k":
            reveals = _rank(sureness, slot) < k
        else:
            tl.static_assert(POLICY == "cosine")
            done = tl.minimum(step.to(tl.float32) / total, 1.0)
            left = tl.maximum(tl.ceil(_cosine(1.5707963267948966 * done) * n_slots - rounding), 0.0)
            wanted = tl.maximum(tl.sum(masked.to(tl.int32), 0) - left, 1.0)
            reveals = _rank(sureness, slot) < wanted
        revealed = masked & (reveals | (step >= total))
        token = tl.where(revealed, candidate, tl.load(tokens + at, inside, 0))
        left_masked = masked & (revealed == 0)
        tl.store(tokens + at, token, inside)
        tl.store(candidates + at, candidate, inside)
        tl.store(masks + at, left_masked, inside)
        tl.store(confidences + at, confidence, inside)
        tl.store(entropies + at, entropy, inside)
        tl.store(steps + block, step)
        # everything after the first mask may still change; an end before it settles the block
        first_mask = tl.min(tl.where(left_masked, slot, SLOTS), 0)
        is_end = (tl.load(ends + tl.load(kinds + block) * vocabulary + token, inside, 0) != 0) & inside
        settled = (first_mask == SLOTS) | (tl.min(tl.where(is_end, slot, SLOTS), 0) < first_mask)
        tl.store(actives + block, (settled == 0) & (step < total))


def unmask_(blocks: Blocks, found: Selection, shifted: bool, schedule: Schedule, ends: Tensor) -> None:
    """Launches the kernel of `score_ops.unmask_`: a program per block."""
    batch, n_slots = blocks.tokens.shape
    launch(
        unmask_kernel,
        (batch,),
        *blocks,
        found.token,
        found.confidence,
        found.entropy,
        ends,
        n_slots,
        len(ends[0]),
        schedule.total,
        schedule.options.threshold,
        schedule.options.factor,
        schedule.options.entropy_bound,
        schedule.options.k,
        ROUNDING,
        tile=tile("unmask"),
        POLICY=schedule.policy.__name__,
        SHIFT=int(shifted),
        SLOTS=power_of_two(n_slots, 16),
    )

"""The loop for models without an autoregressive opinion: slots are revealed until nothing is masked before the end.

What stands to the left of the first mask is decided, one token after the other, so that a deadline finds the leftmost
run and an end of the hole stops the work. No draft is verified: these models cannot.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from coder_kernels.policies import Step
from coder_model.bidirectional_decoder import BidirectionalDecoder
from coder_model.block_decoder import BlockDecoder
from coder_model.canvas import Canvas
from coder_model.decoder import Check
from coder_model.denoise import FillOptions, Progress
from coder_model.middle import Middle
from coder_model.opinion import Choice, Opinion
from coder_model.prompt import Prompt
from coder_model.types import HoleMode

LENGTHS: dict[HoleMode, tuple[int, ...]] = {"line": (4, 8, 16), "block": (8, 16, 32, 64)}
"""Canvases that are tried where the model cannot change their length."""
FIRST_LENGTH, MAX_LENGTH = 4, 64
"""Of a canvas that the model can make longer, as DreamOn's own generator begins and ends."""
MOST_EXPANDED = MAX_LENGTH - FIRST_LENGTH

Pass = Callable[[Canvas], Tensor]
"""Fills in what a pass says of the masked slots; returns [V] float32, the distribution of the leftmost one."""


def fill_blocks(
    decoder: BlockDecoder, prompt: Prompt, opinion: Opinion, options: FillOptions, middle: Middle, check: Check
) -> Iterator[Progress]:
    """Decodes a middle block by block; the first one begins with the context's last tokens."""
    given = decoder.read_blocks(prompt.context, check)
    while True:
        canvas = Canvas.opening(given, options.block_length, opinion.mask)
        yield from _reveal(decoder.probabilities_, canvas, opinion, options, middle, check)
        if middle.ended:
            return
        check()
        decoder.commit_block(canvas.tokens.tolist())
        given = []


def fill_between(
    decoder: BidirectionalDecoder,
    prompt: Prompt,
    opinion: Opinion,
    options: FillOptions,
    middle: Middle,
    check: Check,
) -> Iterator[Progress]:
    """Decodes a middle between prefix and suffix.

    A model that can expand and delete begins with a few slots. For any other one the length is guessed: the canvas
    of whose slots the model is surest at first sight (the first-step confidence of CAL, without its fitted bias; a fit
    needs the real weights).
    """
    decoder.place(prompt.context, prompt.behind)
    try:
        yield from _fill_placed(decoder, prompt.hole, opinion, options, middle, check)
    finally:
        # the next hole reads everything anew, and this is much memory
        decoder.place([], [])
    middle.ended = True


def _fill_placed(
    decoder: BidirectionalDecoder, hole: HoleMode, opinion: Opinion, options: FillOptions, middle: Middle, check: Check
) -> Iterator[Progress]:
    length = FIRST_LENGTH
    if not options.operations:
        length = _surest_length(decoder, LENGTHS[hole], opinion.mask, middle, check)
    canvas = Canvas.opening([], length, opinion.mask)
    yield from _reveal(decoder.probabilities_, canvas, opinion, options, middle, check)


def _surest_length(
    decoder: BidirectionalDecoder, lengths: tuple[int, ...], mask: int, middle: Middle, check: Check
) -> int:
    """The length whose slots have the highest mean log-probability in their first pass."""
    surest, best = lengths[0], -math.inf
    for length in lengths:
        check()
        canvas = Canvas.opening([], length, mask)
        decoder.probabilities_(canvas)
        middle.steps += 1
        sureness = float(canvas.confidence.log().mean())
        if sureness > best:
            surest, best = length, sureness
    return surest


def _reveal(
    look: Pass, canvas: Canvas, opinion: Opinion, options: FillOptions, middle: Middle, check: Check
) -> Iterator[Progress]:
    """Reveals slots, the sure ones first, until the middle has ended or no slot is masked."""
    total = options.max_steps or len(canvas.tokens)
    index = 0
    while not middle.ended and bool(canvas.masked.any()):
        check()
        p = look(canvas)
        middle.steps += 1
        if opinion.heal:
            # the text under the cursor comes first, and only the opinion knows what may go on with it
            choice = opinion.choose(p)
            canvas.candidates[canvas.given], canvas.confidence[canvas.given] = choice.token, choice.probability
            slots = torch.arange(len(canvas.tokens)) == canvas.given
        else:
            step = Step(canvas.confidence, canvas.entropy, canvas.masked, min(index, total - 1), total)
            assert options.policy is not None
            slots = options.policy(step, options.policy_options)
        canvas.reveal_(slots)
        if options.operations:
            expand, delete = options.operations
            canvas.operate_(expand, delete, opinion.mask, MOST_EXPANDED)
        index += 1
        for token in canvas.leftmost_run():
            if not middle.ended:
                middle.decide_(Choice(token, float(canvas.confidence[canvas.given])), opinion)
            canvas.given += 1
        yield Progress("denoise", canvas)

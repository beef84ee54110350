"""From prepared shards to training batches; batch number n is a function of the seed and n alone.

That makes resuming exact without saving any state of the data: the step says which batch comes next.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from coder_model.prompt.fim_prompt import PromptParts, layout
from coder_model.prompt.tokenizer import CodeTokenizer, SpecialTokens
from coder_model.text.normalize import file_name
from coder_model.text.syntax import language_of
from coder_model.training.hole_sampling import sample_hole
from coder_model.training.run_options import NoiseOptions
from coder_model.training.shards import Shard

IGNORE = -100
"""A target that carries no loss."""


SNIPPET_SHARE, SNIPPET_CHARS, NEIGHBOURS = 0.3, 600, 8
"""Share of the examples that show pieces of other files, characters of a piece, and how near those files lie."""
_WORD = re.compile(r"[A-Za-z_]\w{3,}")


@dataclass(frozen=True, slots=True)
class Example:
    """One document with a hole."""

    tokens: list[int]
    prefix_start: int
    """Index of the first token of the prefix."""
    hole_start: int
    """Index of the first token of the middle, the healed piece included; EOM is the last token."""


@dataclass(frozen=True, slots=True)
class Batch:
    """T clean tokens per row, and K noised blocks of L slots that may start anywhere in them."""

    clean: Tensor
    """[B, T] int64."""
    targets: Tensor
    """[B, T] int64, the token that follows each clean token, or IGNORE."""
    in_middle: Tensor
    """[B, T] bool, True where the target belongs to a middle."""
    starts: Tensor
    """[B, K] int64, index in `clean` of each block's slot 0."""
    noised: Tensor
    """[B, K * L] int64: slot 0 of each block is clean, the others are clean or MASK."""
    noised_targets: Tensor
    """[B, K * L] int64, the token of the *next* slot where that is masked (shifted form), or IGNORE."""
    full: Tensor
    """[B, K] bool, True for blocks masked whole."""

    @property
    def block_length(self) -> int:
        """Slots per block, L."""
        return self.noised.shape[1] // self.starts.shape[1]

    def to(self, device: torch.device) -> Batch:
        """Returns the batch on a device."""
        return Batch(*(tensor.to(device) for tensor in self._tensors()))

    def split(self, rows: int) -> list[Batch]:
        """Returns the batch in parts of at most `rows` rows."""
        return [Batch(*part) for part in zip(*(torch.split(t, rows) for t in self._tensors()), strict=True)]

    def _tensors(self) -> tuple[Tensor, ...]:
        return self.clean, self.targets, self.in_middle, self.starts, self.noised, self.noised_targets, self.full


class Sampler:
    """Draws batches from a shard."""

    def __init__(
        self,
        shard: Shard,
        tokenizer: CodeTokenizer,
        noise: NoiseOptions,
        seed: int,
        language_weights: Mapping[str, float] | None = None,
    ) -> None:
        """Draws from `shard`; a token of a language id in `language_weights` comes that many times as often."""
        self._shard, self._tokenizer, self._noise, self._seed = shard, tokenizer, noise, seed
        weight_of = language_weights or {}
        weights = [weight_of.get(language_of(name), 1.0) for name in shard.names]
        self._reach = np.cumsum(np.diff(shard.offsets) * weights)

    def batch(self, number: int, rows: range, length: int) -> Batch:
        """Returns rows of batch `number`, of `length` tokens each.

        A row is a function of the seed, the batch and its place in it: processes that share a batch see the rows that
        one process would see.
        """
        block_length = random.Random(f"{self._seed}/{number}").choice(self._noise.block_lengths)
        chances = [random.Random(f"{self._seed}/{number}/{row}") for row in rows]
        packed = [self._row(rng, length, block_length) for rng in chances]
        clean, in_middle, starts = (torch.tensor(part) for part in zip(*packed, strict=True))
        draws = [self._draw(np.random.default_rng(rng.getrandbits(64)), block_length) for rng in chances]
        full, rate, chance = (torch.from_numpy(np.stack(part)) for part in zip(*draws, strict=True))
        masked = chance < rate[:, :, None]
        return _noise_blocks(self._tokenizer.special_tokens, clean, in_middle, starts, block_length, full, masked)

    def example(self, rng: random.Random, length: int) -> Example:
        """Draws a file, weighted by its length, and cuts a hole into a window of it of at most `length` tokens."""
        index = int(np.searchsorted(self._reach, rng.random() * self._reach[-1], side="right"))
        ids = self._shard.file(index)
        at = rng.randrange(len(ids))
        size = min(len(ids), rng.randint(length // 2, length + length // 2))
        start = min(max(0, at - rng.randrange(size)), len(ids) - size)
        text = self._tokenizer.decode(ids[start : start + size].tolist())
        return self._cut(text or "\n", index, start + size == len(ids), rng, length)

    def _cut(self, text: str, index: int, ends: bool, rng: random.Random, length: int) -> Example:
        name = file_name(self._shard.names[index])
        hole = sample_hole(text, language_of(name), rng)
        piece = self._tokenizer.last_piece(text[: hole.start])
        before = self._tokenizer.encode(text[: hole.start - len(piece)])
        middle = self._tokenizer.encode(text[hole.start - len(piece) : hole.end])[: length // 2]
        suffix = [] if rng.random() < 0.1 else self._tokenizer.encode(text[hole.end :])
        shown = rng.randint(length // 16, length // 3)
        label = self._tokenizer.encode(name if rng.random() < 0.7 else "." + name.rsplit(".", 1)[-1])[:16]
        snippets = self._snippets(index, text[hole.start : hole.end], rng, length // 4)
        special_tokens = self._tokenizer.special_tokens
        parts = PromptParts(label, suffix[:shown], ends and 0 < len(suffix) <= shown, snippets, [])
        head = layout(special_tokens, parts)
        prefix = before[-max(1, length - len(head) - len(middle) - 1) :]
        return Example([*head, *prefix, *middle, special_tokens.eom], len(head), len(head) + len(prefix))

    def _snippets(self, index: int, middle: str, rng: random.Random, room: int) -> list[list[int]]:
        """Tokens of pieces of neighbouring files of the same project, half of them around a word of the middle."""
        if rng.random() >= SNIPPET_SHARE:
            return []
        names = self._shard.names
        project = names[index].partition("/")[0]
        around = range(max(0, index - NEIGHBOURS), min(len(names), index + NEIGHBOURS + 1))
        neighbours = [i for i in around if i != index and names[i].partition("/")[0] == project]
        chosen = rng.sample(neighbours, min(len(neighbours), rng.randint(1, 3)))
        words = [word for word in _WORD.findall(middle) if rng.random() < 0.5]
        snippets = []
        for neighbour in chosen:
            text = self._tokenizer.decode(self._shard.file(neighbour).tolist())
            at = next((found for word in words if (found := text.find(word)) >= 0), rng.randrange(len(text) + 1))
            start = text.rfind("\n", 0, max(0, at - rng.randrange(SNIPPET_CHARS))) + 1
            piece = text[start : start + SNIPPET_CHARS].rpartition("\n")[0]
            if piece:
                ids = self._tokenizer.encode(f"{file_name(names[neighbour])}\n{piece}")
                snippets.append(ids[: room // len(chosen) - 1])
        return snippets

    def _row(self, rng: random.Random, length: int, block_length: int) -> tuple[list[int], list[bool], list[int]]:
        """Packs examples into one row and chooses where its blocks start: at the holes first, then anywhere.

        Returns:
            The tokens, whether the target of each belongs to a middle, and the starts.
        """
        tokens: list[int] = []
        in_middle: list[bool] = []
        holes: list[int] = []
        anywhere: list[int] = []
        while len(tokens) < length:
            example = self.example(rng, length)
            base = len(tokens)
            tokens += example.tokens
            n_middle = len(example.tokens) - example.hole_start
            in_middle += [False] * (example.hole_start - 1) + [True] * n_middle + [False]
            holes += range(base + example.hole_start, len(tokens) - 1, block_length)
            anywhere += range(base + example.prefix_start, len(tokens) - 1)
        last = length - block_length
        n_blocks = self._noise.slots // block_length
        starts = [start for start in holes if start <= last][:n_blocks]
        starts += [min(start, last) for start in rng.choices(anywhere, k=n_blocks - len(starts))]
        return tokens[:length], in_middle[:length], starts

    def _draw(self, rng: np.random.Generator, block_length: int) -> tuple[npt.NDArray[Any], ...]:
        """Which blocks of a row are masked whole [K], the mask rate of each [K], and each slot's chance [K, L]."""
        n_blocks = self._noise.slots // block_length
        full = rng.random(n_blocks) < self._noise.full_share
        rate = np.where(full, 1.0, rng.uniform(self._noise.min_rate, 1.0, n_blocks))
        return full, rate, rng.random((n_blocks, block_length))


def _noise_blocks(
    special_tokens: SpecialTokens,
    clean: Tensor,
    in_middle: Tensor,
    starts: Tensor,
    block_length: int,
    full: Tensor,
    masked: Tensor,
) -> Batch:
    rows, n_blocks = starts.shape
    slot = torch.arange(block_length)
    index = (starts[:, :, None] + slot).view(rows, -1)
    x0 = clean.gather(1, index).view(rows, n_blocks, block_length)
    # slots after the end of the middle belong to the next document: always masked, never a target
    outside = ((x0 == special_tokens.eom).cumsum(2) - (x0 == special_tokens.eom).int()) > 0
    masked[:, :, 1] |= ~masked[:, :, 1:].any(2)
    masked = (masked | outside) & (slot > 0)
    noised = x0.masked_fill(masked, special_tokens.mask)
    wanted = x0.masked_fill(~masked | outside, IGNORE)
    shifted = torch.cat([wanted[:, :, 1:], torch.full_like(wanted[:, :, :1], IGNORE)], dim=2)
    following = torch.cat([clean[:, 1:], torch.full_like(clean[:, :1], special_tokens.pad)], dim=1)
    # what follows EOM is another document
    targets = following.masked_fill((clean == special_tokens.eom) | (following == special_tokens.pad), IGNORE)
    return Batch(clean, targets, in_middle, starts, noised.view(rows, -1), shifted.view(rows, -1), full)

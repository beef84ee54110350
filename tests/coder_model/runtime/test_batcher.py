"""Passes that documents share: what waits becomes one batch, and no row changes another."""

import threading

import pytest
import torch
from batches import assert_near, note_batches, passes_of, tokens_of

from coder_kernels.policies import POLICIES, PolicyOptions, Schedule
from coder_kernels.tensor_types import AttentionMetadata
from coder_model.errors import BrokenScores
from coder_model.runtime.batcher import Batcher
from coder_model.runtime.canvas import Canvas
from coder_model.runtime.passes import CacheRow, Commit, Denoise
from coder_model.runtime.sequence import Sequence

# both sides of a `where` are computed; numpy speaks of the side that is not taken
pytestmark = pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")


def test_what_waits_for_the_device_becomes_one_batch(own, tokenizer):
    batcher = passes_of(own, tokenizer)
    sizes = note_batches(batcher)
    tokens = [tokens_of(tokenizer, 5, seed) for seed in range(4)]
    alone = [CacheRow(batcher.cache) for _ in tokens]
    works = [Commit(row, 0, text, 1) for row, text in zip(alone, tokens, strict=True)]
    batcher._scheduler.device.acquire()
    threads = [threading.Thread(target=batcher.run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    while len(batcher._scheduler._waiting) < 4:
        pass
    batcher._scheduler.device.release()
    for thread in threads:
        thread.join()
    assert sizes == [4]
    for work in works:
        again = Commit(work.row, 0, work.tokens, 1)
        batcher.run(again)
        assert_near(work.probabilities, again.probabilities)


def test_scores_that_are_no_numbers_end_one_request_and_not_the_others(own, tokenizer):
    batcher = passes_of(own, tokenizer)
    good, bad = Sequence(batcher), Sequence(batcher)
    for sequence in (good, bad):
        sequence.read(tokens_of(tokenizer, 20), lambda: None)
    batcher.cache.values[0, bad._row.index, :, 3] = float("nan")
    schedule = Schedule(POLICIES["threshold"], PolicyOptions(), 2)
    works = [Denoise(sequence._row, 20, Canvas.opening([7], 8, 1), 0, schedule, 0, 1) for sequence in (good, bad)]
    batcher._do(works)
    works[0].canvas.check()
    with pytest.raises(BrokenScores):
        works[1].canvas.check()
    with pytest.raises(BrokenScores):
        bad.denoise_(Canvas.opening([7], 8, 1), schedule, 0, 0)
    assert not good.commit([9]).isnan().any()


def test_an_error_of_the_device_reaches_whoever_asked(own, tokenizer, monkeypatch):
    batcher = passes_of(own, tokenizer)
    sequence = Sequence(batcher)
    raises = lambda works: (_ for _ in ()).throw(torch.OutOfMemoryError("no memory"))  # noqa: E731
    monkeypatch.setattr(batcher._scheduler, "_execute", raises)
    with pytest.raises(torch.OutOfMemoryError):
        sequence.commit([5])
    monkeypatch.undo()
    assert sequence.commit([5]).shape == (1, tokenizer.vocab_size)


@pytest.mark.parametrize("most", [0, 1, 2, 4])
def test_batches_stay_as_small_as_the_memory_wants(own, tokenizer, monkeypatch, most):
    batcher = passes_of(own, tokenizer, widest=4)
    make = Batcher._step

    def with_little_memory(self, size, shape):
        if size > most:
            raise torch.OutOfMemoryError("no memory")
        return make(self, size, shape)

    monkeypatch.setattr(Batcher, "_step", with_little_memory)
    if not most:
        with pytest.raises(MemoryError, match="the device must have room for the steps of one fill"):
            batcher.warm_up(8, [], [])
        return
    batcher.warm_up(8, [], [])
    assert batcher.most == most


def test_padding_changes_no_row_but_its_own(own, tokenizer):
    batcher = passes_of(own, tokenizer, rows=2)
    cache = batcher.cache
    cache.keys.fill_(7.0)
    tokens = torch.tensor([[5, 6, 0, 0], [0, 0, 0, 0]])
    spans = AttentionMetadata(
        *torch.tensor([[1, 3, 2], [batcher._context.padding.index, 0, 0]], dtype=torch.int32).T.contiguous()
    )
    batcher._context.network.hidden(tokens, cache, spans, 1)
    changed = (cache.keys != 7.0).any(dim=-1).any(dim=0).any(dim=1)
    assert changed.nonzero().tolist() == [
        [1, 3],
        [1, 4],
        [1, 5],
        [1, 6],
        *([batcher._context.padding.index, t] for t in range(4)),
    ]

"""A document on rows of the shared cache: portions, intervals, and rows given back."""

import copy
from dataclasses import replace

import pytest
import torch
from batches import CAPACITY, assert_near, note_batches_by, passes_of, tokens_of

from coder_kernels.policies import POLICIES, PolicyOptions, Schedule
from coder_model.model.fused_transformer import FusedTransformer
from coder_model.prompt.vocabulary import Vocabulary
from coder_model.runtime.canvas import Canvas
from coder_model.runtime.eager_runner import EagerRunner
from coder_model.runtime.sequence import COMMIT_TOKENS, READ_WITH_DRAFT, Sequence

# both sides of a `where` are computed; numpy speaks of the side that is not taken
pytestmark = pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")


def test_a_long_context_is_read_in_portions_and_others_go_between(own, tokenizer):
    batcher = passes_of(own, tokenizer)
    order = []
    note_batches_by(batcher, lambda works: order.append(len(works[0].tokens)))
    sequence, other = Sequence(batcher), Sequence(batcher)
    portions = iter(range(99))

    def check():
        # at the second portion somebody else asks
        if next(portions) == 1:
            other.commit([5, 6])

    sequence.read(tokens_of(tokenizer, COMMIT_TOKENS + 40), check)
    assert order == [COMMIT_TOKENS, 2, 40]


@pytest.mark.parametrize("count", [40, 64, 100, 256, 300, 390])
def test_portions_of_a_fixed_length_read_what_portions_of_any_length_read(own, model, tokenizer, count):
    """As on a GPU, where a portion is captured: what is missing to its length is padding."""
    batcher = passes_of(own, tokenizer)
    batcher._captures = True
    network = FusedTransformer(copy.deepcopy(model), torch.float32, CAPACITY)
    plain, shared = Sequence(EagerRunner(network, Vocabulary(tokenizer).forbidden)), Sequence(batcher)
    tokens = tokens_of(tokenizer, count)
    for context in (tokens, tokens[:35], tokens[:30] + tokens[: count - 30]):
        assert_near(shared.read(context, lambda: None), plain.read(context, lambda: None))


@pytest.mark.parametrize("shift", [True, False])
def test_how_often_the_host_looks_changes_neither_tokens_nor_cache(own, tokenizer, shift):
    """After the last step one commit pass writes the block anew, whatever the denoise passes have left there."""
    own.config = replace(own.config, shifted=shift)
    schedule = Schedule(POLICIES["top_k"], PolicyOptions(k=1), 8)
    found = []
    for sync_interval in (1, 2, 4, 8):
        batcher = passes_of(copy.deepcopy(own), tokenizer, sync_interval=sync_interval)
        sequence = Sequence(batcher)
        sequence.read(tokens_of(tokenizer, 30), lambda: None)
        canvas = Canvas.opening([7], 8, 1)
        index = 0
        while index < schedule.total and bool(canvas.masked.any()):
            index = sequence.denoise_(canvas, schedule, index, 0)
        sequence.commit(canvas.tokens.tolist())
        row, end = sequence._row.index, len(sequence.tokens)
        found.append(
            (
                canvas.tokens,
                index,
                *(part[:, row, :, :end].clone() for part in (batcher.cache.keys, batcher.cache.values)),
            )
        )
    for tokens, index, keys, values in found[1:]:
        assert torch.equal(tokens, found[0][0])
        assert index == found[0][1]
        assert torch.equal(keys, found[0][2])
        assert torch.equal(values, found[0][3])


def test_a_row_is_given_back_with_its_document(own, tokenizer):
    batcher = passes_of(own, tokenizer, rows=2)
    decoders = [Sequence(batcher), Sequence(batcher)]
    with pytest.raises(MemoryError, match="the cache has 3 rows, and all are lent"):
        Sequence(batcher)
    del decoders[0]
    Sequence(batcher)


def test_a_context_that_does_not_fit_is_an_error_of_its_request_alone(own, tokenizer):
    batcher = passes_of(own, tokenizer)
    sequence = Sequence(batcher)
    with pytest.raises(MemoryError, match=f"the cache holds {CAPACITY} tokens of a document"):
        sequence.read([5] * (CAPACITY + 1), lambda: None)
    assert sequence.read([5] * 20, lambda: None).shape == (tokenizer.vocab_size,)
    schedule = Schedule(POLICIES["threshold"], PolicyOptions(), 2)
    with pytest.raises(MemoryError, match=f"the cache holds {CAPACITY} tokens of a document"):
        sequence.denoise_(Canvas.opening([7], CAPACITY, 1), schedule, 0, 0)


def test_a_draft_is_read_in_the_pass_that_reads_what_is_new_and_says_what_two_passes_say(own, tokenizer):
    context, draft = tokens_of(tokenizer, 40), [9, 10, 11]
    plain, quick = Sequence(passes_of(own, tokenizer)), Sequence(passes_of(copy.deepcopy(own), tokenizer))
    plain.read(context[:20], lambda: None)
    quick.read(context[:20], lambda: None)
    passes = []
    expected = torch.cat([plain.read(context, lambda: None)[None], plain.commit(draft)])
    assert_near(quick.read_with(context, draft, lambda: passes.append(1)), expected)
    assert len(passes) == 1
    assert quick.tokens == plain.tokens
    # what follows the context is known now, so that no pass is needed, and what follows the draft is not asked again
    assert_near(quick.read_with(context, draft, lambda: passes.append(1)), expected[:1])
    assert len(passes) == 1


def test_a_long_read_has_no_draft_in_it(own, tokenizer):
    context = tokens_of(tokenizer, READ_WITH_DRAFT + 1)
    assert len(Sequence(passes_of(own, tokenizer)).read_with(context, [9], lambda: None)) == 1


def test_branches_read_together_what_each_reads_alone(own, model, tokenizer):
    network = FusedTransformer(copy.deepcopy(model), torch.float32, CAPACITY)
    runner = EagerRunner(network, Vocabulary(tokenizer).forbidden)
    sequence, tokens = Sequence(runner), tokens_of(tokenizer, 60)
    sequence.read(tokens[:40], lambda: None)
    lengths, behind = [40, 31, 36], [tokens[40:41], tokens[2:9], tokens[5:8]]
    for portion in (behind, [each[::-1] for each in behind]):
        branches = sequence.branched(lengths)
        works = [branch.committing(new) for branch, new in zip(branches, portion, strict=True)]
        runner.run_together(works)
        for branch, work, length, new in zip(branches, works, lengths, portion, strict=True):
            alone = Sequence(runner)
            alone.read(tokens[:length], lambda: None)
            assert_near(branch.committed(work), alone.commit(new))
            assert branch.tokens == tokens[:length] + new
    assert sequence.tokens == tokens[:40]


def test_where_rows_are_documents_there_are_no_branches(own, tokenizer):
    sequence = Sequence(passes_of(own, tokenizer))
    sequence.read(tokens_of(tokenizer, 20), lambda: None)
    assert sequence.branched([20, 15]) == []

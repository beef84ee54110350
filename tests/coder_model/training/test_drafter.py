"""The drafter's plain twin, its batches, and what it learns."""

import json
from pathlib import Path

import checkpoints
import gguf_files
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coder_model.checkpoints.hf_config import read_published
from coder_model.checkpoints.loading import load_weights
from coder_model.model.config import ModelConfig
from coder_model.model.drafter import Drafter, DrafterConfig, seeing
from coder_model.model.transformer import Transformer, causally
from coder_model.training.drafter.loop import DrafterOptions, DrafterRun, load_drafter
from coder_model.training.drafter.objective import accepted_tokens, allowed, distillation, outcome, target_states
from coder_model.training.drafter.sampler import DrafterSampler, DrafterTokens, HoleOptions
from coder_model.training.drafter.target import cut_of, load_cut, read_tokens, write_cut
from coder_model.training.shards import Shard, write_split

VOCABULARY = 64
LINE_END = 9
OPTIONS = HoleOptions(length=96, longest_middle=24, longest_suffix=32, anchors=8, block_length=5)
TARGET = ModelConfig(
    vocab_size=VOCABULARY, d_model=32, n_layers=4, n_heads=2, n_kv_heads=1, head_dim=16, d_ff=64, context_tokens=128,
    attention="causal", qk_norm=False, tied_head=False,
)  # fmt: skip


def marks() -> DrafterTokens:
    breaks = np.full((VOCABULARY, 2), -1)
    breaks[LINE_END] = -1, LINE_END
    # token 10 is what token 11 and a line end make together
    breaks[10] = 11, LINE_END
    return DrafterTokens(1, 2, 3, 4, VOCABULARY - 1, breaks)


def corpus(folder: Path, texts: list[list[int]]) -> Path:
    for split in ("train", "valid"):
        names = [str(index) for index in range(len(texts))]
        write_split(folder, split, names, (np.array(text, np.uint16).tobytes() for text in texts))
    return folder


def random_texts(seed: int, lengths: list[int]) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(5, VOCABULARY - 1, length).tolist() for length in lengths]


def target(seed: int = 0) -> Transformer:
    model = Transformer(TARGET)
    model.initialise_(seed)
    for parameter in model.parameters():
        if parameter.dim() == 2 and not parameter.any():
            torch.nn.init.normal_(parameter, 0.0, 0.3)
    return model.requires_grad_(False)


def drafter(seed: int = 0) -> Drafter:
    model = Drafter(DrafterConfig(32, 2, 1, 16, 10_000.0, 1e-6, (1, 3), 2, 48, OPTIONS.block_length))
    model.initialise_(seed)
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, 0.0, 0.3)
    return model


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.lists(st.integers(2, 150), min_size=1, max_size=4))
def test_a_sequence_is_a_file_cut_at_a_hole(tmp_path_factory: pytest.TempPathFactory, seed: int, lengths: list[int]):
    texts = random_texts(seed, lengths)
    shard = Shard.open(corpus(tmp_path_factory.mktemp("corpus"), texts), "train")
    batch = DrafterSampler(shard, marks(), OPTIONS, seed).batch(0, 4)
    for row, anchors, in_middle in zip(batch.tokens.tolist(), batch.anchors.tolist(), batch.in_middle, strict=True):
        assert row[:2] == [1, 2]
        at, end = row.index(3), max(i for i, token in enumerate(row) if token == 4)
        assert set(row[end + 1 :]) <= {VOCABULARY - 1}
        suffix, rest = row[2:at], row[at + 1 : end]
        # token 10 may have been cut in two
        written = [a for token in [*rest, *suffix] for a in ([11, LINE_END] if token == 10 else [token])]
        whole = [[a for token in text for a in ([11, LINE_END] if token == 10 else [token])] for text in texts]
        assert any(str(written)[1:-1] in str(text) for text in whole)
        assert all(at < anchor < end for anchor in anchors)
        assert bool(in_middle.any())


def test_batches_are_a_function_of_their_number(tmp_path: Path):
    shard = Shard.open(corpus(tmp_path, random_texts(0, [100, 80])), "train")
    one, two = (DrafterSampler(shard, marks(), OPTIONS, 5).batch(3, 2) for _ in range(2))
    assert torch.equal(one.tokens, two.tokens)
    assert torch.equal(one.weights, two.weights)


def test_nothing_counts_behind_the_end_behind_an_unknown_token_or_where_the_answer_is_shown(tmp_path: Path):
    texts = random_texts(1, [90, 70])
    for text in texts:
        text[::7] = [VOCABULARY - 1] * len(text[::7])
    shard = Shard.open(corpus(tmp_path, texts), "train")
    batch = DrafterSampler(shard, marks(), OPTIONS, 0).batch(0, 8)
    for row, block in np.ndindex(8, OPTIONS.anchors):
        tokens, anchor = batch.tokens[row], int(batch.anchors[row, block])
        end = max(i for i, token in enumerate(tokens.tolist()) if token == 4)
        for slot in range(OPTIONS.block_length):
            if batch.weights[row, block, slot] > 0:
                assert anchor + slot + 1 <= end
                assert VOCABULARY - 1 not in tokens[anchor : anchor + slot + 2]
                assert slot + 1 == OPTIONS.block_length or not batch.known[row, block, slot + 1]


def test_a_slot_sees_what_stands_before_its_anchor_and_its_own_block_alone(tmp_path: Path):
    shard = Shard.open(corpus(tmp_path, random_texts(2, [95])), "train")
    batch = DrafterSampler(shard, marks(), OPTIONS, 0).batch(0, 1)
    model, length, (blocks, width) = drafter(), OPTIONS.length, batch.known.shape[1:]
    states = torch.randn(1, length, 2, 32, requires_grad=True)
    slots = torch.randn(1, blocks * width, 32, requires_grad=True)
    context = model.context(model.joined(states), torch.arange(length)[None])
    places = (batch.anchors[..., None] + torch.arange(width)).flatten(1)
    hidden = model(slots, places, seeing(context, allowed(batch, length)))
    block = blocks // 2
    hidden[0, block * width].sum().backward()
    assert states.grad is not None
    assert slots.grad is not None
    seen = states.grad[0].abs().sum((1, 2)) > 0
    assert seen.nonzero().max() == batch.anchors[0, block] - 1
    assert (slots.grad[0].abs().sum(1) > 0).nonzero().flatten().tolist() == list(
        range(block * width, block * width + width)
    )


def test_the_states_of_the_larger_model_are_those_of_its_own_pass():
    model, tokens = target(), torch.randint(0, VOCABULARY, (2, 30))
    states, final = target_states(model, tokens, (1, 3))
    positions = torch.arange(30).expand(2, 30)
    torch.testing.assert_close(final, model(tokens, positions, causally))
    assert states.shape == (2, 30, 2, 32)


def test_distillation_is_cross_entropy_against_the_larger_model_and_so_are_its_gradients():
    torch.manual_seed(0)
    head, teacher, weights = torch.randn(VOCABULARY, 8), torch.randn(300, 8), torch.rand(300)
    student, plain = (
        torch.randn(300, 8, generator=torch.Generator().manual_seed(1)).requires_grad_() for _ in range(2)
    )
    loss, losses, chosen = distillation(student, teacher, head, weights, 0.25)
    scores = teacher @ head.T
    wanted = 0.75 * scores.softmax(1) + 0.25 * torch.nn.functional.one_hot(scores.argmax(1), VOCABULARY)
    expected = torch.nn.functional.cross_entropy(plain @ head.T, wanted, reduction="none")
    (expected * weights).sum().backward()
    loss.backward()
    torch.testing.assert_close(losses, expected.detach())
    torch.testing.assert_close(student.grad, plain.grad)
    assert torch.equal(chosen, torch.stack([(plain @ head.T).argmax(1), scores.argmax(1)]))


def test_the_expected_number_of_accepted_tokens_leaves_out_what_a_fill_would_not_have_asked():
    yes, no = True, False
    agrees = torch.tensor([[yes, yes, no], [yes, no, yes], [yes, yes, yes], [no, yes, yes]])
    everywhere = torch.ones(4, 3, dtype=torch.bool)
    # 3 of 4, then 2 of 3, then 1 of 2
    assert accepted_tokens(agrees, everywhere, everywhere)[0] == pytest.approx(
        3 / 4 + 3 / 4 * 2 / 3 + 3 / 4 * 2 / 3 / 2
    )
    off_at_once = everywhere.clone()
    off_at_once[2, 0] = no
    assert accepted_tokens(agrees, off_at_once, everywhere)[1].tolist() == pytest.approx([3 / 4, 1 / 2, 0])


@pytest.mark.slow
def test_a_drafter_learns_what_a_small_model_says(tmp_path: Path):
    run = small_run(tmp_path, steps=60)
    before = run.validate()
    after = run.train()
    assert after["loss"] < 0.9 * before["loss"]
    assert after["middle"]["accepted"] > before["middle"]["accepted"]
    written = load_drafter(tmp_path / "out")
    for name, parameter in run.drafter.state_dict().items():
        torch.testing.assert_close(written.state_dict()[name], parameter, rtol=1e-3, atol=1e-3)
    lines = [json.loads(line) for line in (tmp_path / "out/log.jsonl").read_text().splitlines()]
    assert lines[-1]["valid"] == after


def test_a_run_goes_on_from_a_drafter(tmp_path: Path):
    small_run(tmp_path, steps=3).train()
    again = small_run(tmp_path, steps=1, init=str(tmp_path / "out"))
    kept = load_drafter(tmp_path / "out")
    assert torch.equal(again.drafter.masks, kept.masks)


def small_run(folder: Path, steps: int, init: str = "") -> DrafterRun:
    """On a tiny model in a GGUF file, cut to the few tokens of a text that comes over and over."""
    work = folder / "work"
    if not work.exists():
        work.mkdir()
        gguf_files.build("qwen2", folder / "tiny.gguf", "Q8_0")
        text = np.array([5, 6, 7, 8, LINE_END, 20, 21, 22, 23, 24, LINE_END] * 40)
        cut = cut_of(np.bincount(text, minlength=checkpoints.VOCAB), [1, 2, 3, 4], 63, 24, 20)
        new = {int(old): index for index, old in enumerate(cut.ids)}
        breaks = np.full((len(cut.ids), 2), -1)
        breaks[new[LINE_END]] = -1, new[LINE_END]
        write_cut(folder / "tiny.gguf", cut, DrafterTokens(new[1], new[2], new[3], new[4], new[63], breaks), work)
        texts = [cut.renumbered(part, checkpoints.VOCAB).tolist() for part in (text, text[3:])]
        corpus(work, texts)
    options = DrafterOptions(
        str(work), str(folder / "out"), 5.0, OPTIONS, n_layers=1, d_ff=32, taps=1, rows=2, micro_rows=1, steps=steps,
        warm_up=5, validation_rows=4, init=init,
    )  # fmt: skip
    return DrafterRun(options)


def test_a_cut_model_says_of_the_kept_tokens_what_the_whole_one_says(tmp_path: Path):
    small_run(tmp_path, steps=1)
    model = load_cut(tmp_path / "work", torch.device("cpu"), torch.float32)
    whole = load_weights(read_published(tmp_path / "tiny.gguf"), "float32").model
    ids = torch.from_numpy(np.load(tmp_path / "work/vocabulary.npy").astype(np.int64))
    tokens = torch.randint(0, len(ids), (1, 20))
    _, hidden = target_states(model, tokens, (1,))
    _, expected = target_states(whole, ids[tokens], (1,))
    torch.testing.assert_close(hidden, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(model.lm_head.weight, whole.head[ids[:20]], rtol=1e-4, atol=1e-4)
    assert len(read_tokens(tmp_path / "work").breaks) == len(ids) == 24


def test_blocks_are_judged_by_what_the_larger_model_says(tmp_path: Path):
    shard = Shard.open(corpus(tmp_path, random_texts(3, [95, 60])), "train")
    batch = DrafterSampler(shard, marks(), OPTIONS, 0).batch(0, 2)
    model, larger = drafter(), target()
    result = outcome(model, larger, larger.lm_head.weight, batch, 0.0)
    _, final = target_states(larger, batch.tokens, model.config.taps)
    first = (final @ larger.lm_head.weight.T).argmax(-1)
    for row, block, slot in (batch.weights > 0).nonzero().tolist():
        place = int(batch.anchors[row, block]) + slot
        assert bool(result.on_path[row, block, slot]) == bool(first[row, place] == batch.tokens[row, place + 1])
    result.loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())

"""Drafts that are verified say what greedy decoding says, in fewer steps."""

import itertools

import pytest
import torch
from tiny_engine import DOCUMENT, PREFIXES, engine, last

from coder_kernels.policies import POLICIES
from coder_model.decoding.token_selector import TokenSelector
from coder_model.model import weights
from coder_model.model.embedded import DEFAULT_MODEL
from coder_model.prompt.vocabulary import Vocabulary
from coder_model.text.filters import FILTERS
from coder_model.text.stop_rules import StopRules
from coder_model.types import FillRequest, Snippet


@pytest.mark.parametrize("hole", ["line", "block"])
@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("policy", POLICIES)
def test_verify_equals_greedy_autoregressive_decoding(model, tokenizer, policy, prefix, hole):
    greedy = last(engine(model, tokenizer, policy="one_token"), prefix, hole=hole)
    drafted = last(engine(model, tokenizer, policy=policy), prefix, hole=hole)
    assert drafted.text == greedy.text
    assert drafted.tokens == greedy.tokens
    assert drafted.confidence == pytest.approx(greedy.confidence, abs=1e-3)


def test_greedy_decoding_equals_a_loop_without_cache_or_engine(model, tokenizer):
    """The reference: run the whole sequence again for every token, take the likeliest one."""
    from coder_model.model.transformer import causally
    from coder_model.prompt import fim_prompt

    request = FillRequest("s", DOCUMENT + "x = total(", "\n", path="a.py", hole="block")
    form = fim_prompt.suffix_first(tokenizer.special_tokens)
    built = fim_prompt.build(request, tokenizer, fim_prompt.Budget.of(model.config.context_tokens), form)
    vocabulary = Vocabulary(tokenizer)
    selector = TokenSelector(vocabulary, built.heal, StopRules.of("", "", "block"), copies=None)
    ids, middle = list(built.context), []
    for _ in range(12):
        tokens = torch.tensor([ids])
        hidden = model(tokens, torch.arange(len(ids))[None], causally)
        scores = model.logits(hidden[0, -1]).masked_fill(vocabulary.forbidden, float("-inf"))
        token = selector.choose(scores.softmax(0)).token
        selector.advance(token)
        ids.append(token)
        middle.append(token)
        if selector.finished:
            break
    expected = b"".join(tokenizer.token_bytes[i] for i in middle)[len(built.heal) :].decode("utf-8", "ignore")
    *_, draft = engine(
        model, tokenizer, policy="one_token", copy=False, alternatives=0, filters_off=tuple(FILTERS)
    ).fill(request)
    shorter = min(len(draft.text), len(expected))
    assert shorter > 0
    assert draft.text[:shorter] == expected[:shorter]


@pytest.mark.parametrize("typed", ["", "="])
def test_a_previous_suggestion_changes_nothing(model, tokenizer, typed):
    made = engine(model, tokenizer, copy=False, min_accepted=99.0, alternatives=0)
    last(made, DOCUMENT, hole="block")
    alone = last(
        engine(model, tokenizer, copy=False, policy="one_token", alternatives=0), DOCUMENT + typed, hole="block"
    )
    assert last(made, DOCUMENT + typed, hole="block").text == alone.text


def test_the_previous_suggestion_is_a_draft():
    """On the embedded model: the tokens of a random one are not those of its text, so that they can all be refused."""
    embedded = weights.load(DEFAULT_MODEL)
    alone = last(engine(*embedded, copy=False, policy="one_token", alternatives=0), DOCUMENT, hole="block")
    made = engine(*embedded, copy=False, min_accepted=99.0, alternatives=0)
    last(made, DOCUMENT, hole="block")
    again = last(made, DOCUMENT, hole="block")
    assert again.text == alone.text
    assert again.steps < alone.steps


def test_snippets_are_copied_from(model, tokenizer, monkeypatch):
    from coder_model.decoding import prompt_lookup

    monkeypatch.setattr(prompt_lookup, "WEIGHTS", tuple(0.999 for _ in prompt_lookup.WEIGHTS))
    draft = last(engine(model, tokenizer), "\n\ndef total(it", snippets=(Snippet("b.py", DOCUMENT),))
    assert draft.text == "ems):"
    assert draft.steps <= 3


def test_drafts_grow_from_the_left_and_the_last_is_final(model, tokenizer):
    drafts = list(engine(model, tokenizer, copy=False).fill(FillRequest("s", "a = ", "\n", hole="block"), watch=True))
    assert [d.final for d in drafts] == [False] * (len(drafts) - 1) + [True]
    assert [d.steps for d in drafts] == sorted(d.steps for d in drafts)
    assert any(slot.masked for draft in drafts for slot in draft.slots)
    verified = [d for d in drafts if d.kind == "verify"]
    # the last one may be cut: this random model ends in a loop
    for earlier, later in itertools.pairwise(verified[:-1]):
        assert later.text.startswith(earlier.text)


def test_who_watches_sees_what_is_kept_of_each_draft(model, tokenizer):
    drafts = list(engine(model, tokenizer).fill(FillRequest("s", DOCUMENT, "\n", hole="block"), watch=True))
    read = [draft for draft in drafts if draft.kind == "verify" and draft.slots]
    assert read
    for draft in read:
        kept = [slot.confidence for slot in draft.slots]
        assert set(kept) <= {0.0, 1.0}
        assert kept == sorted(kept, reverse=True)
        assert kept[0] == 1.0
        said = "".join(slot.text for slot, is_kept in zip(draft.slots, kept, strict=True) if is_kept)
        assert said.strip() in draft.text
    assert any(slot.confidence == 0 for draft in read for slot in draft.slots)


@pytest.mark.parametrize("policy", POLICIES)
def test_without_verify_the_denoised_block_is_taken(model, tokenizer, policy):
    made = engine(model, tokenizer, policy=policy, verify=False, max_steps=3)
    drafts = list(made.fill(FillRequest("s", DOCUMENT, "\n", hole="block"), watch=True))
    assert drafts[-1].final
    assert {d.kind for d in drafts} >= {"denoise", "remask"}


def test_a_copied_run_takes_one_step(tokenizer, model):
    """With full trust in copies the second body is read off the first one."""
    from coder_model.decoding import prompt_lookup

    trusted = tuple(0.999 for _ in prompt_lookup.WEIGHTS)
    original, prompt_lookup.WEIGHTS = prompt_lookup.WEIGHTS, trusted
    try:
        draft = last(engine(model, tokenizer), DOCUMENT + "def total(items):\n    value = 0\n    for")
    finally:
        prompt_lookup.WEIGHTS = original
    assert draft.text == " item in items:"
    assert draft.steps <= 2

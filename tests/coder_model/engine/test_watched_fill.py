"""What a watcher is told of a fill, and a fill that is decoded otherwise than the engine's options say."""

from dataclasses import asdict

import checkpoints
import pytest
from tiny_engine import PREFIXES, engine

from coder_model.checkpoints.open import open_single
from coder_model.engine.fill_options import controls
from coder_model.types import Decoding, FillRequest, InvalidInput


def drafts(made, prefix=PREFIXES[1], watch=True, **more):
    request = FillRequest("s", prefix, "\n", path="a.py", hole="block", **more)
    return list(made.fill(request, watch=watch))


@pytest.mark.parametrize("prefix", PREFIXES)
def test_decided_tokens_joined_are_the_text_and_each_has_its_probability(model, tokenizer, prefix):
    made = engine(model, tokenizer, filters_off=("repetition", "whitespace"))
    for draft in drafts(made, prefix, decoding=Decoding()):
        text = "".join(slot.text for slot in draft.decided)
        # what stands at the left of a canvas is text already, and decided with the next pass
        assert draft.text.startswith(text.rstrip()) or draft.final
        assert len(draft.decided) == draft.tokens
        assert all(0 < slot.confidence <= 1 and not slot.masked for slot in draft.decided)


def test_nobody_who_does_not_watch_pays_for_it(model, tokenizer):
    assert not any(draft.decided or draft.slots for draft in drafts(engine(model, tokenizer), watch=False))


def test_the_slots_behind_the_given_ones_are_those_that_are_denoised(model, tokenizer):
    first = next(draft for draft in drafts(engine(model, tokenizer), decoding=Decoding(copy=False)) if draft.given)
    assert first.kind == "denoise"
    assert first.given == 1 < len(first.slots)
    # the token that the pass before has decided, whose text may be beyond the hole
    assert first.slots[0].confidence == pytest.approx(first.decided[-1].confidence)


def test_a_fill_may_be_decoded_one_token_at_a_time_and_says_the_same(model, tokenizer):
    made = engine(model, tokenizer)
    quick, slow = drafts(made, decoding=Decoding()), drafts(made, decoding=Decoding(policy="one_token"))
    assert quick[-1].text == slow[-1].text
    assert {draft.kind for draft in slow} == {"verify", "final"}
    assert any(draft.kind == "denoise" for draft in quick)
    assert slow[-1].steps >= slow[-1].tokens - 1


def test_options_of_one_fill_are_those_of_an_engine_that_has_them(model, tokenizer):
    wanted = {"policy": "top_k", "max_steps": 3, "block_length": 5, "copy": False}
    there = drafts(engine(model, tokenizer, **wanted, min_accepted=0.0))
    here = drafts(engine(model, tokenizer), decoding=Decoding(**wanted))
    assert [(draft.kind, draft.text, draft.slots) for draft in here] == [
        (draft.kind, draft.text, draft.slots) for draft in there
    ]


def test_the_same_fill_again_is_the_same_work(model, tokenizer):
    made = engine(model, tokenizer)
    once, again = (drafts(made, decoding=Decoding()) for _ in range(2))
    assert [(draft.kind, draft.slots) for draft in once] == [(draft.kind, draft.slots) for draft in again]


@pytest.mark.parametrize("wrong", [{"policy": "best"}, {"threshold": 1.5}, {"max_steps": -1}, {"block_length": 1}])
def test_what_is_out_of_range_is_named(model, tokenizer, wrong):
    with pytest.raises(InvalidInput, match=next(iter(wrong)) if "block_length" in wrong else "options must be"):
        drafts(engine(model, tokenizer), decoding=Decoding(**wrong))


@pytest.mark.parametrize(
    ("name", "some", "none"),
    [
        ("qwen2.5-coder", {"block_length", "copy"}, {"policy", "frugal"}),
        ("dreamon", {"policy", "threshold", "max_steps"}, {"block_length", "copy", "frugal"}),
    ],
)
def test_a_model_says_what_changes_its_work(tmp_path, name, some, none):
    checkpoints.build(checkpoints.BY_NAME[name], tmp_path)
    made = open_single(str(tmp_path))
    assert some <= set(made.controls) <= set(asdict(Decoding()))
    assert not none & set(made.controls)


def test_a_drafter_makes_a_causal_model_denoise(tmp_path):
    checkpoints.build(checkpoints.BY_NAME["qwen2.5-coder"], tmp_path)
    config = open_single(str(tmp_path))._runner.config
    assert set(controls(config, 8)) - set(controls(config)) == {"policy", "threshold", "max_steps", "frugal"}

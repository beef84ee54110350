import copy
import math

import checkpoints
import pytest
import torch
from tiny_engine import DOCUMENT, last
from tiny_engine import engine as tiny_engine

from coder_model.checkpoints.open import open_engine, open_single
from coder_model.model.transformer import causally
from coder_model.text.fill_region import FillRegion
from coder_model.types import Cancelled, FillRequest, InvalidInput

TEXTS = ["    return 1", "    total = 0\n    return total", "é = '漢😀'\n\n    x = 1", "    \n", "", "\x01"]
HEAD = DOCUMENT + "def count(items):\n"


def engine(*arguments, **options):
    made = tiny_engine(*arguments, **options)
    made.judges = True
    return made


def judged(made, text, prefix=HEAD, suffix="\n\n", **more):
    return last(made, prefix, suffix, judged=text, hole="block", **more)


@pytest.mark.parametrize("text", TEXTS)
def test_the_tokens_are_the_text_and_its_end(model, tokenizer, text):
    draft = judged(engine(model, tokenizer), text)
    assert "".join(slot.text for slot in draft.slots) == draft.text == text
    assert draft.final
    assert draft.tokens == len(draft.slots)
    assert all(0 < slot.confidence <= 1 and 0 <= slot.rival <= 1 for slot in draft.slots)
    mean = sum(math.log(slot.confidence) for slot in draft.slots) / len(draft.slots)
    assert math.log(draft.confidence) == pytest.approx(mean)


@pytest.mark.parametrize("prefix", [HEAD, "", "x = 1\n"])
@pytest.mark.parametrize("text", TEXTS[:3])
def test_probabilities_are_those_of_one_plain_pass_over_everything(model, tokenizer, prefix, text):
    plain = copy.deepcopy(model)
    made = engine(model, tokenizer)
    request = FillRequest("s", prefix, "\n\n", path="a.py", hole="block")
    prompt = made.prompt(request, FillRegion.of(request))
    tokens = tokenizer.encode(prompt.heal.decode() + text)
    everything = torch.tensor([*prompt.context, *tokens])
    with torch.inference_mode():
        hidden = plain(everything[None], torch.arange(len(everything))[None], causally)[0]
        scores = plain.logits(hidden[len(prompt.context) - 1 :])
    barred = scores.masked_fill(made._context.vocabulary.forbidden, -math.inf)
    expected = barred.softmax(1)
    slots = judged(made, text, prefix).slots
    wanted = [*tokens, made._context.vocabulary.eom][-len(slots) :]
    for slot, token, row in zip(slots, wanted, expected[-len(slots) :], strict=True):
        assert slot.confidence == pytest.approx(max(float(row[token]), 1e-9), rel=1e-3)
        others = row.index_fill(0, torch.tensor([token]), 0.0)
        assert slot.rival == pytest.approx(float(others.max()), rel=1e-3)


def test_what_was_judged_or_filled_before_changes_nothing(model, tokenizer):
    made, cold = engine(model, tokenizer), engine(copy.deepcopy(model), tokenizer, reuse=False)
    for text in [*TEXTS, TEXTS[0]]:
        last(made, HEAD + "    ret", "\n\n")
        slots, others = judged(made, text).slots, judged(cold, text).slots
        assert [slot.text for slot in slots] == [slot.text for slot in others]
        assert [slot.confidence for slot in slots] == pytest.approx([slot.confidence for slot in others], rel=1e-3)


def test_passes_that_are_shared_judge_as_those_of_ones_own(model, tokenizer):
    shared, alone = engine(copy.deepcopy(model), tokenizer, max_concurrent=2), engine(model, tokenizer)
    shared.warm_up()
    for text in (TEXTS[1], "x = 1\n" * 7):
        slots, others = judged(shared, text).slots, judged(alone, text).slots
        assert [slot.confidence for slot in slots] == pytest.approx([slot.confidence for slot in others], rel=1e-3)


def test_line_ends_of_windows_are_line_ends(model, tokenizer):
    made = engine(model, tokenizer)
    one, two = judged(made, "    a\n    b"), judged(made, "    a\r\n    b")
    assert [slot.confidence for slot in one.slots] == pytest.approx([slot.confidence for slot in two.slots], rel=1e-4)


def test_a_text_that_is_too_long_is_refused_with_one_line(model, tokenizer):
    with pytest.raises(InvalidInput, match=r"at most \d+ tokens to be judged, got \d+"):
        judged(engine(model, tokenizer), "x = 1\n" * 2000)


def test_a_cancel_stops_before_the_next_pass(model, tokenizer):
    with pytest.raises(Cancelled):
        next(engine(model, tokenizer).fill(FillRequest("s", HEAD, "\n", judged="x"), lambda: True))


def test_a_small_model_says_that_it_does_not_judge(model, tokenizer):
    made = tiny_engine(model, tokenizer)
    assert not made.judges
    with pytest.raises(InvalidInput, match="causal model of at least 300 M parameters"):
        judged(made, "x")


def test_of_two_models_the_verifier_judges(tmp_path):
    for seed, name in enumerate(("dreamon", "qwen2.5-coder")):
        checkpoints.build(checkpoints.BY_NAME[name], tmp_path / name, seed=seed)
    both = open_engine(str(tmp_path / "dreamon"), verifier=str(tmp_path / "qwen2.5-coder"))
    alone = open_single(str(tmp_path / "qwen2.5-coder"))
    assert both.judges is alone.judges is False
    both._verifier.judges = alone.judges = True
    ours, theirs = judged(both, TEXTS[1]), judged(alone, TEXTS[1])
    assert [slot.confidence for slot in ours.slots] == pytest.approx([slot.confidence for slot in theirs.slots])

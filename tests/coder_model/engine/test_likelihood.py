"""Middles and their probability: several of them, none below what is wanted, and filters."""

from dataclasses import replace

import pytest
from tiny_engine import DOCUMENT, PREFIXES, engine, last

from coder_model.decoding.calibration import Calibration
from coder_model.engine.syntax_repair import SyntaxCheck
from coder_model.model import weights
from coder_model.model.embedded import DEFAULT_MODEL
from coder_model.text.fill_region import FillRegion
from coder_model.text.syntax import errors_in


@pytest.mark.parametrize("prefix", PREFIXES)
def test_several_middles_differ_and_the_likeliest_that_parses_is_first(model, tokenizer, prefix):
    draft = last(engine(model, tokenizer), prefix, count=3)
    texts = [draft.text, *(other.text for other in draft.others)]
    assert len(set(texts)) == len(texts) <= 3
    errors = [errors_in(prefix + text + "\n", "python") for text in texts]
    assert errors == sorted(errors)
    same = [d.probability for d, e in zip([draft, *draft.others], errors, strict=True) if e == errors[0]]
    assert same == sorted(same, reverse=True)


def test_middles_that_differ_in_blank_lines_alone_are_one(model, tokenizer, monkeypatch):
    monkeypatch.setattr(FillRegion, "filter", lambda self, text, off: ("a" + "\n  " * (len(text) % 3) + "\n  b", ()))
    draft = last(engine(model, tokenizer), PREFIXES[1], count=3)
    assert draft.text.split() == ["a", "b"]
    assert draft.others == ()


@pytest.mark.parametrize("prefix", PREFIXES)
def test_what_is_less_likely_than_wanted_is_given_up_early(model, tokenizer, prefix):
    whole = last(engine(model, tokenizer, alternatives=0), prefix)
    at_limit = last(engine(model, tokenizer, alternatives=0), prefix, least_probability=whole.probability * 1e-12)
    # far below: this random model says things over and over, and what is cut again has cost probability too
    assert (at_limit.text, at_limit.unlikely) == (whole.text, False)
    least = min(0.999, whole.probability * 1.01)
    above = last(engine(model, tokenizer, alternatives=0), prefix, least_probability=least)
    assert (above.text, above.unlikely) == ("", True)
    assert above.steps <= whole.steps
    assert last(engine(model, tokenizer, alternatives=0), prefix, least_probability=0.999).steps <= above.steps


@pytest.mark.parametrize(("wanted", "is_shown"), [(0.0, True), (0.5, True), (0.7, False), (0.9, False)])
def test_what_was_right_too_seldom_is_given_up(model, tokenizer, wanted, is_shown):
    made = engine(model, tokenizer, alternatives=0)
    whole = last(made, PREFIXES[0])
    measured = Calibration([(0.5, whole.probability * 1e-12), (0.7, min(0.999, whole.probability * 1.01))])
    made._generation = replace(made._generation, calibration=measured)
    found = last(made, PREFIXES[0], least_right=wanted)
    assert (found.text, found.unlikely) == ((whole.text, False) if is_shown else ("", True))


def test_of_an_unlikely_block_the_likely_lines_are_the_answer():
    made = engine(*weights.load(DEFAULT_MODEL))
    prefix = DOCUMENT + "def total(items):\n    "
    whole = last(made, prefix, hole="block")
    cuts = [last(made, prefix, hole="block", least_probability=least) for least in (0.9, 0.3, 0.1, 0.01, 1e-6, 1e-12)]
    for cut in cuts:
        assert whole.text.startswith(cut.text)
        assert cut.text == whole.text or cut.unlikely
        assert not cut.text or whole.text[len(cut.text) :][:1] in ("", "\n")
    assert cuts[0].text == ""
    assert any(cut.text and cut.text != whole.text for cut in cuts)


def test_what_the_next_line_says_is_filtered_and_counted(model, tokenizer, monkeypatch):
    from coder_model.decoding import prompt_lookup

    monkeypatch.setattr(prompt_lookup, "WEIGHTS", tuple(0.999 for _ in prompt_lookup.WEIGHTS))
    draft = last(engine(model, tokenizer, alternatives=0), "\n\ndef total(it", "\n" + DOCUMENT)
    assert (draft.text, draft.filtered) == ("", ("already_there",))
    draft = last(engine(model, tokenizer, filters_off=("already_there",)), "\n\ndef total(it", "\n" + DOCUMENT)
    assert (draft.text, draft.filtered) == ("ems):", ())


def test_of_what_is_there_already_the_next_likely_middle_is_the_answer():
    made, alone = (engine(*weights.load(DEFAULT_MODEL), alternatives=n) for n in (3, 0))
    prefix, suffix = (
        DOCUMENT + "def count(items):\n    value = 0\n    for item in items:\n        ",
        "\n        value += item\n",
    )
    same, other = last(alone, prefix, suffix), last(made, prefix, suffix)
    assert (same.text, same.filtered) == ("", ("already_there",))
    assert other.text.strip() not in ("", "value += item")


def test_a_loop_that_idles_is_the_last_choice_by_hand_and_no_answer_unasked(monkeypatch):
    made, prefix = engine(*weights.load(DEFAULT_MODEL)), DOCUMENT + "def average(items):\n    return "
    first = last(made, prefix)
    before = last(made, prefix, count=3)
    assert before.text == first.text

    monkeypatch.setattr(SyntaxCheck, "leaves_idle_loop", lambda self, text: text == first.text)
    assert last(made, prefix).text != first.text
    assert last(made, prefix, count=3).text == before.others[0].text

    monkeypatch.setattr(SyntaxCheck, "leaves_idle_loop", lambda self, text: bool(text))
    assert last(made, prefix).text == ""
    assert last(made, prefix, count=3).text == before.text

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder_model.types import Draft, Slot
from lsp_server.denoising import MASK_SIGN, masked_text, shown_slots

sures = st.floats(0.001, 1)
tokens = st.builds(Slot, st.text(max_size=4), sures, st.just(False))
canvas = st.lists(st.one_of(tokens, st.builds(Slot, st.just(""), sures, st.just(True))), max_size=6).map(tuple)


def a_pass(kind="denoise", text="", decided=(), slots=(), given=0):
    facts = {"confidence": 0.5, "steps": 1, "tokens": len(decided), "elapsed_ms": 1.0}
    return Draft(text, kind == "final", kind=kind, decided=decided, slots=slots, given=given, **facts)


def said(text, *sures):
    """Tokens of a text that blanks separate."""
    return tuple(Slot(word, sure, False) for word, sure in zip(text.split(" "), sures, strict=True))


def test_behind_what_is_decided_stand_drafts_and_masks():
    slots = (Slot("a", 0.9, False), Slot("b", 0.4, False), Slot("", 0.2, True))
    shown = masked_text(a_pass(decided=said("a", 0.9), slots=slots, given=1))
    assert shown == ("ab" + MASK_SIGN, [0.9, 0.4, 0.2])


def test_what_a_pass_refuses_is_gone():
    slots = (Slot("b", 1.0, False), Slot("c", 0.0, False))
    assert masked_text(a_pass("verify", "ab", said("a b", 0.9, 0.8), slots)) == ("ab", [0.9, 0.8])


def test_a_token_of_several_characters_is_as_sure_at_each():
    assert masked_text(a_pass("verify", "xy😀", said("xy😀", 0.7)))[1] == [0.7, 0.7, 0.7]


@pytest.mark.parametrize(
    ("text", "shown"),
    [("ab", [0.9, 0.8]), ("a", [0.9]), ("", []), ("ax", [0.9, 0.5]), ("xy", [0.5, 0.5])],
    ids=["as it was", "cut", "nothing", "another end", "another text"],
)
def test_the_answer_is_what_is_left_of_the_tokens(text, shown):
    assert masked_text(a_pass("final", text, said("a b", 0.9, 0.8))) == (text, shown)


def test_blanks_behind_the_answer_are_no_part_of_it():
    assert masked_text(a_pass("final", "a", (Slot("a \n", 0.9, False),))) == ("a", [0.9])


def test_who_tells_of_no_slots_shows_the_text():
    assert masked_text(a_pass("denoise", "ab")) == ("ab", [0.5, 0.5])


@given(st.text(max_size=9), st.lists(tokens, max_size=6).map(tuple), canvas, st.sampled_from(["denoise", "verify"]))
def test_each_character_has_its_sureness_and_each_masked_slot_one_sign(text, decided, slots, kind):
    draft = a_pass(kind, text, decided, slots)
    shown, confidence = masked_text(draft)
    assert len(shown) == len(confidence)
    assert sum(slot.masked for slot in shown_slots(draft)) <= shown.count(MASK_SIGN)
    assert masked_text(a_pass("final", text, decided, slots))[0] == text

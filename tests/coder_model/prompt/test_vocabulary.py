"""What may go on with typed text, in a tokenizer that is not the project's own; and how a middle of one line ends."""

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scripted import EOM, FILE_SEP, fill, foreign_vocabulary

from coder_model.decoding.prompt_lookup import PromptLookup
from coder_model.decoding.token_selector import TokenSelector
from coder_model.prompt.vocabulary import Vocabulary
from coder_model.text.stop_rules import StopRules

CODE = st.lists(
    st.sampled_from(
        [
            "x",
            "return",
            " a",
            " ",
            "   ",
            "\n",
            "\n\n",
            "\t",
            "(",
            "):",
            ' """',
            "_b",
            "1",
            "é",
            "😀",
            "\x0c",
            "uncommon",
        ]
    ),
    max_size=12,
).map("".join)


@pytest.fixture(scope="module")
def foreign():
    return foreign_vocabulary()


@pytest.fixture(scope="module", params=["foreign", "own"])
def vocabulary(request, foreign, tokenizer):
    return foreign if request.param == "foreign" else Vocabulary(tokenizer)


def healed(vocabulary, text):
    return vocabulary.tokenizer.last_piece(text).encode()


@given(text=CODE, more=CODE)
def test_the_tokens_of_any_text_that_goes_on_are_allowed(vocabulary, text, more):
    heal, before = healed(vocabulary, text), b""
    kept = vocabulary.tokenizer.encode(text[: len(text) - len(heal.decode())])
    for token in vocabulary.tokenizer.encode(text + more)[len(kept) :]:
        if not heal:
            break
        data = vocabulary.bytes[token]
        assert vocabulary.constraint(heal, True, before).allowed[token]
        heal, before = heal[len(data) :], data


@given(text=CODE, hole=st.sampled_from(["line", "block"]), seed=st.integers(0, 999))
def test_whatever_a_model_says_the_middle_goes_on_with_what_was_typed(vocabulary, text, hole, seed):
    """The typed text is said once: never lost, never doubled, and all that follows it is new."""
    rng = random.Random(seed)
    likely = [rng.randrange(vocabulary.tokenizer.vocab_size) for _ in range(6)]
    heal = healed(vocabulary, text)
    # room for the typed text in tokens of a byte each
    room = len(heal) + 24
    data, new, middle, decoder = fill(vocabulary, text, lambda _: {i: rng.random() for i in likely}, hole, limit=room)
    if middle.tokens[-1] == vocabulary.eom and not data.startswith(heal):
        # nothing is the answer, and nothing is said again then
        assert (heal.startswith(data), new) == (True, "")
        return
    assert data.startswith(heal)
    assert data[len(heal) :].decode("utf-8", "ignore").startswith(new)
    assert "\n" not in new or hole == "block"
    assert middle.tokens[: len(decoder.tokens)] == decoder.tokens


@given(text=CODE, seed=st.integers(0, 999), wrong=st.integers(0, 12))
def test_what_is_recalled_changes_the_passes_and_never_the_text(vocabulary, text, seed, wrong):
    """Right up to some token; a draft is read with the typed text, in which tokens can be taken back."""
    size = vocabulary.tokenizer.vocab_size

    def says(said):
        rng = random.Random(f"{seed} {said!r}")
        return {rng.randrange(size): rng.random() for _ in range(6)}

    alone = fill(vocabulary, text, says)
    tokens = [*alone[2].tokens[:wrong], *([1] if wrong < len(alone[2].tokens) else [])]
    drafted = fill(vocabulary, text, says, recalled=tokens)
    assert drafted[:2] == alone[:2]
    assert drafted[2].tokens == alone[2].tokens
    assert [choice.probability for choice in drafted[2].choices] == [choice.probability for choice in alone[2].choices]


def test_what_is_recalled_rightly_takes_a_pass(foreign):
    said = {
        b"": {b"      ": 0.6, b"      \n": 0.3},
        b"      ": {b" return": 0.99},
        b"      \n": {b"      ": 0.9},
        b"      \n      ": {b" return": 0.9},
    }
    alone = fill(foreign, "for a in b:\n      \n", said.get)
    drafted = fill(foreign, "for a in b:\n      \n", said.get, recalled=alone[2].tokens)
    assert drafted[0] == alone[0]
    # one that reads the draft, one for the token that is taken back, and one behind it
    assert drafted[3].passes < alone[3].passes


@given(text=CODE)
def test_typed_text_that_the_model_would_not_say_is_said_all_the_same(vocabulary, text):
    # a token of a byte each, and the end
    found = fill(vocabulary, text, lambda _: {vocabulary.eom: 1.0}, floor=0.0, limit=len(text.encode()) + 1)
    assert found[0] == healed(vocabulary, text)


def test_line_ends_behind_a_quote_are_one_token_though_another_is_likelier(foreign):
    """What the 0.5B says behind a docstring: one line end is likelier than two, and no other comes after one."""
    said = {
        b"": {b' """\n': 0.9, b' """\n\n': 0.05},
        b' """\n': {b"   ": 0.98, b"\n\n": 0.01},
        b' """\n\n': {b"   ": 0.9, b"    \n": 0.05},
        b' """\n\n   ': {b" return": 0.9},
    }
    data, new, middle, decoder = fill(foreign, 'def f():\n    """\n    Text.\n    """\n\n', said.get)
    assert (data, new) == (b' """\n\n    return', "    return")
    assert middle.choices[0].probability > 0.9
    assert decoder.passes == 3


def test_a_start_of_the_typed_text_is_taken_back_when_nothing_goes_on_with_the_rest(foreign):
    said = {
        b"": {b"      ": 0.6, b"      \n": 0.3},
        b"      ": {b" return": 0.99},
        b"      \n": {b"      ": 0.9},
        b"      \n      ": {b" return": 0.9},
    }
    data, new, middle, decoder = fill(foreign, "for a in b:\n      \n", said.get)
    assert (data, new) == (b"      \n       return", "       return")
    assert [choice.token for choice in middle.choices] == middle.tokens
    assert decoder.tokens == middle.tokens[:-1]


def test_what_was_taken_back_is_not_proposed_again(foreign):
    start = foreign.bytes.index(b"unco")
    copies = PromptLookup([5, start, 6, 5], [])
    selector = TokenSelector(foreign, b"unco", StopRules.of("unco", "", "line"), copies)
    p = torch.full((foreign.tokenizer.vocab_size,), 1e-4)
    selector.refuse(start)
    assert selector.choose(p).token != start


def test_a_start_of_the_typed_text_stays_when_the_model_goes_on_with_the_rest(foreign):
    said = {b"": {b"unco": 0.6, b"uncommon": 0.3}, b"unco": {b"unter": 0.9, b"mmon": 0.1}, b"uncounter": {b" a": 1.0}}
    assert fill(foreign, "uncou", said.get)[:2] == (b"uncounter a", "nter a")


def test_a_line_of_blanks_is_an_empty_answer_like_any_other(foreign):
    said = {b"": {b"\n": 1.0}, b"\n": {b"    \n": 0.6, b"   ": 0.3}, b"\n   ": {b" return": 0.9}}
    data, new, *_ = fill(foreign, "x\n", said.get)
    assert (data, new) == (b"\n    return", "    return")


def test_text_with_a_line_end_behind_it_is_no_empty_answer(foreign):
    said = {b"": {b" [": 1.0}, b" [": {b"]\n": 0.4, b"]\n\n": 0.1, b"a": 0.3}}
    _, new, middle, _ = fill(foreign, "y = [", said.get)
    assert new == "]"
    assert middle.choices[-1].probability == pytest.approx(0.5 / 0.8, abs=0.01)


def test_the_same_text_with_more_or_fewer_line_ends_counts_as_one(foreign):
    said = {b"": {b"(a": 1.0}, b"(a": {b")\n": 0.3, b")\n\n": 0.25, b" a": 0.4}}
    assert fill(foreign, "f(a", said.get)[1] == ")"


@pytest.mark.parametrize("hole", ["line", "block"])
def test_all_tokens_that_end_a_text_end_a_middle_together(foreign, hole):
    said = {b"": {b" return": 1.0}, b" return": {b" a": 1.0}, b" return a": {EOM: 0.3, FILE_SEP: 0.3, b" a": 0.4}}
    _, new, middle, _ = fill(foreign, "x = 1\n return", said.get, hole)
    assert new == " a"
    assert middle.choices[-1].probability == pytest.approx(0.6, abs=0.01)


def test_in_a_block_line_ends_differ(foreign):
    said = {b"": {b"(a": 1.0}, b"(a": {b")\n": 0.3, b")\n\n": 0.25, b" a": 0.4}, b"(a a": {EOM: 1.0}}
    assert fill(foreign, "f(a", said.get, "block")[1] == " a"


def test_what_was_refused_is_not_chosen_again_because_the_text_has_it(foreign):
    """Refusing the same token for ever is a fill that never ends."""
    a, b = (foreign.bytes.index(text) for text in (b"a", b"b"))
    opinion = TokenSelector(foreign, b"", StopRules.of("", "\n", "line"), PromptLookup([a, b] * 4 + [a], []))
    p = torch.full((len(foreign.bytes),), 1e-3)
    assert opinion.choose(p / p.sum()).token == b
    opinion.refuse(b)
    assert opinion.choose(p / p.sum()).token != b
    assert opinion.was_refused(b)

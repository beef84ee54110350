"""The loop of models that verify nothing, on scripted models: what is revealed, when it ends, how long a canvas is."""

import pytest
import torch

from coder_kernels.policies import PolicyOptions, top_k
from coder_model.decoding.completion import Completion
from coder_model.decoding.diffusion import FIRST_LENGTH, LENGTHS, MAX_LENGTH, fill_between, fill_blocks
from coder_model.decoding.draft_and_verify import DeadlineReached, FillOptions
from coder_model.decoding.token_selector import TokenSelector
from coder_model.prompt.fim_prompt import Prompt
from coder_model.prompt.vocabulary import Vocabulary
from coder_model.text.stop_rules import StopRules

EXPAND, DELETE = 599, 598


@pytest.fixture
def selector(tokenizer):
    vocabulary = Vocabulary(tokenizer)
    return lambda hole="block", heal=b"": TokenSelector(vocabulary, heal, StopRules.of("", "", hole), None)


def options(**more):
    values = {"policy": top_k, "policy_options": PolicyOptions(k=1), "block_length": 4, "max_steps": 0, "verify": False}
    values |= {"denoised_slots": 4, "copies": False, "min_copy": 2, "remask_below": 0.0}
    return FillOptions(**{**values, **more})


def prompt(context=(1, 2), behind=(), hole="block"):
    return Prompt(list(context), b"", [], [], [], list(behind), hole)


class Scripted:
    """Says in each pass what `says(canvas, number)` returns: a token and a confidence per slot."""

    def __init__(self, says):
        self.says, self.passes, self.lengths, self.blocks = says, 0, [], []

    def read(self, context, check):
        check()
        self.tokens = context[: len(context) - len(context) % 4]
        return torch.empty(0)

    def commit(self, tokens, wanted):
        self.blocks.append(tokens)
        return torch.empty(wanted, 0)

    def predict_(self, canvas, following=None):
        self.lengths.append(len(canvas.tokens))
        tokens, confidence = zip(*self.says(canvas, self.passes), strict=True)
        self.passes += 1
        masked = canvas.masked
        canvas.candidates = torch.where(masked, torch.tensor(tokens), canvas.tokens)
        canvas.confidence = torch.where(masked, torch.tensor(confidence), canvas.confidence)
        p = torch.full((600,), 1e-6)
        p[tokens[int(masked.int().argmax())]] = 0.9
        return p


def run(sequence, fill, made, chosen, limit=64, check=lambda: None, hole="block", **asked):
    middle = Completion(limit)
    drafts = list(fill(sequence, hole if fill is fill_between else prompt(**asked), made, chosen, middle, check))
    return middle, drafts


def constant(*tokens, confidence=0.9):
    return lambda canvas, _: [(tokens[min(i, len(tokens) - 1)], confidence) for i in range(len(canvas.tokens))]


def test_blocks_follow_each_other_until_the_end_of_the_middle(tokenizer, selector):
    eom = tokenizer.special_tokens.eom

    def says(canvas, _):
        ends = len(sequence.blocks) == 2
        return [
            (eom if ends and slot == 1 else 300 + slot + len(sequence.blocks), 0.9 - slot / 10) for slot in range(4)
        ]

    sequence = Scripted(says)
    middle, _ = run(sequence, fill_blocks, selector(), options(), context=(1, 2, 3, 4, 5, 6))
    # the first block begins with the two tokens that the context leaves over
    assert sequence.blocks == [[5, 6, 302, 303], [301, 302, 303, 304]]
    assert middle.tokens == [302, 303, 301, 302, 303, 304, 302, eom]
    assert middle.ended


def test_an_end_on_the_left_stops_the_work(tokenizer, selector):
    eom = tokenizer.special_tokens.eom
    sequence = Scripted(constant(300, eom, 301))
    middle, drafts = run(sequence, fill_between, selector(), options(operations=None), hole="line")
    assert middle.tokens == [300, eom]
    # beside the guesses of the length, one pass per token up to the end
    assert sequence.passes == len(LENGTHS["line"]) + 2
    assert len(drafts) == 2


def test_the_length_is_that_of_the_surest_canvas(selector):
    def says(canvas, _):
        sure = 0.9 if len(canvas.tokens) == 16 else 0.5
        return [(300 + slot, sure - slot / 100) for slot in range(len(canvas.tokens))]

    sequence = Scripted(says)
    middle, _ = run(sequence, fill_between, selector(), options())
    assert len(middle.tokens) == 16
    assert sequence.lengths[: len(LENGTHS["block"])] == list(LENGTHS["block"])


def test_dreamon_makes_its_canvas_longer_and_shorter(selector):
    script = [
        [(300, 0.9), (EXPAND, 0.1), (301, 0.2), (302, 0.3)],  # 300 is said
        [(0, 0.0), (EXPAND, 0.9), (301, 0.2), (302, 0.3)],  # one slot becomes two
        [(0, 0.0), (303, 0.9), (304, 0.2), (301, 0.3), (302, 0.1)],
        [(0, 0.0), (0, 0.0), (304, 0.2), (301, 0.3), (DELETE, 0.9)],  # the last slot goes
        [(0, 0.0), (0, 0.0), (304, 0.9), (301, 0.3)],
        [(0, 0.0), (0, 0.0), (0, 0.0), (301, 0.9)],
    ]
    sequence = Scripted(lambda _, number: script[number])
    middle, _ = run(sequence, fill_between, selector(), options(operations=(EXPAND, DELETE)))
    assert sequence.lengths == [4, 4, 5, 5, 4, 4]
    assert middle.tokens == [300, 303, 304, 301]


def test_a_model_that_only_expands_comes_to_an_end(selector):
    def says(canvas, _):
        token = EXPAND if canvas.expanded < MAX_LENGTH - FIRST_LENGTH else 300
        return [(token, 0.5)] * len(canvas.tokens)

    sequence = Scripted(says)
    middle, _ = run(sequence, fill_between, selector(), options(operations=(EXPAND, DELETE)), limit=200)
    assert max(sequence.lengths) == MAX_LENGTH
    assert middle.ended


def test_a_model_that_only_deletes_says_nothing(selector):
    sequence = Scripted(constant(DELETE))
    middle, _ = run(sequence, fill_between, selector(), options(operations=(EXPAND, DELETE)))
    assert middle.tokens == []
    assert sequence.passes == 1


def test_at_the_deadline_the_left_end_is_decided(selector):
    calls = iter([None] * 7)

    def check():
        if next(calls, "late"):
            raise DeadlineReached

    says = Scripted(lambda canvas, _: [(300 + slot, 0.9 - slot / 100) for slot in range(len(canvas.tokens))])
    middle = Completion(64)
    with pytest.raises(DeadlineReached):
        list(fill_between(says, "block", selector(), options(), middle, check))
    assert middle.tokens == [300, 301, 302]


def test_what_stands_under_the_cursor_is_said_first(tokenizer, selector):
    """The surest slot is the last one, but the first must begin with the text to heal."""
    heal = tokenizer.token_bytes[tokenizer.encode("self")[0]]
    made = selector(heal=heal)
    sequence = Scripted(lambda canvas, _: [(300, 0.1 + slot / 10) for slot in range(len(canvas.tokens))])
    middle, _ = run(sequence, fill_blocks, made, options(), limit=4, context=(1, 2, 3, 4))
    said = b"".join(tokenizer.token_bytes[token] for token in middle.tokens)
    assert said.startswith(heal)

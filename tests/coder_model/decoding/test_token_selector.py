"""Which token is decided next."""

import torch

from coder_model.decoding.token_selector import TokenSelector
from coder_model.prompt.vocabulary import Vocabulary
from coder_model.text.stop_rules import StopRules


def test_what_was_suggested_is_proposed_until_another_token_is_decided(tokenizer):
    selector = TokenSelector(Vocabulary(tokenizer), b"", StopRules.of("", "", "block"), None, [400, 401, 402, 403])
    selector.advance(400)
    assert selector.proposals(2) == [401, 402]
    selector.advance(9 + 400)
    assert selector.proposals(2) == []


def test_a_blank_line_is_the_answer_only_when_the_model_is_sure_of_it(tokenizer):
    vocabulary = Vocabulary(tokenizer)
    blank, text = (vocabulary.bytes.index(data) for data in (b"\n\n", b"\n    "))
    for chance, expected in ((0.85, text), (0.95, vocabulary.eom)):
        selector = TokenSelector(vocabulary, b"\n", StopRules.of("x\n", "\n", "line"), None)
        p = torch.zeros(tokenizer.vocab_size)
        p[blank], p[text] = chance, 1 - chance
        assert selector.choose(p).token == expected

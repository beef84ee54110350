"""A model that says what a test wrote down, behind the real loop: what matters is what is made of it."""

import json

import checkpoints
import torch
from tokenizers import Tokenizer

from coder_kernels.policies import PolicyOptions
from coder_model.decoding.acceptance import DraftAcceptance
from coder_model.decoding.completion import Completion
from coder_model.decoding.draft_and_verify import FillOptions, MiddleLoop, draft_from_text
from coder_model.decoding.read_ahead import ReadAhead
from coder_model.decoding.token_selector import TokenSelector
from coder_model.prompt.tokenizer import PUBLISHED_LINE, CodeTokenizer, SpecialTokens
from coder_model.prompt.vocabulary import Vocabulary
from coder_model.runtime.passes import Commit
from coder_model.text.stop_rules import StopRules
from coder_model.types import HoleMode

_LINES = (
    ' """\n', ' """\n\n', ")\n", ")\n\n", "]\n", "]\n\n", "[\n", "[a", "    \n", "      \n", "      return", "):\n",
    "):\n\n", " return", "return a", "(return", "(a", " =", " [", "\n\n", "\n\n\n", "\n    \n", " if", " f", "   ",
    "       a", "uncommon",
)  # fmt: skip
QWEN_LIKE = [line for line in (*_LINES, checkpoints.TEXT) for _ in range(9)]
EOM, FILE_SEP = 401, 402


def foreign_vocabulary() -> Vocabulary:
    """What its tokens may do; files are separated by a mark."""
    return Vocabulary(foreign_tokenizer(), [FILE_SEP])


def foreign_tokenizer(size=400) -> CodeTokenizer:
    """Byte-level BPE with the pre-tokenizer of Qwen2: line ends behind punctuation, one blank before a word."""
    values = json.loads(checkpoints.plain_tokenizer(vocab_size=size, texts=QWEN_LIKE).to_str())
    special_tokens = SpecialTokens(EOM, -1, EOM, -1, -1, -1, -1, EOM)
    return CodeTokenizer(
        Tokenizer.from_str(json.dumps(values)), special_tokens, PUBLISHED_LINE, frozenset({EOM, FILE_SEP}), 403
    )


class ScriptedDecoder:
    """Answers each pass with `says(bytes behind the context)`: probabilities by token text, or by id."""

    def __init__(self, tokenizer, says, floor):
        self.tokens, self.passes = [], 0
        self._tokenizer, self._says, self._floor = tokenizer, says, floor

    def said(self):
        p = torch.full((self._tokenizer.vocab_size,), self._floor)
        text = b"".join(self._tokenizer.token_bytes[i] for i in self.tokens)
        for token, chance in (self._says(text) or {self._tokenizer.special_tokens.eom: 1.0}).items():
            p[token if isinstance(token, int) else self._tokenizer.token_bytes.index(token)] = chance
        return p / p.sum()

    def commit(self, tokens):
        return self.committed(self.committing(tokens))

    def committing(self, tokens):
        return Commit(None, len(self.tokens), tokens, len(tokens))

    def committed(self, work):
        rows = []
        self.passes += 1
        for token in work.tokens:
            self.tokens.append(token)
            rows.append(self.said())
        return torch.stack(rows)

    def truncate(self, length):
        del self.tokens[length:]


def fill(vocabulary, prefix, says, hole: HoleMode = "line", floor=1e-7, limit=24, recalled=(), sampling=None):
    """Fills a hole by what a scripted model says; returns all bytes of the middle and its new text.

    What is recalled is a draft, which the first pass reads.
    """
    tokenizer = vocabulary.tokenizer
    heal = tokenizer.last_piece(prefix).encode()
    stop_rules = StopRules.of(prefix, "\n", hole)
    sequence = ScriptedDecoder(tokenizer, says, floor)
    middle = Completion(limit)
    options = FillOptions(None, PolicyOptions(), 8, 8, 0, True, bool(recalled), 2, 0.0)
    selector = TokenSelector(vocabulary, heal, stop_rules, None, recalled, sampling=sampling)
    acceptance = DraftAcceptance(3.0)
    rows, draft = sequence.said()[None], draft_from_text(selector, options, acceptance)
    if draft:
        rows = torch.cat([rows, sequence.commit(draft)])
    ahead = ReadAhead(sequence, rows, draft)
    for _ in MiddleLoop(ahead, selector, options, acceptance, middle, lambda: None).run():
        pass
    data = b"".join(tokenizer.token_bytes[i] for i in middle.tokens)
    new = stop_rules.trim(data[len(heal) :].decode("utf-8", "ignore"))
    return data, new, middle, sequence

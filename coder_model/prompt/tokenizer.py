"""Byte-level BPE for code, and the special tokens of the sequence.

A *piece* is what the pre-tokenizer cuts; this project's own: a run of line ends with the indentation that follows it, a
word with one character before it, one digit, a run of punctuation, a run of blanks. Merges never cross pieces, so text
can be encoded line by line and the results joined; `encode` keeps the lines it has seen, which makes encoding a
document again after a keystroke cost one line.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from coder_model.errors import ModelFileError

SPECIAL_TOKENS = (
    "<pad>",
    "<mask>",
    "<eom>",
    "<suf>",
    "<pre>",
    "<file>",
    "<snip>",
    "<end>",
    *(f"<r{i}>" for i in range(8)),
)
PAD, MASK, EOM, SUF, PRE, FILE, SNIP, END = range(8)
N_SPECIAL = len(SPECIAL_TOKENS)
TOKENIZER = "tokenizer.json"
"""The file of a tokenizer, beside a model or in a prepared corpus."""

PIECE = (
    r"(?:\r?\n|\r)+[ \t]*"
    r"|[^\r\n\p{L}\p{N}]?\p{L}+"
    r"| ?\p{N}"
    r"| ?[^\s\p{L}\p{N}]+"
    r"|[^\S\r\n]+(?!\S)"
    r"|[^\S\r\n]+"
)
PUBLISHED_LINE = re.compile(r".+?(?:(?<=[\r\n])(?=[^\s/]|[^\S\r\n]+\S)|\Z)", re.DOTALL)
"""Lines with their ends, blank ones after them and lines that start with a slash: no piece of the pre-tokenizers of
Qwen2, Llama 3 or Tekken reaches over what lies between two of these."""
OWN_LINE = re.compile(r"[\r\n]+[^\r\n]*|[^\r\n]+")
"""A line with the line ends before it, as `PIECE` has them with the indentation that follows."""

LONG_LINE = 500
"""Characters. Each key in such a line makes another one, so few of them are kept, but all those of a text."""
KEPT_LINES, KEPT_LONG_LINES = 65_536, 256


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """The special tokens of the project's own sequence, as ids; see `fim_prompt.layout`."""

    pad: int = PAD
    mask: int = MASK
    eom: int = EOM
    suf: int = SUF
    pre: int = PRE
    file: int = FILE
    snip: int = SNIP
    end: int = END


class CodeTokenizer:
    """Encodes text to token ids and back; special tokens are never produced from text."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        special_tokens: SpecialTokens = SpecialTokens(),
        line: re.Pattern[str] = OWN_LINE,
        special: frozenset[int] = frozenset(range(N_SPECIAL)),
        vocab_size: int = 0,
    ) -> None:
        """Takes a byte-level tokenizer.

        Args:
            tokenizer: of the tokenizers library.
            special_tokens: the sequence's special tokens.
            line: splits text where no piece ends up on both sides.
            special: ids that no text has.
            vocab_size: of the model, where it has more rows than the tokenizer has tokens; 0: as many.
        """
        self.special_tokens = special_tokens
        self._tokenizer, self._line = tokenizer, line
        tokenizer.encode_special_tokens = True
        self.vocab_size: int = vocab_size or tokenizer.get_vocab_size()
        self.token_bytes: list[bytes] = [
            b"" if i in special else _token_bytes(tokenizer.id_to_token(i) or "") for i in range(self.vocab_size)
        ]
        """[V] the bytes of each token; none for one that no text has."""
        self._id_of_byte = {data[0]: i for i, data in enumerate(self.token_bytes) if len(data) == 1}
        self._encode_short = lru_cache(KEPT_LINES)(self._encode_line_uncached)
        self._encode_long = lru_cache(KEPT_LONG_LINES)(lambda line: array("I", self._encode_line_uncached(line)))

    @classmethod
    def load(cls, path: Path, vocab_size: int = 0) -> CodeTokenizer:
        """Reads `tokenizer.json`: the project's own, or one of a converted model.

        Args:
            path: of the file.
            vocab_size: rows of a converted model, which has more than its tokenizer has tokens.

        Raises:
            ModelFileError: when it is missing, broken, or lacks one of the project's special tokens.
        """
        try:
            values = json.loads(path.read_text("utf-8"))
            added = {token["content"]: token["id"] for token in values.get("added_tokens", [])}
            special_tokens = SpecialTokens(*(added[name] for name in SPECIAL_TOKENS[: len(fields(SpecialTokens))]))
            if special_tokens == SpecialTokens():
                return cls(Tokenizer.from_str(json.dumps(values)))
            plain = Tokenizer.from_str(json.dumps({**values, "added_tokens": []}))
            return cls(plain, special_tokens, PUBLISHED_LINE, frozenset(added.values()), vocab_size)
        except KeyError as error:
            raise ModelFileError(f"{path} must have the special token {error}, found none") from error
        except Exception as error:
            raise ModelFileError(f"{path} must be a tokenizer of the tokenizers library: {error}") from error

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> CodeTokenizer:
        """Learns merges from texts."""
        tokenizer = Tokenizer(models.BPE(byte_fallback=False))
        split = pre_tokenizers.Split(Regex(PIECE), behavior="isolated")
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            max_token_length=32,
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer)

    def marked(self, special_tokens: SpecialTokens) -> CodeTokenizer:
        """Returns the same tokenizer of a published model with other special tokens."""
        special = frozenset(asdict(special_tokens).values())
        return CodeTokenizer(self._tokenizer, special_tokens, self._line, special, self.vocab_size)

    def save(self, path: Path) -> None:
        """Writes `tokenizer.json`."""
        values = json.loads(self._tokenizer.to_str())
        if self.special_tokens != SpecialTokens():
            flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
            named = zip(SPECIAL_TOKENS, asdict(self.special_tokens).values(), strict=False)
            values["added_tokens"] = [{"id": i, "content": text, "special": True, **flags} for text, i in named]
        path.write_text(json.dumps(values, ensure_ascii=False), "utf-8")

    def encode(self, text: str) -> list[int]:
        """Returns the token ids of text; their bytes joined are the text's UTF-8 bytes."""
        ids: list[int] = []
        for line in self._line.finditer(text):
            ids.extend(self._encode_line(line.group()))
        return ids

    def encode_lines(self, text: str) -> Iterator[list[int]]:
        """Yields the token ids of each line of text; the line ends stand where the tokenizer's pieces have them."""
        for line in self._line.finditer(text):
            yield list(self._encode_line(line.group()))

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the text of ids; special tokens vanish, broken UTF-8 at either end is dropped."""
        data = b"".join(self.token_bytes[i] for i in ids)
        return data.decode("utf-8", "ignore")

    def encode_bytes(self, data: bytes) -> list[int]:
        """Returns the token ids of UTF-8 that may be cut at either end: a token for each byte then."""
        text = decoded(data)
        return self.encode(text) if text is not None else [self._id_of_byte[byte] for byte in data]

    def cuts(self, texts: Sequence[bytes]) -> list[list[bytes] | None]:
        """Returns the tokens of each text, as bytes; None for one that is no whole UTF-8."""
        found: list[list[bytes] | None] = [None] * len(texts)
        known = {index: text for index, data in enumerate(texts) if (text := decoded(data)) is not None}
        encoded = self._tokenizer.encode_batch(list(known.values()), add_special_tokens=False)
        for index, encoding in zip(known, encoded, strict=True):
            found[index] = [self.token_bytes[i] for i in encoding.ids]
        return found

    def last_piece(self, text: str) -> str:
        """Returns the last piece of text: what more typing could merge with. Empty for empty text."""
        window = 256
        while len(lines := self._line.findall(text[-window:])) < 2 and window < len(text):
            # the first one may be cut
            window *= 4
        tail = lines[-1] if lines else ""
        pieces = self._pieces(tail)
        last = len(pieces) - 1
        # blanks before it may be cut otherwise when it is gone
        while last > 0 and self._pieces(tail[: pieces[last][0]]) != pieces[:last]:
            last -= 1
        return tail[pieces[last][0] :] if pieces else ""

    def _pieces(self, text: str) -> list[tuple[int, int]]:
        """First character of each piece of a text, and the one after its last."""
        return [place for _, place in self._tokenizer.pre_tokenizer.pre_tokenize_str(text)]

    def _encode_line(self, line: str) -> Sequence[int]:
        return self._encode_short(line) if len(line) < LONG_LINE else self._encode_long(line)

    def _encode_line_uncached(self, line: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(line, add_special_tokens=False).ids)


def decoded(data: bytes) -> str | None:
    """Returns the text of UTF-8, or None where it is cut."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


@lru_cache(maxsize=1)
def _byte_of_char() -> dict[str, int]:
    """GPT-2's printable stand-ins for the 256 bytes (the byte-level pre-tokenizer's alphabet)."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [b for b in range(256) if b not in plain]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(others)}


def _token_bytes(token: str) -> bytes:
    table = _byte_of_char()
    return bytes(table[ch] for ch in token)

"""Tokenizers of published models: byte-level BPE from `tokenizer.json`, or from `vocab.json` and `merges.txt`.

Added tokens (masks, ends, marks) are taken out of the tokenizer and known by id alone, so that no text is ever encoded
to one of them. Normalisers are left out: the bytes of the text are those of its tokens.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from coder_model.errors import ModelFileError
from coder_model.prompt.tokenizer import PUBLISHED_LINE, CodeTokenizer, SpecialTokens

MAX_FILE_BYTES = 64 << 20
QWEN_PIECE = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""What Qwen2's pre-tokenizer cuts, for tokenizers that come without a `tokenizer.json` (Dream, GGUF)."""
LLAMA3_PIECE = QWEN_PIECE.replace(r"|\p{N}|", r"|\p{N}{1,3}|")


def read_json(path: Path, default: Any = None) -> Any:
    """Returns the content of a JSON file, or `default` where there is none and a default is given.

    Raises:
        ModelFileError: when it is missing, too large, or no JSON.
    """
    if default is not None and not path.exists():
        return default
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise ModelFileError(f"{path} must have at most {MAX_FILE_BYTES >> 20} MB, found {size >> 20}")
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"{path} must be a JSON file: {error}") from error


def added_tokens(directory: Path) -> dict[str, int]:
    """Returns token -> id of all added tokens of a tokenizer.

    Raises:
        ModelFileError: when a file is broken.
    """
    found: dict[str, int] = {}
    try:
        for token in read_json(directory / "tokenizer.json", {}).get("added_tokens", []):
            found[str(token["content"])] = int(token["id"])
        for text, number in read_json(directory / "added_tokens.json", {}).items():
            found[str(text)] = int(number)
        configuration = read_json(directory / "tokenizer_config.json", {})
        for number, token in configuration.get("added_tokens_decoder", {}).items():
            found[str(token["content"])] = int(number)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"{directory}: the tokenizer's added tokens must be texts with ids: {error!r}") from error
    return found


def mask_token(directory: Path) -> str:
    """Returns what the tokenizer's own configuration calls its mask; empty when it says nothing."""
    said = read_json(directory / "tokenizer_config.json", {}).get("mask_token") or ""
    return str(said.get("content", "") if isinstance(said, dict) else said)


def load_vocabulary(
    directory: Path, special_tokens: SpecialTokens, added: Mapping[str, int], vocab_size: int
) -> CodeTokenizer:
    """Returns the tokenizer of a published model.

    Args:
        directory: holds its files.
        special_tokens: ids of the tokens that the sequence needs.
        added: token -> id of the added tokens, which no text has.
        vocab_size: rows of the model's embedding table.

    Raises:
        ModelFileError: when it is missing, broken, no byte-level BPE, or has more tokens than the model has rows.
    """
    whole = directory / "tokenizer.json"
    return checked(
        directory,
        lambda: _from_json(whole) if whole.exists() else _from_merges(directory),
        special_tokens,
        added,
        vocab_size,
    )


def checked(
    path: Path, read: Callable[[], Tokenizer], special_tokens: SpecialTokens, added: Mapping[str, int], vocab_size: int
) -> CodeTokenizer:
    """Returns the tokenizer that is read from somewhere, if it is one that the model can have.

    Args:
        path: where from, for messages.
        read: makes it.
        special_tokens: ids of the tokens that the sequence needs.
        added: token -> id of the added tokens, which no text has.
        vocab_size: rows of the model's embedding table.

    Raises:
        ModelFileError: when it is broken, no byte-level BPE, or has more tokens than the model has rows.
    """
    try:
        tokenizer = read()
    except ModelFileError:
        raise
    except Exception as error:  # the tokenizers library raises nothing narrower
        raise ModelFileError(f"{path} must hold a tokenizer of the tokenizers library: {error}") from error
    highest = max([*tokenizer.get_vocab().values(), *added.values()])
    if highest >= vocab_size:
        raise ModelFileError(f"{path}: the model has {vocab_size} rows, its tokenizer has a token {highest}")
    try:
        return CodeTokenizer(tokenizer, special_tokens, PUBLISHED_LINE, frozenset(added.values()), vocab_size)
    except KeyError as error:
        raise ModelFileError(f"{path}: the tokenizer must be a byte-level BPE, found the letter {error}") from error


def _from_json(path: Path) -> Tokenizer:
    values = read_json(path)
    if not isinstance(values, dict) or values.get("model", {}).get("type", "BPE") != "BPE":
        raise ModelFileError(f"{path} must be a byte-level BPE")
    if '"ByteLevel"' not in json.dumps(values.get("pre_tokenizer")):
        raise ModelFileError(f"{path} must be a byte-level BPE, found another pre-tokenizer")
    return Tokenizer.from_str(json.dumps({**values, "added_tokens": [], "normalizer": None, "post_processor": None}))


def _from_merges(directory: Path) -> Tokenizer:
    vocabulary = read_json(directory / "vocab.json")
    merges = directory / "merges.txt"
    try:
        lines = merges.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{directory} must hold tokenizer.json, or vocab.json and merges.txt: {error}") from error
    pairs = [
        (left, right) for line in lines for left, blank, right in [line.partition(" ")] if blank and left != "#version:"
    ]
    return byte_level_bpe(vocabulary, pairs, QWEN_PIECE)


def byte_level_bpe(
    vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]], piece: str, ignore_merges: bool = False
) -> Tokenizer:
    """Returns a tokenizer without added tokens.

    Args:
        vocabulary: token -> id.
        merges: pairs of tokens, the first to be merged first.
        piece: regular expression of what merges do not cross.
        ignore_merges: take a piece that is a token as it is.

    Raises:
        ValueError: when a merge does not make a token of two: the tokenizers library may panic then.
    """
    for left, right in merges:
        if left not in vocabulary or right not in vocabulary or left + right not in vocabulary:
            raise ValueError(f"a merge must make a token of two tokens, found {left!r} and {right!r}")
    tokenizer = Tokenizer(models.BPE(dict(vocabulary), list(merges), ignore_merges=ignore_merges))
    split = pre_tokenizers.Split(Regex(piece), behavior="isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    return tokenizer

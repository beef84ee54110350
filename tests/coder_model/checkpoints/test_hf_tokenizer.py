"""Tokenizers of published models: encoded line by line as whole, nothing special from text, bytes as they are."""

import checkpoints
import pytest
from checkpoints import BY_NAME
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from coder_model.checkpoints.hf_config import read_published
from coder_model.checkpoints.hf_tokenizer import QWEN_PIECE, load_vocabulary
from coder_model.prompt.tokenizer import PUBLISHED_LINE, CodeTokenizer, SpecialTokens

LLAMA3_PIECE = QWEN_PIECE.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
TEKKEN_PIECE = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CODE = st.lists(
    st.sampled_from(
        ["x", "Foo", " ", "  ", "\n", "\n\n", "\r\n", "\t", "(", "):", ";", "//", "/", "#", "1", "23", "é", "="]
    )
    | st.text(max_size=3).filter(lambda text: text.isprintable())
).map("".join)


def made(piece):
    return checkpoints.plain_tokenizer(piece, 400, [checkpoints.TEXT * 3])


@pytest.fixture(scope="module", params=[QWEN_PIECE, LLAMA3_PIECE, TEKKEN_PIECE], ids=["qwen", "llama3", "tekken"])
def both(request):
    plain = made(request.param)
    return plain, CodeTokenizer(Tokenizer.from_str(plain.to_str()), SpecialTokens(), PUBLISHED_LINE, frozenset())


@given(CODE)
def test_lines_joined_are_the_whole(both, text):
    plain, ours = both
    assert ours.encode(text) == plain.encode(text).ids
    assert ours.decode(ours.encode(text)) == text


@given(CODE, CODE)
def test_text_before_the_last_piece_is_encoded_the_same_whatever_follows(both, text, more):
    _, ours = both
    kept = ours.encode(text[: len(text) - len(ours.last_piece(text))])
    assert ours.encode(text + more)[: len(kept)] == kept


@pytest.mark.parametrize("as_merges", [False, True])
def test_both_layouts_of_files_give_the_tokens_of_transformers(tmp_path, as_merges):
    family = BY_NAME["dreamon"]
    checkpoints.build(family, tmp_path, as_merges=as_merges)
    published = read_published(tmp_path)
    assert published.family.name == "dreamon"
    ours = load_vocabulary(tmp_path, published.special_tokens, published.tokens, checkpoints.VOCAB)
    checkpoints.write_tokenizer(tmp_path, checkpoints.tokens_of(family))
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert ours.encode(checkpoints.TEXT) == theirs.encode(checkpoints.TEXT)


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_no_text_is_encoded_to_a_special_token(tmp_path, name):
    checkpoints.build(BY_NAME[name], tmp_path)
    published = read_published(tmp_path, name)
    ours = load_vocabulary(tmp_path, published.special_tokens, published.tokens, checkpoints.VOCAB)
    for token in published.tokens:
        for text in (token, f"x = '{token}'\n", f"{token}{token}"):
            ids = ours.encode(text)
            assert not set(ids) & set(published.tokens.values())
            assert ours.decode(ids) == text


def test_text_keeps_its_bytes_though_the_published_tokenizer_would_normalise(tmp_path):
    checkpoints.build(BY_NAME["dream"], tmp_path)
    published = read_published(tmp_path)
    ours = load_vocabulary(tmp_path, published.special_tokens, published.tokens, checkpoints.VOCAB)
    decomposed = "cafe\u0301 = 1"
    assert ours.decode(ours.encode(decomposed)) == decomposed

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder_model.errors import ModelFileError
from coder_model.prompt.tokenizer import KEPT_LONG_LINES, LONG_LINE, N_SPECIAL, SPECIAL_TOKENS, CodeTokenizer

TEXT = st.text(st.one_of(st.sampled_from(" \t\n\r\x0c\u2028_.(9é漢😀<mask>"), st.characters(exclude_categories=["Cs"])))


@pytest.fixture(scope="module")
def same_tokenizer(tokenizer):
    return tokenizer


@given(text=TEXT)
def test_decoding_gives_the_text_back(same_tokenizer, text):
    assert same_tokenizer.decode(same_tokenizer.encode(text)) == text


@given(text=TEXT)
def test_text_never_becomes_a_special_token(same_tokenizer, text):
    assert all(i >= N_SPECIAL for i in same_tokenizer.encode(text + "".join(SPECIAL_TOKENS)))


@given(text=TEXT)
def test_encoding_line_by_line_equals_encoding_at_once(same_tokenizer, text):
    at_once = same_tokenizer._tokenizer.encode(text, add_special_tokens=False).ids
    assert same_tokenizer.encode(text) == at_once


@given(text=TEXT, more=TEXT)
def test_text_before_the_last_piece_is_encoded_the_same_whatever_follows(same_tokenizer, text, more):
    """The heart of healing: what is kept of the prefix is what training saw there."""
    # a \n that follows a \r joins it: in a prompt there are no \r
    text, more = text.replace("\r", "\n"), more.replace("\r", "\n")
    kept = text[: len(text) - len(same_tokenizer.last_piece(text))]
    ids = same_tokenizer.encode(kept)
    assert same_tokenizer.encode(text + more)[: len(ids)] == ids


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("", ""),
        ("foo", "foo"),
        ("self.mess", ".mess"),
        ("x = ", " "),
        ("if x:\n    ", "\n    "),
        ("a\n\n", "\n\n"),
        ("f(", "("),
        ("a_b", "_b"),
    ],
)
def test_the_last_piece_is_what_typing_could_merge_with(tokenizer, text, piece):
    assert tokenizer.last_piece(text) == piece


def test_a_foreign_tokenizer_is_refused(tmp_path):
    from tokenizers import Tokenizer, models

    path = tmp_path / "tokenizer.json"
    path.write_text(Tokenizer(models.BPE()).to_str())
    with pytest.raises(ModelFileError, match=r"tokenizer.json must have the special token '<pad>'"):
        CodeTokenizer.load(path)


def test_a_broken_tokenizer_is_refused(tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text("{")
    with pytest.raises(ModelFileError, match=r"tokenizer.json must be a tokenizer"):
        CodeTokenizer.load(path)


def test_saving_and_loading_keeps_the_encoding(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "tokenizer.json")
    again = CodeTokenizer.load(tmp_path / "tokenizer.json")
    text = "def f(x):\n    return x  # é😀\n"
    assert again.encode(text) == tokenizer.encode(text)


class Counting:
    """A tokenizer that notes what it is asked for."""

    def __init__(self, inner):
        self.inner, self.asked = inner, []

    def encode(self, text, **options):
        self.asked.append(text)
        return self.inner.encode(text, **options)


def test_of_long_lines_the_latest_alone_are_kept(tokenizer, monkeypatch):
    counting = Counting(tokenizer._tokenizer)
    monkeypatch.setattr(tokenizer, "_tokenizer", counting)
    lines = [f"{n} = " + "x" * LONG_LINE for n in range(KEPT_LONG_LINES + 1)]
    for line in [*lines, lines[-1], lines[0]]:
        assert tokenizer.decode(tokenizer.encode(line)) == line
    assert counting.asked == [*lines, lines[0]]

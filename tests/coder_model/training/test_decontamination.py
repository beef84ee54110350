import gzip
import hashlib
import itertools
import json

import pytest

from coder_model.errors import CorpusError
from coder_model.training.decontamination import GRAM, MAX_GRAMS, MAX_LINE_PAIRS, KeptOut

LINES = [f"value_number_{i} = compute({i})" for i in range(10)]
WORDS = [f"word{i}" for i in range(40)]


def test_files_that_share_lines_are_named(tmp_path):
    squeezed = ["".join(line.split()) for line in LINES]
    pairs = itertools.pairwise(squeezed)
    hashes = [hashlib.blake2b(f"{a}\n{b}".encode(), digest_size=8).digest() for a, b in pairs]
    (tmp_path / "known.bin").write_bytes(b"".join(sorted(hashes)))
    kept_out = KeptOut.read([tmp_path / "known.bin"], [])
    shared = MAX_LINE_PAIRS + 1
    assert kept_out.reason("\n".join(LINES[:shared])) == ""
    assert kept_out.reason("\n\n".join("    " + line for line in LINES[: shared + 1])) == "held-out lines"


def test_files_that_share_runs_of_words_are_named(tmp_path):
    (tmp_path / "cases.jsonl.gz").write_bytes(gzip.compress(json.dumps({"a": {"text": " ".join(WORDS)}}).encode()))
    kept_out = KeptOut.read([], [tmp_path / "cases.jsonl.gz"])
    needed = GRAM + MAX_GRAMS
    assert kept_out.reason("x = " + "(".join(WORDS[5 : 5 + needed])) == "held-out words"
    assert kept_out.reason(" ".join(WORDS[5 : 4 + needed])) == ""
    assert kept_out.reason(" ".join(reversed(WORDS))) == ""


def test_nothing_is_kept_out_by_default():
    assert KeptOut().reason("\n".join(LINES)) == ""


@pytest.mark.parametrize(
    ("data", "message"), [(b"123", "must hold hashes of 8 bytes"), (None, "must be a file of hashes")]
)
def test_a_bad_hash_file_is_named(tmp_path, data, message):
    if data is not None:
        (tmp_path / "h.bin").write_bytes(data)
    with pytest.raises(CorpusError, match=message):
        KeptOut.read([tmp_path / "h.bin"], [])


def test_a_bad_text_file_is_named(tmp_path):
    (tmp_path / "t.jsonl").write_text("{")
    with pytest.raises(CorpusError, match=r"t\.jsonl must hold JSON lines"):
        KeptOut.read([], [tmp_path / "t.jsonl"])

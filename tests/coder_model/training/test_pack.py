import json

import numpy as np
import pytest

from coder_model.errors import CorpusError
from coder_model.training.pack import RUN, pack, unpack
from coder_model.training.shards import Shard, verify, write_manifest, write_split

FILES = {f"project/{n:03d}.py": np.arange(n + 1, dtype=np.uint16) for n in range(5 * RUN)}

TOTAL = sum(map(len, FILES.values()))


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    for split in ("train", "valid"):
        write_split(folder, split, list(FILES), (ids.tobytes() for ids in FILES.values()))
    (folder / "tokenizer.json").write_text("{}")
    write_manifest(folder)
    return folder


def contents(corpus):
    shard = Shard.open(corpus, "train")
    return {name: shard.file(index).tolist() for index, name in enumerate(shard.names)}


def test_parts_put_together_are_the_corpus(corpus, tmp_path):
    parts = pack(corpus, tmp_path / "parts", tokens_per_part=TOTAL // 3)
    assert [part.name for part in parts] == [f"{s}-0{n}.xz" for s in ("train", "valid") for n in (1, 2, 3)]
    unpack(tmp_path / "parts", tmp_path / "again")
    verify(tmp_path / "again")
    assert contents(tmp_path / "again") == contents(corpus) == {name: ids.tolist() for name, ids in FILES.items()}


def test_one_part_alone_is_a_sample_of_whole_runs(corpus, tmp_path):
    for part in pack(corpus, tmp_path / "parts", tokens_per_part=TOTAL // 2):
        if part.name == "train-02.xz":
            part.unlink()
    unpack(tmp_path / "parts", tmp_path / "again")
    names = list(FILES)
    assert list(contents(tmp_path / "again")) == names[:RUN] + names[2 * RUN : 3 * RUN] + names[4 * RUN :]


def test_a_broken_part_is_named(corpus, tmp_path):
    first, *_ = pack(corpus, tmp_path / "parts")
    first.write_bytes(first.read_bytes()[:-30])
    with pytest.raises(CorpusError, match=r"train-01\.xz must be a whole part"):
        unpack(tmp_path / "parts", tmp_path / "again")
    first.unlink()
    with pytest.raises(CorpusError, match=r"must hold a part train-01\.xz"):
        unpack(tmp_path / "parts", tmp_path / "again")


def test_a_missing_corpus_is_named(tmp_path):
    with pytest.raises(CorpusError, match="must hold a prepared train split"):
        pack(tmp_path / "gone", tmp_path / "parts")


def test_a_manifest_lists_every_file(corpus):
    assert set(json.loads((corpus / "manifest.json").read_text())) == {
        f.name for f in corpus.iterdir() if f.name != "manifest.json"
    }

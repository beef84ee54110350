"""A prepared corpus: whole projects held out, files of a source together, damage named."""

import json

import pytest

from coder_model.errors import CorpusError
from coder_model.training.shards import Shard, verify


def test_held_out_projects_are_whole(corpus):
    sources = json.loads((corpus / "sources.json").read_text())
    assert sources["licences"] == {"alpha": "MIT", "beta": "MIT", "gamma": "MIT"}
    assert len(Shard.open(corpus, "train")) == 8
    assert len(Shard.open(corpus, "valid")) == 4


def test_a_broken_shard_is_named(corpus, tmp_path):
    verify(corpus)
    for part in corpus.iterdir():
        if part.is_file():
            (tmp_path / part.name).write_bytes(part.read_bytes())
    (tmp_path / "train.tokens").write_bytes(b"\0\0")
    with pytest.raises(CorpusError, match=r"train\.tokens differ from the manifest"):
        verify(tmp_path)
    with pytest.raises(CorpusError, match="`unmask train prepare` wrote, found no manifest"):
        verify(tmp_path / "gone")


def test_files_of_a_source_lie_together(corpus):
    names = Shard.open(corpus, "train").names
    assert names == [f"{project}/m{i}.py" for project in ("alpha", "beta") for i in range(4)]

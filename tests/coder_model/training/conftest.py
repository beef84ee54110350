"""A corpus of three projects of a few files, prepared once, and rows drawn from it; a user's own code."""

import pytest
from tiny_training import NOISE
from users_training import write_code

from coder_model.model import weights
from coder_model.prompt.tokenizer import CodeTokenizer
from coder_model.training.sampler import Sampler
from coder_model.training.shards import Shard, prepare
from coder_model.training.sources import in_folders

LICENCE = "Permission is hereby granted, free of charge, to any person"


def source(name, n):
    body = "".join(f"def {name}_{i}(value):\n    result = value + {i}\n    return result\n\n\n" for i in range(n))
    return f'"""Module {name}."""\n\n{body}'


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("projects")
    for project in ("alpha", "beta", "gamma"):
        (root / project).mkdir()
        (root / project / "LICENSE").write_text(LICENCE)
        for i in range(4):
            (root / project / f"m{i}.py").write_text(source(f"{project}{i}", 6))
    out = tmp_path_factory.mktemp("corpus")
    prepare(in_folders([root], {}), out, 310, frozenset({"gamma"}))
    return out


@pytest.fixture(scope="session")
def sampler(corpus):
    tokenizer = CodeTokenizer.load(corpus / weights.TOKENIZER)
    return Sampler(Shard.open(corpus, "train"), tokenizer, NOISE, seed=3)


@pytest.fixture
def code(tmp_path):
    return write_code(tmp_path / "code")

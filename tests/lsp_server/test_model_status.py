"""What an editor is told about a model that loads or is broken."""

import shutil

import checkpoints
import pytest
from checkpoints import BY_NAME
from lsp_client import LspClient
from processes import wait_until
from tiny_user import UNMASK, TinyUser


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tiny")
    checkpoints.build(BY_NAME["dreamon"], directory, n_files=3)
    return directory


@pytest.mark.parametrize("broken", ["weights", "config", "nothing"])
def test_a_server_with_a_broken_model_answers_with_the_embedded_one_and_says_why(tmp_path, tiny, broken):
    model = tmp_path / "model"
    if broken != "nothing":
        shutil.copytree(tiny, model)
    if broken == "weights":
        next(model.glob("*.safetensors")).write_bytes(b"PK broken")
    elif broken == "config":
        (model / "config.json").write_text('{"model_type": "gpt2"}')
    client = LspClient([*UNMASK, "lsp", "--model", str(model)], environment=TinyUser(tmp_path / "home").environment)
    try:
        client.open("file:///work/a.py", "def add(a, b):\n    return ")
        assert wait_until(lambda: client.items("file:///work/a.py", 1, 11, 1), 30)
        expected = {
            "weights": "found a pickle",
            "config": "model_type must be one of",
            "nothing": "must be a directory",
        }
        assert wait_until(lambda: any(expected[broken] in message for message in client.told))
    finally:
        client.close()


def test_the_status_follows_a_model_that_loads(tmp_path, tiny):
    user = TinyUser(tmp_path)
    user.configure(f'model = "{tiny}"\nquantize = "int8"\nexact = true\n')
    client = LspClient([*UNMASK, "lsp"], environment=user.environment, options={"deadlineInvokedMs": 60_000})
    try:
        client.open("file:///work/a.py", "x = \n")
        client.items("file:///work/a.py", 0, 4, trigger=1)
        assert wait_until(lambda: client.told[-1].startswith(f"on: {tiny.name}"))
        assert client.told[0] == "the model is loading"
    finally:
        client.close()

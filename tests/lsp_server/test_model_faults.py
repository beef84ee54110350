"""A model's file that changes while a server uses it, or does not fit: one clear line, and the embedded one answers."""

import os

import gguf_files
import pytest
from lsp_client import LspClient
from processes import wait_until
from tiny_user import UNMASK, TinyUser

URI, TEXT = "file:///work/a.py", "def add(a, b):\n    return "


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "tiny.gguf"
    gguf_files.build("qwen2", path, "Q8_0")
    return path


@pytest.fixture
def client(tmp_path, model):
    command = [*UNMASK, "lsp", "--model", str(model), "--quantize", "int8"]
    made = LspClient(command, environment=TinyUser(tmp_path / "home").environment)
    made.open(URI, TEXT)
    yield made
    made.close()


def is_told(client, text, seconds=60):
    return wait_until(lambda: any(text in message for message in client.told), seconds)


def type_on(client, version, count=1):
    """Types and asks: who asks again the same is answered without a model."""
    for number in range(count):
        change = {"range": {"start": place(1, 11), "end": place(1, 11)}, "text": f"x{version + number} + "}
        client.change(URI, version + number, change)
        client.items(URI, 1, 11, 1)


def place(line, character):
    return {"line": line, "character": character}


@pytest.mark.slow
def test_a_file_that_is_cut_while_it_is_used_is_said_and_the_embedded_model_answers(client, model):
    """Nobody is ended by the system: a mapped file that is cut does that."""
    assert is_told(client, "on: tiny.gguf")
    type_on(client, 2)
    os.truncate(model, 4096)
    type_on(client, 3, 3)
    assert is_told(client, "it is shorter now")
    client.open("file:///work/b.py", TEXT)
    assert wait_until(lambda: client.items("file:///work/b.py", 1, 11, 1), 30)
    assert not any("went away" in line for line in client.log)


def test_a_file_that_is_deleted_while_it_is_used_is_used_on(client, model):
    assert is_told(client, "on: tiny.gguf")
    model.unlink()
    type_on(client, 2, 3)
    assert client.told[-1].startswith("on: tiny.gguf")


def test_a_model_that_no_memory_holds_is_said_with_what_would_fit(tmp_path):
    path = tmp_path / "huge.gguf"
    keys = [("add_embedding_length", (1 << 16,)), ("add_feed_forward_length", (1 << 18,)), ("add_block_count", (500,))]
    gguf_files.build("qwen2", path, "Q8_0", keys=keys)
    client = LspClient([*UNMASK, "lsp", "--model", str(path)], environment=TinyUser(tmp_path / "home").environment)
    try:
        client.open(URI, TEXT)
        assert is_told(client, "what would fit:")
        assert wait_until(lambda: client.items(URI, 1, 11, 1), 30)
    finally:
        client.close()

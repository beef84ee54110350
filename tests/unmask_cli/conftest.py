"""A model of one file on servers of loopback, and users who reach more or less of them."""

import pytest
from fake_hub import FakeHub
from fake_index import FakeIndex
from single_file_model import DATA, FILE, NOWHERE, PART_BYTES, REPOSITORY, write_catalogue
from tiny_user import TinyUser


@pytest.fixture
def catalogue(tmp_path):
    return write_catalogue(tmp_path)


@pytest.fixture
def index():
    made = FakeIndex(DATA, PART_BYTES)
    yield made
    made.close()


@pytest.fixture(name="hub")
def _hub(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / FILE).write_bytes(DATA)
    made = FakeHub(folder, REPOSITORY)
    made.portion = 1 << 15
    yield made
    made.close()


@pytest.fixture
def user(tmp_path, index, catalogue):
    """Somebody who cannot reach the hub."""
    return TinyUser(tmp_path / "home", NOWHERE, index.url, catalogue)


@pytest.fixture
def lone(tmp_path, catalogue):
    """Somebody who can reach nothing at all."""
    return TinyUser(tmp_path / "home", NOWHERE, catalogue=catalogue)

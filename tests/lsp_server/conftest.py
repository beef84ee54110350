import pytest
from fakes import SERVER
from lsp_client import LspClient


@pytest.fixture(scope="module")
def shared():
    """One server for the tests of a module that do it no harm."""
    made = LspClient(SERVER)
    yield made
    made.close()


@pytest.fixture
def client():
    made = LspClient(SERVER)
    yield made
    made.close()

import pytest


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    """The key of remote servers, and no proxy before those of loopback."""
    monkeypatch.setenv("TEST_KEY", "k3y")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)

"""Remote servers: what becomes of their faults, and when code may leave at all."""

import asyncio
import ssl

import pytest
import trustme
from fake_service import FakeService
from remote_requests import request, said, settings

from coder_model.types import Cancelled, InvalidInput
from lsp_server.backends import remote
from lsp_server.backends.base import BackendUnavailable
from lsp_server.backends.remote import RemoteBackend, key_of
from lsp_server.status import status_of
from lsp_server.user_settings import Remote


@pytest.mark.parametrize("fault", ["cut", 500, 502, 503])
async def test_a_fault_that_may_pass_is_tried_once_more(fault):
    async with FakeService() as service:
        backend = RemoteBackend(settings(service))
        service.faults = [fault]
        assert await said(backend, request()) == "answer"
        assert len(service.requests) == 2
        service.faults = [fault, fault]
        with pytest.raises(BackendUnavailable, match="127.0.0.1: the server fails"):
            await said(backend, request())
        assert len(service.requests) == 4
        assert backend.state == "down"
        # it is left alone for a while
        with pytest.raises(BackendUnavailable):
            await said(backend, request())
        assert len(service.requests) == 4
        await backend.close()


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        ("garbage", "the answer is not one of /v1/completions"),
        ("shape", "the answer is not one of /v1/completions"),
        ("deep", "the answer is not one of /v1/completions"),
        ("huge", "the answer is not one of /v1/completions"),
        ("redirect", "the server answers 307"),
        (401, "the server answers 401"),
        (404, "the server answers 404"),
        ("slow", "no answer in 0.3 s"),
        (429, "too many requests"),
    ],
)
async def test_a_fault_that_stays_is_not_tried_again(fault, match):
    async with FakeService() as service:
        backend = RemoteBackend(settings(service, timeout_s=0.3))
        changes = []
        backend.on_change = lambda: changes.append(backend.state)
        service.faults = [fault]
        with pytest.raises(BackendUnavailable, match=match):
            await said(backend, request())
        assert len(service.requests) == 1
        assert changes == ["down"]
        backend._resting_until = 0.0
        assert await said(backend, request()) == "answer"
        assert changes == ["down", "ready"]
        assert backend.reason == ""
        await backend.close()


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_what_a_server_says_of_one_request_is_not_held_against_the_next(status):
    async with FakeService() as service:
        backend = RemoteBackend(settings(service))
        service.faults = [status]
        with pytest.raises(BackendUnavailable, match=f"the server answers {status}"):
            await said(backend, request())
        assert backend.state == "ready"
        assert await said(backend, request()) == "answer"
        await backend.close()


async def test_a_request_with_less_time_than_the_server_has_is_not_held_against_it():
    async with FakeService() as service:
        backend = RemoteBackend(settings(service, timeout_s=30))
        service.faults = ["slow"]
        with pytest.raises(BackendUnavailable, match="no answer in the 0.2 s of the request"):
            await said(backend, request(deadline_ms=200.0))
        assert backend.state == "ready"
        assert await said(backend, request()) == "answer"
        await backend.close()


async def test_a_server_says_how_long_to_stay_away():
    async with FakeService() as service:
        backend = RemoteBackend(settings(service))
        service.faults = [(429, {"Retry-After": "30"})]
        with pytest.raises(BackendUnavailable):
            await said(backend, request())
        assert backend._resting_until - asyncio.get_running_loop().time() > 25
        await backend.close()


async def test_the_newest_request_of_a_document_drops_the_older_connection():
    async with FakeService() as service:
        backend = RemoteBackend(settings(service))
        service.faults = ["slow"]
        older = asyncio.create_task(said(backend, request()))
        while not service.requests:
            await asyncio.sleep(0.01)
        assert await said(backend, request(prefix="x = ")) == "answer"
        with pytest.raises(Cancelled):
            await older
        for _ in range(100):
            await asyncio.sleep(0.01)
            if service.dropped:
                break
        assert service.dropped == 1
        assert await said(backend, request("other")) == "answer"
        await backend.close()


async def test_who_types_on_sends_only_the_last_request():
    async with FakeService() as service:
        backend = RemoteBackend(settings(service))
        tasks = []
        for typed in ("x", "xy", "xyz"):
            tasks.append(asyncio.create_task(said(backend, request(prefix=typed))))
            await asyncio.sleep(0.01)
        assert await tasks[-1] == "answer"
        assert [body["prompt"] for body in service.bodies] == ["xyz"]
        assert all(isinstance(found, Cancelled) for found in await asyncio.gather(*tasks[:-1], return_exceptions=True))
        await backend.close()


async def test_nothing_is_sent_that_nobody_waits_for_or_a_server_cannot_answer():
    async with FakeService() as service:
        backend = RemoteBackend(settings(service))
        with pytest.raises(BackendUnavailable):
            await said(backend, request(speculative=True))
        with pytest.raises(BackendUnavailable, match="does not say how likely"):
            await said(backend, request(judged="x = 1"))
        assert not backend.judges
        assert service.requests == []
        await backend.close()


async def test_a_cancelled_request_frees_its_connection():
    async with FakeService() as service:
        backend = RemoteBackend(settings(service))
        service.faults = ["slow"]
        task = asyncio.create_task(said(backend, request()))
        while not service.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(100):
            await asyncio.sleep(0.01)
            if service.dropped:
                break
        assert service.dropped == 1
        await backend.close()


class SecureService(FakeService):
    authority = trustme.CA()

    def tls(self):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.authority.issue_cert("127.0.0.1").configure_cert(context)
        return context


async def test_a_certificate_that_is_not_trusted_stops_everything(tmp_path):
    async with SecureService() as service:
        backend = RemoteBackend(settings(service))
        with pytest.raises(BackendUnavailable, match="certificate is not trusted"):
            await said(backend, request())
        assert service.requests == []
        await backend.close()
        authorities = tmp_path / "authorities.pem"
        SecureService.authority.cert_pem.write_to_path(authorities)
        backend = RemoteBackend(settings(service, certificates=str(authorities)))
        assert await said(backend, request()) == "answer"
        await backend.close()


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"kind": "mercury", "key_variable": "NOT_THERE"}, "mercury needs a key, found none in .NOT_THERE"),
        ({"kind": "mercury"}, "found none in the keyring .`unmask key mercury`."),
        ({"kind": "openai"}, "remote.url must be HTTPS"),
        ({"kind": "openai", "url": "http://example.com"}, "remote.url must be HTTPS, or on this machine"),
        ({"kind": "openai", "url": "ftp://127.0.0.2"}, "remote.url must be HTTPS, or on this machine"),
        ({"kind": "openai", "url": "https://x:port"}, "remote.url must be an address"),
        ({"kind": "openai", "url": "https://x", "certificates": "/none"}, "remote.certificates must be a file"),
    ],
)
def test_settings_that_lack_something_are_named(values, match, monkeypatch):
    monkeypatch.setattr(remote, "_from_keyring", lambda _: "")
    with pytest.raises(InvalidInput, match=match):
        RemoteBackend(Remote(**values))


@pytest.mark.parametrize(
    ("url", "receiver"), [("https://x.example/", "x.example"), ("http://127.0.0.1:8", ""), ("http://localhost", "")]
)
def test_the_status_says_where_code_goes(url, receiver):
    assert RemoteBackend(Remote("openai", url=url)).receiver == receiver
    expected = "on, code goes to x.example" if receiver else "on"
    assert status_of("ready", "", None, 1.0, receiver)["message"] == expected


def test_the_key_comes_from_the_keyring_where_no_variable_is_named(monkeypatch):
    monkeypatch.setattr(remote, "_from_keyring", lambda kind: f"of {kind}")
    assert key_of(Remote("mercury")) == "of mercury"
    assert key_of(Remote("mercury", key_variable="TEST_KEY")) == "k3y"

import asyncio
import json
import os

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from signed_tokens import public

from coder_model.types import InvalidInput
from shared_server import key_set
from shared_server.key_set import AddressKeys, FileKeys, PublicKey, found, parsed


def set_of(*keys):
    return json.dumps({"keys": keys}).encode()


def test_a_key_fits_the_algorithms_of_its_kind():
    assert PublicKey("RSA").fits("PS384")
    assert not PublicKey("RSA").fits("HS256")
    assert not PublicKey("RSA").fits("none")
    assert not PublicKey("RSA", alg="RS256").fits("PS256")
    assert not PublicKey("EC", crv="P-384").fits("ES256")
    assert not PublicKey("RSA", use="enc").fits("RS256")


def test_a_token_has_its_key_by_name_or_the_only_one_there_is():
    keys = parsed(set_of(public("RSA"), public("RSA", 1), public("P-256"), {"kty": "new", "kid": "later"}))
    assert found(keys, "RSA 1", "RS256").kid == "RSA 1"
    assert found(keys, None, "ES256").kid == "P-256 0"
    assert found(keys, None, "RS256") is None
    assert found(keys, "later", "RS256") is None
    assert found((*keys, *keys), "RSA 1", "RS256") is None


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "a JSON Web Key Set"),
        (b"[]", "a JSON Web Key Set"),
        (b'{"keys": [{"kid": "x"}]}', "kty"),
        (b"[" * 100_000, "a JSON Web Key Set"),
        (set_of({"kty": "oct", "k": "c2VjcmV0"}), "secret"),
        (set_of({**public("RSA"), "d": "AQAB"}), "secret"),
        (set_of({**public("RSA"), "n": "!"}), "2048 bits"),
        (
            set_of(json.loads(RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024).public_key()))),
            "2048 bits or more, found one of 1024",
        ),
    ],
)
def test_a_set_that_must_not_be_used_is_named(data, match):
    with pytest.raises(InvalidInput, match=match):
        parsed(data)


def test_a_file_is_read_again_when_it_changes_and_lets_nobody_in_while_it_is_broken(tmp_path, caplog):
    path = tmp_path / "jwks"
    path.write_bytes(set_of(public("RSA")))
    keys = FileKeys(path)
    assert keys.find("RSA 0", "RS256")
    path.write_bytes(set_of(public("RSA", 1)))
    os.utime(path, (1, 1))
    assert keys.find("RSA 0", "RS256") is None
    assert keys.find("RSA 1", "RS256")
    path.write_bytes(b"{")
    assert keys.find("RSA 1", "RS256") is None
    assert keys.find("RSA 1", "RS256") is None
    assert len(caplog.records) == 1
    assert "nobody is let in by a token of the provider: oidc.keys must be" in caplog.text
    path.unlink()
    assert keys.find("RSA 1", "RS256") is None
    for wrong in (path, tmp_path):
        with pytest.raises(InvalidInput, match="oidc.keys must be"):
            FileKeys(wrong)


class Site:
    """What stands at an address."""

    def __init__(self, monkeypatch):
        self.keys, self.asked, self.now = AddressKeys("https://id.example.com/jwks", lambda: self.now), 0, 0.0
        self.answer = httpx2.Response(200, content=set_of(public("RSA")))
        self.keys._client = httpx2.AsyncClient(transport=httpx2.MockTransport(self.answered))
        monkeypatch.setattr(key_set, "SOONEST_S", 0.02)

    def answered(self, request):
        assert str(request.url) == "https://id.example.com/jwks"
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def serves(self, number, status=200, **more):
        self.answer = httpx2.Response(status, content=set_of(public("RSA", number)), **more)

    async def until_asked(self, times):
        async with asyncio.timeout(10):
            while self.asked < times:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)


async def test_an_address_is_asked_at_the_start_and_when_a_key_is_wanted_that_is_not_there(monkeypatch):
    site = Site(monkeypatch)
    await site.keys.start()
    for _ in range(50):
        assert site.keys.find("RSA 0", "RS256")
    await asyncio.sleep(0.1)
    assert site.asked == 1
    site.serves(1)
    for _ in range(50):
        assert site.keys.find("RSA 1", "RS256") is None
    await site.until_asked(2)
    assert site.keys.find("RSA 1", "RS256")
    assert site.asked == 2
    await site.keys.close()


@pytest.mark.parametrize(
    "fault",
    [
        httpx2.ConnectError("no"),
        httpx2.ReadTimeout("late"),
        httpx2.Response(500),
        httpx2.Response(302, headers={"location": "https://evil.example.com"}),
        httpx2.Response(200, content=b"<html>"),
        httpx2.Response(200, content=b" " * ((1 << 20) + 1)),
        httpx2.Response(200, content=set_of({"kty": "oct"})),
    ],
    ids=repr,
)
async def test_while_an_address_fails_the_keys_of_a_day_go_on(monkeypatch, fault, caplog):
    site = Site(monkeypatch)
    await site.keys.start()
    site.answer = fault
    site.keys.find("gone", "RS256")
    await site.until_asked(2)
    assert site.keys.find("RSA 0", "RS256")
    assert "oidc.keys must be" in caplog.text
    site.now += key_set.OLDEST_S
    assert site.keys.find("RSA 0", "RS256") is None
    await site.keys.close()


async def test_without_keys_at_the_start_nobody_is_let_in_until_there_are(monkeypatch):
    site = Site(monkeypatch)
    site.answer = httpx2.ConnectError("no")
    await site.keys.start()
    assert site.keys.find("RSA 0", "RS256") is None
    site.serves(0)
    await site.until_asked(2)
    assert site.keys.find("RSA 0", "RS256")
    await site.keys.close()

import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization as ser
from shared import FIM, GENEROUS, PATIENT, FakeBackend, body, client_of, pool_of
from signed_tokens import ALL, AUDIENCE, ISSUER, KIND_OF, MAKE, part, private, public, signed

from coder_model.types import InvalidInput
from shared_server.oidc import ProviderTokens
from shared_server.settings import Provider, ServeSettings, read_settings
from shared_server.tokens import Caller, add_token


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [public(kind) for kind in MAKE]}))
    return path


@pytest.fixture
def provider(keys):
    return ProviderTokens(Provider(ISSUER, AUDIENCE, str(keys), ALL))


@pytest.mark.parametrize("algorithm", ALL)
def test_a_token_of_the_provider_says_who_asks(provider, algorithm):
    assert provider.caller(signed(KIND_OF.get(algorithm, "RSA"), algorithm)) == Caller("red", "auth0|ann")


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://id.example.com/"},
        {"iss": None},
        {"iss": 7},
        {"aud": "another"},
        {"aud": None},
        {"aud": []},
        {"exp": int(time.time()) - 60},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": int(time.time()) + 600},
        {"iat": int(time.time()) + 600},
        {"tenant": None},
        {"tenant": ["red"]},
        {"tenant": "red blue"},
        {"tenant": ""},
        {"tenant": "r" * 65},
        {"sub": None},
        {"sub": "an\nn"},
        {"sub": ""},
    ],
)
def test_a_token_with_other_claims_is_nobodys(provider, claims):
    assert provider.caller(signed(**claims)) is None


def test_one_of_several_audiences_is_enough_and_clocks_may_differ_a_little(provider):
    assert provider.caller(signed(aud=["other", AUDIENCE]))
    assert provider.caller(signed(exp=int(time.time()) - 5))


def test_claims_of_other_names_may_say_it(keys):
    named = ProviderTokens(Provider(ISSUER, AUDIENCE, str(keys), ALL, "team", "email"))
    assert named.caller(signed(team="blue", email="ann@example.com")) == Caller("blue", "ann@example.com")
    assert named.caller(signed()) is None


def test_another_ones_signature_is_nobodys(provider):
    assert provider.caller(signed(key=private("RSA", 1))) is None
    head, said, signature = signed().split(".")
    _, others, _ = signed(tenant="blue").split(".")
    assert provider.caller(f"{head}.{others}.{signature}") is None
    assert provider.caller(f"{head}.{said}.") is None
    assert provider.caller(f"{head}.{said}") is None


def test_no_signature_and_one_with_a_shared_secret_are_nobodys(provider, keys):
    assert (
        provider.caller(jwt.encode({"iss": ISSUER, "aud": AUDIENCE, "tenant": "red", "sub": "a"}, None, "none")) is None
    )
    # the public key as a secret, which anybody has: by hand, as libraries refuse to make such a token
    pem = private("RSA").public_key().public_bytes(ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo)
    _, said, _ = signed().split(".")
    for secret in (pem, keys.read_bytes(), b""):
        head = part(json.dumps({"alg": "HS256", "kid": "RSA 0"}).encode())
        mark = hmac.digest(secret or b"\0", f"{head}.{said}".encode(), "sha256")
        assert provider.caller(f"{head}.{said}.{part(mark)}") is None


def test_an_algorithm_that_is_not_allowed_or_of_another_kind_of_key_is_nobodys(keys):
    narrow = ProviderTokens(Provider(ISSUER, AUDIENCE, str(keys), ("ES256",)))
    assert narrow.caller(signed("P-256", "ES256"))
    assert narrow.caller(signed()) is None
    wide = ProviderTokens(Provider(ISSUER, AUDIENCE, str(keys), ALL))
    assert wide.caller(signed("P-256", "ES256", head={"kid": "RSA 0"})) is None
    keys.write_text(json.dumps({"keys": [public("RSA", alg="RS512"), public("P-256", use="enc")]}))
    assert wide.caller(signed()) is None
    assert wide.caller(signed(algorithm="RS512"))
    assert wide.caller(signed("P-256", "ES256")) is None


def test_a_token_that_names_no_key_is_of_the_only_one_that_fits(keys, provider):
    assert provider.caller(signed(head={}))
    keys.write_text(json.dumps({"keys": [public("RSA"), public("RSA", 1)]}))
    assert provider.caller(signed(head={})) is None
    assert provider.caller(signed(number=1))
    assert provider.caller(signed(head={"kid": "gone"})) is None


@pytest.mark.parametrize(
    "odd", ["", ".", "..", "a.b.c", "eyJ.eyJ.", "x" * 9000, "\xff.a.b", "e30.e30.e30", "W10.e30.AA", "bnVsbA.e30.AA"]
)
def test_what_is_no_token_is_nobodys(provider, odd):
    assert provider.caller(odd) is None


@pytest.mark.parametrize("name", [["a"], {}, 1, "x" * 5000])
def test_odd_names_of_keys_are_nobodys(provider, name):
    _, said, signature = signed().split(".")
    odd = part(json.dumps({"alg": "RS256", "kid": name}).encode())
    assert provider.caller(f"{odd}.{said}.{signature}") is None


async def test_behind_the_gateway_they_count_beside_tokens_of_the_file(tmp_path, keys):
    token = add_token(tmp_path / "tokens", "blue", "ben")
    settings = ServeSettings(
        host="0.0.0.0", tokens=str(tmp_path / "tokens"), audit=str(tmp_path / "audit"), quota=GENEROUS, limits=PATIENT,
        oidc=Provider(ISSUER, AUDIENCE, str(keys)),
    )  # fmt: skip
    backend = FakeBackend()
    async with client_of(settings, {"unmask": pool_of(backend)}) as client:
        for word, status in ((token, 200), (signed(), 200), (signed(tenant="blue"), 200), (signed(aud="x"), 401)):
            headers = {"authorization": f"Bearer {word}", "x-session-id": "same"}
            assert (await client.post(FIM, json=body(), headers=headers)).status_code == status
        operator = {"authorization": f"Bearer {signed(tenant='operators')}"}
        assert (await client.get("/metrics", headers=operator)).status_code == 200
        assert (await client.get("/metrics", headers={"authorization": f"Bearer {signed()}"})).status_code == 403
    assert len({request.session for request in backend.requests}) == 3
    lines = [json.loads(line) for line in (tmp_path / "audit").read_text().splitlines()]
    assert [(one["tenant"], one["user"]) for one in lines] == [
        ("blue", "ben"),
        ("red", "auth0|ann"),
        ("blue", "auth0|ann"),
        ("", ""),
    ]


@pytest.mark.parametrize("wrong", ["HS256", "none", "RS1"])
def test_no_other_algorithm_can_be_allowed(tmp_path, wrong):
    path = tmp_path / "serve.toml"
    path.write_text(f'[oidc]\nissuer = "i"\naudience = "a"\nkeys = "k"\nalgorithms = ["{wrong}"]\n')
    with pytest.raises(InvalidInput, match="algorithms"):
        read_settings(path)


def test_an_address_of_keys_must_be_safe():
    for good in ("https://id.example.com/jwks", "http://127.0.0.1:9/jwks", "http://localhost/jwks", "jwks.json"):
        assert Provider("i", "a", good).keys == good
    for bad in ("http://id.example.com/jwks", "file:///etc/passwd", "http://localhost.evil.com/x"):
        with pytest.raises(InvalidInput, match="HTTPS"):
            Provider("i", "a", bad)

"""An identity provider of some lines: keys that are made when they are wanted, and tokens."""

import base64
import json
import time
from functools import cache

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER, AUDIENCE = "https://id.example.com", "unmask"
ALL = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
MAKE = {
    "RSA": (lambda: rsa.generate_private_key(65537, 2048), RSAAlgorithm),
    "P-256": (lambda: ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
    "P-384": (lambda: ec.generate_private_key(ec.SECP384R1()), ECAlgorithm),
    "P-521": (lambda: ec.generate_private_key(ec.SECP521R1()), ECAlgorithm),
    "Ed25519": (ed25519.Ed25519PrivateKey.generate, OKPAlgorithm),
}
KIND_OF = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}


@cache
def private(kind, number=0):
    return MAKE[kind][0]()


def public(kind, number=0, **more):
    """A key as it stands in a set."""
    key = json.loads(MAKE[kind][1].to_jwk(private(kind, number).public_key()))
    key.pop("key_ops", None)
    return key | {"kid": f"{kind} {number}", "use": "sig", "x5c": ["ignored"]} | more


def signed(kind="RSA", algorithm="RS256", number=0, head=None, key=None, **claims):
    now = int(time.time())
    said = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": "auth0|ann", "tenant": "red", "iat": now, "exp": now + 300,
    } | claims  # fmt: skip
    said = {name: value for name, value in said.items() if value is not None}
    head = {"kid": f"{kind} {number}"} if head is None else head
    # as PyJWS, which signs claims that make no sense, too
    return jwt.PyJWS().encode(json.dumps(said).encode(), key or private(kind, number), algorithm, headers=head)


def part(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

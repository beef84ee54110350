"""What the operator decides: which engines there are, who may ask, and how much. One TOML file, read at the start."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from coder_model.errors import reason_of
from coder_model.ranges import AboveZero, Count, Milliseconds, NotNegative, Positive
from coder_model.types import InvalidInput
from lsp_server.user_settings import Remote

Name = Annotated[str, msgspec.Meta(pattern=r"^[\w.-]{1,64}$")]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]  # fmt: skip
"""Signatures of a private key; none with a secret that both sides know, none without a signature."""
Rate = Annotated[float, msgspec.Meta(gt=0, le=1e6)]


class Quota(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one tenant may ask for, of each gateway."""

    requests_per_s: Rate = 20.0
    burst: Annotated[float, msgspec.Meta(ge=1, le=1e6)] = 60.0
    """Requests at once, after a while without any."""
    in_flight_per_user: Positive = 4
    """Requests of one person that wait or run at a time."""
    weight: AboveZero = 1.0
    """Share of the engines beside other tenants when there is not enough for all."""


class Canary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another model of our own that some sessions ask instead, until it errs."""

    model: str
    """As `model` of an engine."""
    share: Annotated[float, msgspec.Meta(gt=0, le=0.5)] = 0.1
    """Of the sessions."""


class EngineSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model that the gateway offers: our own engine, or a server that speaks a protocol of `remote_apis.py`."""

    name: Name = "unmask"
    """What clients call it, in `model`."""
    model: str = "embedded"
    """Of our own engine: `embedded`, the name of an installed model, or a path with a separator in it."""
    verifier: str = ""
    quantize: str = "auto"
    replicas: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1
    max_ongoing: Count = 0
    """Requests that a replica works at; 0: as many as the engine runs together."""
    sessions: Positive = 64
    """Places of documents whose caches a replica keeps."""
    cache_mb: Count = 512
    """Units of 2**20 bytes that these take together on a CPU."""
    gpus: Annotated[float, msgspec.Meta(ge=0, le=16)] = 0.0
    """GPUs that Ray reserves for each replica."""
    cpus: Annotated[float, msgspec.Meta(ge=0, le=256)] = 1.0
    """Processor cores that Ray reserves for each replica."""
    most_replicas: Count = 0
    """Replicas that Ray may start when requests wait; 0: `replicas`, always."""
    remote: Remote | None = None
    """Ask this server instead of an engine of our own; see `docs/usage.md`."""
    canary: Canary | None = None
    """Not under Ray, which has deployments for it."""


class Provider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An identity provider whose tokens are taken (OpenID Connect)."""

    issuer: Annotated[str, msgspec.Meta(min_length=1)]
    """What `iss` must be, to the letter."""
    audience: Annotated[str, msgspec.Meta(min_length=1)]
    """What `aud` must be, or hold."""
    keys: Annotated[str, msgspec.Meta(min_length=1)]
    """The provider's JSON Web Key Set: a file, or an address (https, or on this machine)."""
    algorithms: Annotated[tuple[Algorithm, ...], msgspec.Meta(min_length=1)] = ("RS256", "ES256")
    tenant: Annotated[str, msgspec.Meta(min_length=1)] = "tenant"
    """Name of the claim that says which tenant somebody is of; who has the operators' sees the figures."""
    user: Annotated[str, msgspec.Meta(min_length=1)] = "sub"
    """Name of the claim that says who asks."""
    leeway_s: Annotated[float, msgspec.Meta(ge=0, le=300)] = 30.0
    """Seconds by which the provider's clock may differ from this one."""

    def __post_init__(self) -> None:
        if "://" in self.keys and not re.match(r"https://|http://(?:localhost|127\.0\.0\.1|\[::1\])[:/]", self.keys):
            raise InvalidInput(
                f"oidc.keys must be a file, or an address by HTTPS or on this machine, got {self.keys!r}"
            )


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What no request may exceed."""

    body_kb: Annotated[int, msgspec.Meta(ge=1, le=16_384)] = 256
    body_s: AboveZero = 5.0
    """Seconds within which a request must have arrived."""
    waiting_per_slot: Positive = 4
    """Requests that may wait for each that runs."""
    head_s: AboveZero = 10.0
    """Seconds within which the head of a request must have arrived."""
    answer_s: AboveZero = 10.0
    """Seconds that a client may take to read its answer."""
    connections: Positive = 1000
    connections_per_client: Positive = 256
    """Of one address, or of one /64 of IPv6; a proxy before the server is one client. Not under Ray."""
    typing_ms: Milliseconds = 800.0
    """Time of a request that names no deadline, made while somebody types."""
    manual_ms: Milliseconds = 3000.0
    """The same of one that somebody waits for."""
    farthest_ms: Milliseconds = 60_000.0
    """A deadline is at most so far away."""


class ServeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file's content. Paths are those of the process that reads it."""

    host: str = "127.0.0.1"
    port: Port = 8011
    tokens: str = ""
    """File of hashed tokens, see `tokens.py`; without one, and without a provider, only this machine may ask."""
    oidc: Provider | None = None
    """An identity provider whose tokens count beside those."""
    operators: Name = "operators"
    """The tenant whose tokens open `/metrics`."""
    audit: str = ""
    """File to which a line about each request is added, without text; none when empty."""
    certificate: str = ""
    key: str = ""
    """TLS of this server itself; both empty where something before it ends TLS."""
    traces: str = ""
    """Address of an OpenTelemetry collector (OTLP over HTTP); none when empty."""
    leave_s: NotNegative = 0.0
    """Seconds after SIGTERM in which all is answered, and `/healthz` is 503, before the port closes. Not under Ray."""
    gateways: Positive = 1
    """Processes that take requests, under Ray."""
    limits: Limits = Limits()
    quota: Quota = Quota()
    """Of a tenant that has none of its own."""
    tenants: dict[str, Quota] = {}
    engines: tuple[EngineSettings, ...] = (EngineSettings(),)

    def __post_init__(self) -> None:
        names = [engine.name for engine in self.engines]
        if not names or len(names) != len(set(names)):
            raise InvalidInput(f"engines must be at least one, of different names, got {', '.join(names) or 'none'}")
        if bool(self.certificate) != bool(self.key):
            raise InvalidInput("certificate and key must be given together")
        if self.is_public and not (self.tokens or self.oidc):
            raise InvalidInput(f"tokens must be a file where others can ask, or oidc a provider (host {self.host!r})")

    @property
    def is_public(self) -> bool:
        """Whether anything but this machine can reach the port."""
        return self.host not in ("127.0.0.1", "::1", "localhost")


def read_settings(path: Path | None) -> ServeSettings:
    """Reads the operator's file; all defaults where none is named.

    Raises:
        InvalidInput: when it cannot be read, is no TOML, or says what is not known; names the file and the setting.
    """
    if path is None:
        return ServeSettings()
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), ServeSettings)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} must be settings of `unmask serve`: {reason_of(error)}") from error

"""The public keys of an identity provider: a JSON Web Key Set (RFC 7517), from a file or from an address.

Keys are looked up without the network. A file is read again when it has changed; an address is asked at the start, then
each hour, and sooner when a token names a key that is not there, but not more than once a minute.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from coder_model.errors import lacks_packages
from coder_model.types import InvalidInput

logger = logging.getLogger(__name__)
AGAIN_S, SOONEST_S, OLDEST_S = 3600.0, 60.0, 86_400.0
"""Between two looks at an address; the same when a key is wanted; keys that are older are not trusted any more."""
ASK_S, MOST_BYTES = 5.0, 1 << 20
LEAST_RSA_BITS = 2048
_FITS = {
    ("RSA", ""): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""Algorithms of each kind of key, by its type and curve."""


class PublicKey(msgspec.Struct, frozen=True, omit_defaults=True):
    """One key of a set, with the fields that are read of it."""

    kty: str
    kid: str = ""
    use: str = ""
    alg: str = ""
    crv: str = ""
    n: str = ""
    e: str = ""
    x: str = ""
    y: str = ""
    d: str = ""
    """Of a private key, which must not be here."""

    def fits(self, algorithm: str) -> bool:
        """Returns whether a signature by this algorithm may be checked with this key."""
        kinds = _FITS.get((self.kty, self.crv), ())
        return self.use in ("", "sig") and algorithm in kinds and self.alg in ("", algorithm)


class _Set(msgspec.Struct, frozen=True):
    keys: tuple[PublicKey, ...]


def parsed(data: bytes) -> tuple[PublicKey, ...]:
    """Returns the keys of a set; those that check no signature are there, and fit no algorithm.

    Raises:
        InvalidInput: for what is no set, and for a key that is secret or too short.
    """
    try:
        keys = msgspec.json.decode(data, type=_Set).keys
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidInput(f"a JSON Web Key Set: {error}") from None
    for key in keys:
        if key.kty == "oct" or key.d:
            raise InvalidInput("a set of public keys, found one that is secret")
        if key.kty == "RSA" and _bits(key.n) < LEAST_RSA_BITS:
            raise InvalidInput(f"RSA keys of {LEAST_RSA_BITS} bits or more, found one of {_bits(key.n)}")
    return keys


def _bits(number: str) -> int:
    try:
        return int.from_bytes(base64.urlsafe_b64decode(number + "=="), "big").bit_length()
    except (binascii.Error, ValueError):
        return 0


def found(keys: tuple[PublicKey, ...], name: object, algorithm: str) -> PublicKey | None:
    """Returns the key that a token names; the only one that fits where it names none."""
    fit = [key for key in keys if key.fits(algorithm) and name in (None, key.kid)]
    return fit[0] if len(fit) == 1 else None


class FileKeys:
    """The keys of a file, as it is now; none while it cannot be used, which the log says once."""

    def __init__(self, path: Path) -> None:
        """Reads the file.

        Raises:
            InvalidInput: names the file and what it must be.
        """
        self._path, self._state, self._fault = path, (0, 0), ""
        self._keys: tuple[PublicKey, ...] = ()
        self._refresh()

    def find(self, name: object, algorithm: str) -> PublicKey | None:
        """Returns the key of a token; see `found`."""
        try:
            self._refresh()
        except InvalidInput as error:
            if str(error) != self._fault:
                self._fault = str(error)
                logger.error("nobody is let in by a token of the provider: %s", error)
            return None
        self._fault = ""
        return found(self._keys, name, algorithm)

    async def start(self) -> None:
        """Does nothing."""

    async def close(self) -> None:
        """Does nothing."""

    def _refresh(self) -> None:
        try:
            facts = self._path.stat()
            if (state := (facts.st_mtime_ns, facts.st_size)) != self._state:
                self._keys, self._state = parsed(self._path.read_bytes()), state
        except (OSError, InvalidInput) as error:
            self._keys, self._state = (), (0, 0)
            raise InvalidInput(f"oidc.keys must be {error}: {self._path}") from error


class AddressKeys:
    """The keys of an address that the operator names."""

    def __init__(self, address: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Takes the address; opens no connection.

        Raises:
            InvalidInput: when the packages for it are not there.
        """
        try:
            import httpx2
        except ImportError as error:
            raise InvalidInput(f"what oidc.keys is fetched with is {lacks_packages('serve')}") from error
        # a redirect would let somebody else say who may ask
        self._client = httpx2.AsyncClient(timeout=ASK_S, follow_redirects=False)
        self._fault = httpx2.HTTPError
        self._address, self._clock = address, clock
        self._keys: tuple[PublicKey, ...] = ()
        self._got = -OLDEST_S
        self._wanted = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    def find(self, name: object, algorithm: str) -> PublicKey | None:
        """Returns the key of a token, see `found`; one that is not there may be there a moment later."""
        keys = self._keys if self._clock() - self._got < OLDEST_S else ()
        key = found(keys, name, algorithm)
        if key is None:
            self._wanted.set()
        return key

    async def start(self) -> None:
        """Fetches the keys, and keeps them new."""
        await self._fetch()
        self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Ends that."""
        if self._keeper:
            self._keeper.cancel()
        await self._client.aclose()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(SOONEST_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_S - SOONEST_S):
                    await self._wanted.wait()
            self._wanted.clear()
            await self._fetch()

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(ASK_S), self._client.stream("GET", self._address) as response:
                if response.status_code != 200:
                    raise InvalidInput(f"answered with 200, not {response.status_code}")
                data = b""
                async for part in response.aiter_bytes():
                    data += part
                    if len(data) > MOST_BYTES:
                        raise InvalidInput(f"at most {MOST_BYTES} bytes")
            self._keys, self._got = parsed(data), self._clock()
        except (self._fault, TimeoutError, InvalidInput) as error:
            # what was fetched before goes on for a day
            logger.warning("oidc.keys must be %s", error if isinstance(error, InvalidInput) else "reachable")

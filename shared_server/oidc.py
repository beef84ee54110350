"""Who may ask, by tokens of an identity provider (OpenID Connect): signed JSON Web Tokens, checked without asking it.

A token counts when its signature is of a public key of the provider, by an algorithm that the operator allows (never
none, never one with a shared secret), when it is from the issuer, for this audience, and in time. Its claims name the
tenant and the person; a name that a tenant cannot have is nobody's.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from coder_model.errors import lacks_packages
from coder_model.types import InvalidInput
from shared_server.key_set import AddressKeys, FileKeys
from shared_server.tokens import Caller

if TYPE_CHECKING:
    from shared_server.settings import Provider

MOST_CHARS = 8192
"""Of a token."""
_TENANT, _USER = re.compile(r"[\w.-]{1,64}"), re.compile(r"[\x21-\x7e]{1,255}")


class ProviderTokens:
    """Tokens of one provider."""

    def __init__(self, provider: Provider) -> None:
        """Takes the settings, and reads the keys where they are a file.

        Raises:
            InvalidInput: when the keys cannot be used, or packages are missing.
        """
        try:
            import jwt
            from jwt.algorithms import has_crypto
        except ImportError as error:
            raise InvalidInput(f"what checks tokens of a provider is {lacks_packages('serve,oidc')}") from error
        if not has_crypto:
            raise InvalidInput(f"what checks signatures is {lacks_packages('serve,oidc')}")
        self._jwt, self._provider = jwt, provider
        is_address = "://" in provider.keys
        self.keys = AddressKeys(provider.keys) if is_address else FileKeys(Path(provider.keys))

    def caller(self, token: str) -> Caller | None:
        """Returns whose token this is; None when it does not count."""
        if len(token) > MOST_CHARS or not token.isascii():
            return None
        jwt, provider = self._jwt, self._provider
        try:
            head = jwt.get_unverified_header(token)
            algorithm = head.get("alg")
            key = self.keys.find(head.get("kid"), algorithm) if algorithm in provider.algorithms else None
            if key is None:
                return None
            claims = jwt.decode(
                token,
                jwt.PyJWK({name: getattr(key, name) for name in _PARTS if getattr(key, name)}, algorithm),
                algorithms=[algorithm],
                audience=provider.audience,
                issuer=provider.issuer,
                leeway=provider.leeway_s,
                options={"require": ["exp", "iss", "aud"]},
            )
        except (jwt.PyJWTError, ValueError, RecursionError):
            return None
        tenant, user = claims.get(provider.tenant), claims.get(provider.user)
        if not (isinstance(tenant, str) and _TENANT.fullmatch(tenant)):
            return None
        return Caller(tenant, user) if isinstance(user, str) and _USER.fullmatch(user) else None


_PARTS = ("kty", "crv", "n", "e", "x", "y")
"""Of a key, what its signatures are checked with."""

"""Who is let in on a port of this machine: no other page of a browser, and nobody without the token.

Any page can reach such a port. So `Host` must be ours (no rebound name), and `Origin` ours wherever it is sent, each of
them once, for two could be read differently by two readers. Listens to nothing itself.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

HERE = "127.0.0.1"


def objection(port: int, hosts: Sequence[str], origins: Sequence[str], *, needs_origin: bool = False) -> str:
    """Returns why a request is refused, by its headers `Host` and `Origin`; empty when it is not.

    Args:
        port: that it came to.
        hosts: all values of `Host`.
        origins: all values of `Origin`.
        needs_origin: whether only a page may ask.
    """
    ours = {f"{name}:{port}" for name in (HERE, "localhost")}
    if len(hosts) != 1 or hosts[0] not in ours:
        return "Host must be the address of this server"
    if (needs_origin or origins) and (len(origins) != 1 or origins[0] not in {f"http://{host}" for host in ours}):
        return "Origin must be a page of this server"
    return ""


def is_token(word: str, token: str) -> bool:
    """Returns whether a word is the token; takes as long whichever it is."""
    return hmac.compare_digest(word.encode("utf-8", "surrogateescape"), token.encode())

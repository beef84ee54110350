"""What a request can be told instead of an answer: a status, one line of reason, and when to come again."""

from __future__ import annotations

from http import HTTPStatus


class Problem(Exception):
    """Ends a request; the reason quotes nothing that anybody has sent, and nothing of another tenant."""

    def __init__(self, status: int, reason: str, retry_after_s: int = 0) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason
        self.retry_after_s = retry_after_s
        """Seconds, of the header `Retry-After`; 0: no header."""

    @property
    def headers(self) -> dict[str, str]:
        """What the status wants besides itself."""
        headers = {"WWW-Authenticate": "Bearer"} if self.status == HTTPStatus.UNAUTHORIZED else {}
        return headers | ({"Retry-After": str(self.retry_after_s)} if self.retry_after_s else {})


def invalid(reason: str) -> Problem:
    """Returns the problem of a request that is not what it must be."""
    return Problem(HTTPStatus.BAD_REQUEST, reason)


def superseded() -> Problem:
    """Returns the problem of a request whose session has asked again."""
    return Problem(HTTPStatus.CONFLICT, "a newer request of this session has taken its place")


def too_late() -> Problem:
    """Returns the problem of a request whose deadline has passed."""
    return Problem(HTTPStatus.GATEWAY_TIMEOUT, "the deadline has passed before there was an answer")


def overloaded(retry_after_s: int) -> Problem:
    """Returns the problem of a request that there is no room for."""
    reason = "too many requests of this priority wait already"
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, reason, max(1, retry_after_s))


def over_quota(reason: str, retry_after_s: int) -> Problem:
    """Returns the problem of a tenant, or a person, who asks for more than is theirs."""
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, reason, max(1, retry_after_s))


def unavailable() -> Problem:
    """Returns the problem of a request that no replica answers; why is for the operators alone."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "no replica of this model answers at present", 2)

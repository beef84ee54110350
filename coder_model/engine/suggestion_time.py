"""How long a usual suggestion takes on this machine, measured when a model is loaded, and what is read first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import median

from coder_model.types import Draft, FillRequest

SESSION = "suggestion-time"
_FILE = '''"""Orders of a small shop."""

from dataclasses import dataclass, field


@dataclass
class Line:
    name: str
    price: float
    amount: int = 1


@dataclass
class Order:
    customer: str
    lines: list[Line] = field(default_factory=list)

    def add(self, name: str, price: float, amount: int = 1) -> None:
        self.lines.append(Line(name, price, amount))

    def total(self) -> float:
        return sum(line.price * line.amount for line in self.lines)

    def names(self) -> list[str]:
        return [line.name for line in self.lines]


def cheapest(orders: list[Order]) -> Order:
    return min(orders, key=lambda order: order.total())
'''
PLACES = ("self.lines.append(", "return sum(", "return [line")
"""Ends of prefixes."""


def suggestion_ms(warm: Callable[[FillRequest], object], fill: Callable[[FillRequest], Iterable[Draft]]) -> float:
    """Returns the median time of a line at a place that was read when the cursor came there, in milliseconds.

    Args:
        warm: of an engine whose weights have been used before; the session is `SESSION`.
        fill: of the same engine.
    """
    times = []
    for place in PLACES:
        warm(request := _request(place))
        *_, last = fill(request)
        times.append(last.elapsed_ms)
    return median(times)


def usual_request() -> FillRequest:
    """Returns a request whose context, of a usual length, nobody has read before: how long that takes is of use."""
    return _request(PLACES[0])


def _request(place: str) -> FillRequest:
    end = _FILE.index(place) + len(place)
    return FillRequest(SESSION, _FILE[:end], _FILE[_FILE.index("\n", end) :], hole="line", path="orders.py")

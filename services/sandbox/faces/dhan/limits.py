"""How often a client may ask (BROKERS 6), counted by the machine's own calendar seconds, minutes, hours and days.

By the machine's clock, not the market's: clients pace themselves by theirs, also where market time stands still or runs
fast. Invariant (property-tested): no client gets more answers in a window than the limit, and none pays for another.
"""

from enum import StrEnum

from services.sandbox.faces.dhan.problems import too_many
from tradebus.kernel.clock import Clock, WallClock
from tradebus.kernel.time import NANOSECONDS_PER_SECOND

_SECOND, _MINUTE, _HOUR, _DAY = 1, 60, 3_600, 86_400
_ORDER_PATHS = ("/v2/orders", "/v2/super/orders", "/v2/forever/orders", "/v2/alerts/orders", "/v2/positions")


class Kind(StrEnum):
    """What a request is counted as."""

    ORDER = "ORDER"
    QUOTE = "QUOTE"
    DATA = "DATA"
    OTHER = "OTHER"


# Window in seconds: requests in it.
ALLOWANCES: dict[Kind, dict[int, int]] = {
    Kind.ORDER: {_SECOND: 10, _MINUTE: 250, _HOUR: 1_000, _DAY: 7_000},
    Kind.QUOTE: {_SECOND: 1},
    Kind.DATA: {_SECOND: 5, _DAY: 100_000},
    Kind.OTHER: {_SECOND: 20},
}
CHAIN_SECONDS = 3  # one option chain per underlying and expiry


def kind_of(method: str, path: str) -> Kind:
    """By method and path."""
    if path.startswith("/v2/marketfeed"):
        return Kind.QUOTE
    if path.startswith("/v2/charts"):
        return Kind.DATA
    if method != "GET" and path.startswith(_ORDER_PATHS):
        return Kind.ORDER
    return Kind.OTHER


class Limits:
    """Counts per client. A request that is one too many is not counted."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or WallClock()
        self._counts: dict[tuple[str, Kind, int], tuple[int, int]] = {}  # number of the window, requests in it
        self._chains: dict[tuple[str, str], int] = {}

    def take(self, account: str, method: str, path: str) -> None:
        """Raises DhanProblem, 429, where it is one too many."""
        kind, second = kind_of(method, path), self._clock.now_ns() // NANOSECONDS_PER_SECOND
        following: dict[tuple[str, Kind, int], tuple[int, int]] = {}
        for width, allowed in ALLOWANCES[kind].items():
            current, key = second // width, (account, kind, width)
            window, count = self._counts.get(key, (current, 0))
            count = count + 1 if window == current else 1
            if count > allowed:
                raise too_many(path)
            following[key] = (current, count)
        self._counts.update(following)

    def take_chain(self, account: str, chain: str) -> None:
        """For the option chain: the same one again only after three seconds. Raises DhanProblem, 429."""
        now_ns = self._clock.now_ns()
        last_ns = self._chains.get((account, chain))
        if last_ns is not None and now_ns - last_ns < CHAIN_SECONDS * NANOSECONDS_PER_SECOND:
            raise too_many("/v2/optionchain")
        self._chains[account, chain] = now_ns

"""What may befall a request, or a word of the order stream, on its way; drawn one by one while the weather is bad."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from services.cli.drill.simulation.draws import Draws
from tradebus.kernel.time import NANOSECONDS_PER_SECOND

K = TypeVar("K", bound=StrEnum)
NEAR_SECONDS = (0.005, 0.06)
FAR_SECONDS = (1.0, 19.0)  # what a broker may be slow by; later arrivals are reconciliation's to find


class NetworkFault(StrEnum):
    """Of one request."""

    DELAY = "delay"  # it arrives, or its answer does, after seconds
    NEVER_ARRIVES = "request lost"
    ACCEPT_THEN_DROP = "accept, then drop"  # it is done, and nobody says so
    SERVER_ERROR = "5xx"  # before anything is done
    SERVER_ERROR_AFTER = "5xx after it was done"
    THROTTLED = "429"
    STALE_BOOK = "stale book"  # the order book as it was some seconds ago


class StreamFault(StrEnum):
    """Of one word of the order stream."""

    DROP = "update lost"
    DUPLICATE = "update twice"
    LATE = "update late, out of order"


@dataclass(frozen=True, slots=True)
class Fate:
    """How long the way there and back takes (seconds), and what goes wrong."""

    there: float
    back: float
    fault: NetworkFault | None = None


@dataclass(frozen=True, slots=True)
class Mishap:
    """What befalls the `number`-th request that has these words; a delay is one of the way there, of `seconds`."""

    words: str
    fault: NetworkFault
    number: int = 1
    seconds: float = 0.0


@dataclass(slots=True)
class Weather:
    """How often what goes wrong. `rates` and `stream_rates` by fault, `mishaps` for certain; nothing goes wrong after
    `clear`."""

    draws: Draws
    now_ns: Callable[[], int]
    rates: Mapping[NetworkFault, float]
    stream_rates: Mapping[StreamFault, float]
    mishaps: Sequence[Mishap] = ()
    is_bad: bool = True
    is_out: bool = False  # the broker answers nobody
    counted: Counter[str] = field(default_factory=Counter)
    spans_ns: list[tuple[int, int]] = field(default_factory=list)  # of every fault, from its beginning to its end
    _met: Counter[Mishap] = field(default_factory=Counter)

    def clear(self) -> None:
        self.is_bad = False

    def fate(self, what: str, *, reads: bool) -> Fate:
        """Of one request; `reads` says whether it asks for a book."""
        fated = self._fated(what) if self.is_bad else None
        if fated is not None:
            return fated
        draws = self.draws
        there, back = draws.between(*NEAR_SECONDS), draws.between(*NEAR_SECONDS)
        fault = self._drawn(self.rates) if self.is_bad else None
        if fault is None or (fault is NetworkFault.STALE_BOOK and not reads):
            return Fate(there, back)
        far = draws.between(*FAR_SECONDS) if fault is NetworkFault.DELAY else 0.0
        self._count(fault, seconds=far)
        if far:
            there, back = (far, back) if draws.chance(0.5) else (there, far)
        return Fate(there, back, fault)

    def _fated(self, what: str) -> Fate | None:
        about = [one for one in self.mishaps if one.words in what]
        self._met.update(about)  # each counts every request of its words, whichever it strikes
        for one in about:
            if self._met[one] == one.number:
                is_late = one.fault is NetworkFault.DELAY
                self._count(one.fault, seconds=one.seconds if is_late else 0.0)
                return Fate(one.seconds if is_late else NEAR_SECONDS[0], NEAR_SECONDS[0], one.fault)
        return None

    def word(self) -> list[float]:
        """After how many seconds a word of the order stream is heard, once for each time."""
        near = self.draws.between(*NEAR_SECONDS)
        fault = self._drawn(self.stream_rates) if self.is_bad else None
        if fault is None:
            return [near]
        self._count(fault)
        if fault is StreamFault.DROP:
            return []
        if fault is StreamFault.DUPLICATE:
            return [near, near + self.draws.between(0.0, 3.0)]
        return [near + self.draws.between(0.1, 3.0)]

    def _count(self, fault: NetworkFault | StreamFault, *, seconds: float = 0.0) -> None:
        self.counted[fault.value] += 1
        now_ns = self.now_ns()
        self.spans_ns.append((now_ns, now_ns + round(seconds * NANOSECONDS_PER_SECOND)))

    def _drawn(self, rates: Mapping[K, float]) -> K | None:
        left = self.draws.share()
        for fault, rate in rates.items():
            left -= rate
            if left < 0:
                return fault
        return None

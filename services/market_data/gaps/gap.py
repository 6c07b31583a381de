"""A gap of data, and what is said of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from tradebus.contracts.base import event_id_for
from tradebus.contracts.market import CandlesRestored, DataGap, DataRecovered
from tradebus.kernel.ids import derive_id

SOURCE = "market_data"


class FeedGroup(NamedTuple):
    """What is judged together: instruments of one exchange and class that come over one connection."""

    connection: int
    exchange: str
    market_class: str

    def __str__(self) -> str:
        return f"{self.exchange} {self.market_class} on connection {self.connection + 1}"


@dataclass(frozen=True, slots=True)
class Gap:
    """One row of the ledger: whole minutes from `from_ns` to `to_ns` (exclusive; None while data stays away).

    `announced` says that entries wait for it: data stayed away for longer than a reconnect takes. It is open until
    `filled_ns`; `attempts` and `problem` say how filling it went.
    """

    gap_id: str
    broker: str
    exchange: str
    market_class: str
    instruments: tuple[int, ...]
    symbols: tuple[str, ...]
    from_ns: int
    reason: str
    announced: bool
    to_ns: int | None = None
    attempts: int = 0
    problem: str = ""
    filled_ns: int | None = None
    candles_corrected: int = 0

    def failed(self, problem: str) -> "Gap":
        """One more attempt that did not fill it."""
        return replace(self, attempts=self.attempts + 1, problem=problem[:300])


def new_gap(
    group: FeedGroup,
    *,
    broker: str,
    symbols: Mapping[int, str],
    from_ns: int,
    now_ns: int,
    reason: str,
    announced: bool,
) -> Gap:
    """A gap that begins; `symbols` by instrument id. The same loss found again has the same id."""
    return Gap(
        derive_id(now_ns, "data gap", broker, *group, from_ns), broker, group.exchange, group.market_class,
        tuple(symbols), tuple(symbols.values()), from_ns, reason, announced,
    )  # fmt: skip


def gap_message(gap: Gap, *, now_ns: int) -> DataGap:
    """DATA_GAP of an announced gap."""
    return DataGap(**_common(gap, DataGap.TYPE, gap.from_ns, now_ns), **_place(gap), reason=gap.reason)


def recovered_message(gap: Gap, *, now_ns: int) -> DataRecovered:
    """DATA_RECOVERED of an announced gap that is filled."""
    return DataRecovered(
        **_common(gap, DataRecovered.TYPE, now_ns, now_ns), **_place(gap), to_ns=gap.to_ns or now_ns,
        candles_corrected=gap.candles_corrected,
    )  # fmt: skip


def restored_message(
    *, broker: str, symbols: Mapping[int, str], from_ns: int, to_ns: int, candles: int, corrected: int, reason: str,
    now_ns: int,
) -> CandlesRestored:  # fmt: skip
    """CANDLES_RESTORED: history of these instruments stands in the book."""
    event_id = event_id_for(CandlesRestored.TYPE, now_ns, broker, from_ns, to_ns, *symbols)
    return CandlesRestored(
        event_id=event_id, ts_event_ns=now_ns, ts_recorded_ns=now_ns, source=SOURCE, trace_id=event_id, broker=broker,
        instruments=tuple(symbols), symbols=tuple(symbols.values()), from_ns=from_ns, to_ns=to_ns, candles=candles,
        candles_corrected=corrected, reason=reason,
    )  # fmt: skip


def _common(gap: Gap, message_type: str, ts_ns: int, now_ns: int) -> dict[str, object]:
    return {
        "event_id": event_id_for(message_type, ts_ns, gap.gap_id), "ts_event_ns": ts_ns, "ts_recorded_ns": now_ns,
        "source": SOURCE, "trace_id": gap.gap_id, "causation_id": gap.gap_id,
    }  # fmt: skip


def _place(gap: Gap) -> dict[str, object]:
    return {
        "gap_id": gap.gap_id, "broker": gap.broker, "exchange": gap.exchange, "market_class": gap.market_class,
        "instruments": gap.instruments, "symbols": gap.symbols, "from_ns": gap.from_ns,
    }  # fmt: skip

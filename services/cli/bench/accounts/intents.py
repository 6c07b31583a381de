"""What risk would ask of execution: entries of one lot that fill at once, and their exits."""

from dataclasses import dataclass

from services.cli.brokers.sandbox_admin import SandboxClock
from tradebus.bus.port import Outgoing
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.risk import EntryApproved, ExitApproved
from tradebus.contracts.signals import Side
from tradebus.contracts.streams import INTENTS, key_of
from tradebus.kernel.ids import derive_id

KEY = "NFO:NIFTY:2026-12-29:FUT"
START = "2026-11-25T10:00:00"  # of the sandbox's market: a Wednesday, five weeks before the contract ends
_SECOND_NS = 1_000_000_000
_ENVELOPE = {"ts_recorded_ns": 1, "source": "bench", "trace_id": "bench", "user_id": "bench", "strategy": "bench"}


@dataclass(frozen=True, slots=True)
class TradedFuture:
    """What is traded, as the sandbox lists it."""

    symbol: str
    lot_size: int
    tick_paise: int

    @property
    def instrument(self) -> Instrument:
        return Instrument(
            instrument_id=0, symbol=self.symbol, exchange="NFO", kind="FUTURE", market_class="derivative",
            underlying="NIFTY", tick_size_paise=self.tick_paise, instrument_key=KEY,
        )  # fmt: skip


class BenchIntents:
    """Approvals in the market's time. A session has its face's name."""

    def __init__(self, future: TradedFuture, clock: SandboxClock) -> None:
        self._future, self._clock = future, clock
        self._made = 0

    def entry(self, face: str, *, last_paise: int, valid_seconds: float = 60.0) -> EntryApproved:
        """Limited above the last price, with stop and target out of reach."""
        self._made += 1
        at_ns, price = self._clock.now_ns(), self._on_tick(last_paise * 1.003)
        pos_id = derive_id(at_ns, "bench", face, self._made)
        return EntryApproved.model_validate({
            **_ENVELOPE, "event_id": derive_id(at_ns, "bench entry", face, self._made), "ts_event_ns": at_ns,
            "session_id": face, "pos_id": pos_id, "signal_id": pos_id, "intent_id": f"in {pos_id}",
            "symbol": self._future.symbol, "instrument": 0, "side": Side.LONG, "rule": "all_passed",
            "quantity": self._future.lot_size, "lot_size": self._future.lot_size,
            "tick_size_paise": self._future.tick_paise, "price_paise": price,
            "stop_paise": self._on_tick(price * 0.95), "target_paise": self._on_tick(price * 1.05),
            "valid_until_ns": at_ns + int(valid_seconds * _SECOND_NS), "max_slippage_pct": 0.5,
            "order_timeout_seconds": 300,
        })  # fmt: skip

    def exit_of(self, entry: EntryApproved) -> ExitApproved:
        at_ns = self._clock.now_ns()
        return ExitApproved.model_validate({
            **_ENVELOPE, "event_id": derive_id(at_ns, "bench exit", entry.intent_id), "ts_event_ns": at_ns,
            "session_id": entry.session_id, "pos_id": entry.pos_id, "intent_id": f"out {entry.pos_id}",
            "symbol": entry.symbol, "instrument": entry.instrument, "side": entry.side, "rule": "exit_signal",
            "reason": "bench",
        })  # fmt: skip

    def _on_tick(self, paise: float) -> int:
        return round(paise) // self._future.tick_paise * self._future.tick_paise


def outgoing(message: EntryApproved | ExitApproved) -> Outgoing:
    return Outgoing(key_of(INTENTS), message.TYPE, message.to_json())

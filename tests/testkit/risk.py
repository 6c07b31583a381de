"""What risk reads: valid signals, reports, commands and ticks of one session, with as little said as possible."""

from collections.abc import Sequence
from datetime import date, time
from typing import Any

import numpy as np

from tradebus.contracts.instruments import Instrument
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.contracts.records import TICK, Records
from tradebus.contracts.sessions import RiskLimits, SessionSpec, Sizing, StrategySpec
from tradebus.contracts.signals import Side
from tradebus.kernel.ids import derive_id
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_to_ns
from tradebus.risk.commands import Command, CommandKind
from tradebus.risk.terms import SessionTerms, Situation
from tradebus.trading.facts import (
    EntrySignal,
    ExitSignal,
    OrderCancelled,
    OrderFilled,
    OrderPartiallyFilled,
    OrderRejected,
    PositionClosed,
    PositionOpened,
)

DAY = date(2024, 1, 10)
SECOND = NANOSECONDS_PER_SECOND


def _instrument(number: int, symbol: str, **fields: Any) -> Instrument:
    given = {"kind": "EQUITY", "market_class": "equity", **fields}
    return Instrument(instrument_id=number, symbol=symbol, underlying=symbol, tick_size_paise=5, **given)


STOCK, OTHER = _instrument(1, "SBIN"), _instrument(2, "TCS")
INDEX = _instrument(3, "BANKNIFTY", kind="INDEX", market_class="derivative")
INSTRUMENTS = {one.instrument_id: one for one in (STOCK, OTHER, INDEX)}


def at(clock: str, day: date = DAY) -> int:
    """The instant of an Indian wall-clock time, "10:00" or "10:00:30"."""
    return ist_to_ns(day, time.fromisoformat(clock))


def spec(
    session_id: str = "session-1", *, capital_paise: int = 100_000_000, strategies: Sequence[StrategySpec] = (),
    sizing: Sizing | None = None, **limits: Any,
) -> SessionSpec:  # fmt: skip
    """Ten lakh rupees; no cooldown and a small share of the risk unless said otherwise."""
    return SessionSpec(
        session_id=session_id,
        user_id="user-1" if session_id == "session-1" else f"user-of-{session_id}",
        symbols=("SBIN", "TCS", "BANKNIFTY"),
        strategies=tuple(strategies) or (StrategySpec(name="orb"),),
        capital_paise=capital_paise,
        sizing=sizing,
        limits=RiskLimits(**{"cooldown_seconds": 0, **limits}),
    )


def situation(
    of: SessionSpec | None = None, *, data_ns: int = 0, killed: bool = False, paced: bool = False, **limits: Any
) -> Situation:
    terms = SessionTerms.of(of or spec(**limits), max_signal_age_seconds=60, approval_valid_seconds=120)
    return Situation(terms=terms, instruments=INSTRUMENTS, killed=killed, data_ns=data_ns, paced=paced)


def _envelope(kind: str, ts_ns: int, pos_id: str, *cause: str | int, session_id: str) -> dict[str, Any]:
    return {
        "event_id": derive_id(ts_ns, kind, session_id, pos_id, *cause),
        "ts_event_ns": ts_ns,
        "trace_id": f"trace-{pos_id}",
        "user_id": "user-1",
        "session_id": session_id,
        "pos_id": pos_id,
    }


def entry(
    pos_id: str = "p1", *, ts_ns: int | None = None, price_paise: int = 50_000, stop_paise: int = 49_500,
    instrument: Instrument = STOCK, side: Side = Side.LONG, strategy: str = "orb", target_paise: int | None = None,
    session_id: str = "session-1", confidence: float = 0.5,
) -> EntrySignal:  # fmt: skip
    return EntrySignal(
        **_envelope("ENTRY_SIGNAL", ts_ns or at("10:00"), pos_id, session_id=session_id),
        strategy=strategy, symbol=instrument.symbol, instrument=instrument.instrument_id, side=side,
        price_paise=price_paise, reason="test", stop_paise=stop_paise, target_paise=target_paise, confidence=confidence,
    )  # fmt: skip


def exit_signal(
    pos_id: str = "p1", *, ts_ns: int | None = None, instrument: Instrument = STOCK, side: Side = Side.LONG,
    strategy: str = "orb", session_id: str = "session-1",
) -> ExitSignal:  # fmt: skip
    return ExitSignal(
        **_envelope("EXIT_SIGNAL", ts_ns or at("10:10"), pos_id, session_id=session_id),
        strategy=strategy, symbol=instrument.symbol, instrument=instrument.instrument_id, side=side,
        price_paise=50_000, reason="target near",
    )  # fmt: skip


def opened(
    pos_id: str = "p1", *, ts_ns: int | None = None, quantity: int = 100, price_paise: int = 50_000,
    instrument: Instrument = STOCK, side: Side = Side.LONG, strategy: str = "orb", session_id: str = "session-1",
) -> PositionOpened:  # fmt: skip
    return PositionOpened(
        **_envelope("POSITION_OPENED", ts_ns or at("10:00:01"), pos_id, quantity, session_id=session_id),
        strategy=strategy, symbol=instrument.symbol, instrument=instrument.instrument_id, side=side,
        quantity=quantity, average_price_paise=price_paise, stop_paise=49_500, target_paise=None,
    )  # fmt: skip


def closed(
    pos_id: str = "p1", *, ts_ns: int | None = None, net_pnl_paise: int = 1_000, quantity: int = 100,
    instrument: Instrument = STOCK, side: Side = Side.LONG, strategy: str = "orb", session_id: str = "session-1",
) -> PositionClosed:  # fmt: skip
    return PositionClosed(
        **_envelope("POSITION_CLOSED", ts_ns or at("10:20"), pos_id, session_id=session_id),
        strategy=strategy, symbol=instrument.symbol, instrument=instrument.instrument_id, side=side,
        quantity=quantity, entry_price_paise=50_000, exit_price_paise=50_000, gross_pnl_paise=net_pnl_paise,
        charges_paise=0, net_pnl_paise=net_pnl_paise, r_multiple=None, mae_r=None, mfe_r=None, reason="test",
        opened_ts_ns=at("10:00:01"),
    )  # fmt: skip


def _order(
    kind: str, pos_id: str, ts_ns: int, role: OrderRole, transaction: Transaction, number: int, session_id: str,
    instrument: Instrument,
) -> dict[str, Any]:  # fmt: skip
    return {
        **_envelope(kind, ts_ns, pos_id, role, number, session_id=session_id),
        "order_id": f"{pos_id}-{role}", "broker_order_id": None, "tag": f"{pos_id}-{role}", "role": role,
        "strategy": "orb", "symbol": instrument.symbol, "instrument": instrument.instrument_id,
        "transaction": transaction, "order_type": OrderType.MARKET, "quantity": 100,
    }  # fmt: skip


def fill(
    pos_id: str = "p1", *, quantity: int, price_paise: int, ts_ns: int | None = None, number: int = 1,
    role: OrderRole = OrderRole.ENTRY, transaction: Transaction = Transaction.BUY, last: bool = False,
    instrument: Instrument = STOCK, session_id: str = "session-1",
) -> OrderFilled | OrderPartiallyFilled:  # fmt: skip
    """One fill: ORDER_PARTIALLY_FILLED, or ORDER_FILLED where it is the `last`."""
    at_ns = ts_ns or at("10:00:01")
    fields = _order("ORDER_FILLED", pos_id, at_ns, role, transaction, number, session_id, instrument)
    fields |= {
        "fill_id": f"{pos_id}-{role}-{number}", "fill_quantity": quantity, "fill_price_paise": price_paise,
        "filled_quantity": quantity,
    }  # fmt: skip
    return OrderFilled(**fields, average_price_paise=price_paise) if last else OrderPartiallyFilled(**fields)


def cancelled(
    pos_id: str = "p1", *, filled_quantity: int = 0, ts_ns: int | None = None, role: OrderRole = OrderRole.ENTRY,
    session_id: str = "session-1", instrument: Instrument = STOCK,
) -> OrderCancelled:  # fmt: skip
    fields = _order(
        "ORDER_CANCELLED", pos_id, ts_ns or at("10:00:31"), role, Transaction.BUY, 1, session_id, instrument
    )
    return OrderCancelled(**fields, filled_quantity=filled_quantity, reason="timeout")


def rejected(
    pos_id: str = "p1", *, ts_ns: int | None = None, role: OrderRole = OrderRole.ENTRY, session_id: str = "session-1",
    instrument: Instrument = STOCK,
) -> OrderRejected:  # fmt: skip
    fields = _order("ORDER_REJECTED", pos_id, ts_ns or at("10:00:01"), role, Transaction.BUY, 1, session_id, instrument)
    return OrderRejected(**fields, reason="no margin")


def command(kind: CommandKind, *, ts_ns: int, number: int = 1) -> Command:
    return Command(kind=kind, ts_event_ns=ts_ns, event_id=f"command-{number}", trace_id="command")


def ticks(*rows: tuple[int, int, int]) -> Records:
    """Ticks from (instant, instrument id, price in paise)."""
    batch = np.zeros(len(rows), dtype=TICK)
    if rows:
        batch["ts_event_ns"], batch["instrument"], batch["price_paise"] = zip(*rows, strict=True)
    return batch


def every_second(start_ns: int, instrument: Instrument, prices_paise: Sequence[int]) -> Records:
    """One tick a second, from `start_ns` on."""
    return ticks(
        *((start_ns + number * SECOND, instrument.instrument_id, price) for number, price in enumerate(prices_paise))
    )

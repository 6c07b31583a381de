"""What flows where: the messages of each sparse stream, the records of each dense one, and what their fields mean.

The published documents (`tradebus.contracts.export`) are made from this, the models and the stream table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tradebus.contracts import commands, market, orders, risk, sessions, signals
from tradebus.contracts.base import Message
from tradebus.contracts.records import CANDLE, QUOTE, TICK
from tradebus.contracts.streams import (
    COMMANDS,
    INTENTS,
    MD_CANDLES,
    MD_GAPS,
    MD_QUOTES,
    MD_TICKS,
    ORDERS,
    RISK,
    SESSIONS,
    SIGNALS,
    SIGNALS_MANUAL,
    SIGNALS_WEBHOOK,
    Stream,
)

MESSAGES_ON: Mapping[str, tuple[type[Message], ...]] = {
    COMMANDS.name: (
        commands.StartTrading, commands.StopTrading, commands.PauseTrading, commands.ResumeTrading, commands.Flatten,
        commands.Settle, commands.ApproveEntry, commands.RefuseEntry, commands.Kill, commands.SetLimits,
    ),
    SESSIONS.name: (
        sessions.SessionStarted, sessions.SessionStopped, sessions.SessionPaused, sessions.SessionResumed,
        sessions.SessionFailed, sessions.LimitsChanged, sessions.CommandRejected, sessions.KillSwitch,
        sessions.EntryPutAside,
    ),
    MD_GAPS.name: (market.DataGap, market.CandlesRestored, market.DataRecovered),
    SIGNALS.name: (signals.ArmLong, signals.ArmShort, signals.EntrySignal, signals.ExitSignal, signals.StrategyFailed),
    SIGNALS_MANUAL.name: (signals.EntrySignal, signals.ExitSignal),
    SIGNALS_WEBHOOK.name: (signals.EntrySignal, signals.ExitSignal),
    INTENTS.name: (risk.EntryApproved, risk.EntryReduced, risk.ExitApproved),
    RISK.name: (risk.EntryAwaitsApproval, risk.EntryBlocked, risk.SessionHalted),
    ORDERS.name: (
        orders.OrderPlaced, orders.OrderPartiallyFilled, orders.OrderFilled, orders.OrderRejected,
        orders.OrderCancelled, orders.OrderTimeout, orders.OrderSlippage, orders.OrderUnknown, orders.StopPlaced,
        orders.StopMoved, orders.PositionOpened, orders.PositionClosed, orders.SquareOffForced,
        orders.PositionUnprotected, orders.Reconciled,
        orders.ReconcileMismatch,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RecordLayout:
    """A dense entry: `kind` as on the bus, the stream it flows on, and the meaning of each field of a record."""

    kind: str
    stream: Stream
    dtype: "np.dtype[Any]"
    meanings: Mapping[str, str]


RECORDS: tuple[RecordLayout, ...] = (
    RecordLayout(
        "ticks",
        MD_TICKS,
        TICK,
        {
            "ts_event_ns": "exchange time; the time of receipt where the exchange sent none",
            "ts_received_ns": "when the frame arrived here",
            "price_paise": "last traded price",
            "volume_cumulative": "the exchange's volume of the day in units; 0 where unknown, as for an index",
            "open_interest": "in units; 0 where unknown",
            "bid_paise": "best bid; 0 where unknown",
            "ask_paise": "best ask; 0 where unknown",
            "last_quantity": "units of the last trade",
            "instrument": "instruments.instrument_id",
        },
    ),
    RecordLayout(
        "quotes",
        MD_QUOTES,
        QUOTE,
        {
            "ts_event_ns": "exchange time; the time of receipt where the exchange sent none",
            "ts_received_ns": "when the frame arrived here",
            "ts_last_trade_ns": "when the last trade was made",
            "price_paise": "last traded price",
            "average_price_paise": "of the day, by volume",
            "open_paise": "of the day",
            "high_paise": "of the day",
            "low_paise": "of the day",
            "previous_close_paise": "the close of the trading day before",
            "volume_cumulative": "the exchange's volume of the day in units",
            "open_interest": "in units",
            "open_interest_high": "of the day",
            "open_interest_low": "of the day",
            "total_buy_quantity": "units wanted in the whole book",
            "total_sell_quantity": "units offered in the whole book",
            "bid_paise": "five levels, best first; 0 where there is no more",
            "ask_paise": "five levels, best first; 0 where there is no more",
            "bid_quantity": "units per level",
            "ask_quantity": "units per level",
            "bid_orders": "orders per level",
            "ask_orders": "orders per level",
            "last_quantity": "units of the last trade",
            "instrument": "instruments.instrument_id",
            "fields": "which of the above the packet carried, as bits QUOTE_HAS_*; what it lacked is 0",
            "padding": "nothing",
        },
    ),
    RecordLayout(
        "candles",
        MD_CANDLES,
        CANDLE,
        {
            "ts_open_ns": "first instant of the bar",
            "ts_close_ns": "exclusive end: the instant the bar is complete",
            "open_paise": "first price",
            "high_paise": "highest price",
            "low_paise": "lowest price",
            "close_paise": "last price",
            "volume": "units traded in the bar",
            "open_interest": "at the end of the bar; 0 where unknown",
            "instrument": "instruments.instrument_id",
            "timeframe_seconds": "60, 180, 300, 900, 1800, 3600 or 86400",
            "tick_count": "ticks the bar was made of",
            "flags": "1: the bar replaces one that was published before, or was missing (CANDLE_CORRECTED)",
        },
    ),
)

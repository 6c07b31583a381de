"""Depth and chain as a strategy sees them: nothing made up, the same in another process, no entry without them."""

from datetime import date

import numpy as np
import pytest

from tradebus.contracts.records import (
    QUOTE,
    QUOTE_HAS_DEPTH,
    QUOTE_HAS_OPEN_INTEREST,
    QUOTE_HAS_OPEN_INTEREST_RANGE,
    QUOTE_HAS_TOTAL_QUANTITIES,
)
from tradebus.runtime.isolation.wire import ask_from, step_of
from tradebus.strategies.lane.asking import Ask
from tradebus.strategies.lane.decisions import Moment, settle
from tradebus.strategies.market_views import Level, chain_of, quote_of
from tradebus.strategies.protocol import Action, Candle, Context, Decision

SIDE = {
    "price_paise": 10, "bid_paise": 9, "ask_paise": 11, "volume": 5, "open_interest": 100, "previous_open_interest": 90,
    "implied_volatility": 0.12,
}  # fmt: skip
EXPIRY = date(2024, 1, 25)
ALL = QUOTE_HAS_DEPTH | QUOTE_HAS_TOTAL_QUANTITIES | QUOTE_HAS_OPEN_INTEREST | QUOTE_HAS_OPEN_INTEREST_RANGE


def record(fields: int) -> np.void:
    rows = np.zeros(1, QUOTE)
    rows["bid_paise"][0], rows["ask_paise"][0] = (99, 98, 0, 0, 0), (101, 102, 103, 0, 0)
    rows["bid_quantity"][0], rows["ask_quantity"][0] = (5, 0, 0, 0, 0), (1, 2, 3, 0, 0)
    rows["bid_orders"][0], rows["ask_orders"][0] = (1, 0, 0, 0, 0), (1, 1, 1, 0, 0)
    rows["total_buy_quantity"], rows["open_interest"], rows["open_interest_high"] = 500, 70, 80
    rows["price_paise"], rows["fields"] = 100, fields
    return rows[0]


def test_a_quote_shows_what_the_packet_carried_and_nothing_else() -> None:
    bare = quote_of(record(0))
    assert (bare.bids, bare.asks, bare.total_buy_quantity, bare.open_interest) == ((), (), None, None)
    full = quote_of(record(ALL))
    assert full.bids == (Level(99, 5, 1),)
    assert full.asks == (Level(101, 1, 1), Level(102, 2, 1), Level(103, 3, 1))
    assert (full.total_buy_quantity, full.open_interest, full.open_interest_high) == (500, 70, 80)


def test_the_put_call_ratio_is_of_open_interest_and_none_where_no_call_is_open() -> None:
    rows = [
        {"strike_paise": 200, "call": SIDE, "put": {**SIDE, "open_interest": 300}},
        {"strike_paise": 100, "call": None, "put": SIDE},
    ]
    chain = chain_of("NIFTY", EXPIRY, 1, rows)
    assert [row.strike_paise for row in chain.strikes] == [100, 200]
    assert chain.put_call_ratio == 4.0
    assert chain_of("NIFTY", EXPIRY, 1, rows[1:]).put_call_ratio is None


@pytest.mark.parametrize("payload", [None, [{}], [{"strike_paise": 1, "call": {"price_paise": 1}, "put": None}], "no"])
def test_what_is_no_chain_is_named(payload: object) -> None:
    with pytest.raises(ValueError, match="the option chain of NIFTY 2024-01-25 cannot be read"):
        chain_of("NIFTY", EXPIRY, 1, payload)


def test_the_process_of_a_strategy_file_is_shown_the_same() -> None:
    chain = chain_of("NIFTY", EXPIRY, 1, [{"strike_paise": 200, "call": SIDE, "put": None}])
    context = Context("X", None, 1, 2, chain.put_call_ratio, False, quote_of(record(QUOTE_HAS_DEPTH)), chain)
    ask = Ask(Candle(1, 2, 3, 3, 3, 3, 0), context)
    assert ask_from(step_of(ask, 1)).context == context


@pytest.mark.parametrize(("action", "kept"), [(Action.ENTER_LONG, False), (Action.ARM_LONG, True), (Action.HOLD, True)])
def test_nothing_is_entered_for_lack_of_what_is_needed(action: Action, kept: bool) -> None:
    decision = Decision(action, "because", stop_paise=90)
    settled = settle(decision, Moment("candle", 1, 100), position=None, paused=False, missing="no_quote")
    assert (settled is decision) == kept
    assert settled.reason == ("because" if kept else "no_quote: because")

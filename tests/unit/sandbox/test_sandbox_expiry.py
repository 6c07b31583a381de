"""The last day of a contract: settlement in cash, and the tax on what is exercised."""

from datetime import date

import pytest
from testkit.exchange_hands import BUY, SELL, at, last, place, still
from testkit.sandbox_days import COARSE, go

from services.sandbox.ports import Refusal, SandboxStatus, Why
from tradebus.trading.charges import exercise_stt_paise


def test_on_expiry_day_contracts_are_settled_at_the_underlying_and_then_are_gone():
    exchange = still("2026-12-01T15:30:00", instruments=1500, **COARSE)
    options = [one for one in exchange.instruments if str(one.key).startswith("NFO:NIFTY:2026-12-01:")]
    spot = last(exchange, at(exchange, "INDEX:NIFTY"))
    call = next(one for one in options if one.key.right == "CE" and (one.key.strike_paise or 0) < spot)
    put = next(one for one in options if one.key.right == "PE" and (one.key.strike_paise or 0) < spot)
    paid = [place(exchange, "A", one, BUY, 1) for one in (call, put)]
    assert all(order.status is SandboxStatus.COMPLETE for order in paid)
    go(exchange, "2026-12-01T15:41:00")
    value = round(exchange.floor.market.processes.value[exchange.floor.market.shape.process[call.index]])
    realised = {position.instrument: position.realised_paise for position in exchange.positions("A")}
    assert [position.quantity for position in exchange.positions("A")] == [0, 0]
    for one, order, sign in ((call, paid[0], 1), (put, paid[1], -1)):
        worth = max(sign * (value - (one.key.strike_paise or 0)), 0)
        assert realised[one.index] == (worth - order.average_price_paise) * one.lot_size
    go(exchange, "2026-12-02T09:20:00")
    with pytest.raises(Refusal) as raised:
        place(exchange, "A", call, BUY, 1)
    assert raised.value.why is Why.UNKNOWN_INSTRUMENT


def test_who_holds_an_option_in_the_money_at_its_expiry_owes_the_tax_on_its_exercise():
    exchange = still("2026-12-01T15:30:00", instruments=1500, **COARSE)
    options = [one for one in exchange.instruments if str(one.key).startswith("NFO:NIFTY:2026-12-01:")]
    spot = last(exchange, at(exchange, "INDEX:NIFTY"))
    below = [one for one in options if (one.key.strike_paise or 0) < spot * 0.99]
    call = next(one for one in below if one.key.right == "CE")
    put = next(one for one in below if one.key.right == "PE")
    place(exchange, "holder", call, BUY, 1)
    place(exchange, "holder", put, BUY, 1)
    place(exchange, "writer", call, SELL, 1)
    go(exchange, "2026-12-01T15:41:00")
    shape = exchange.floor.market.shape
    settles = round(exchange.floor.market.processes.value[shape.process[call.index]])
    tax = exercise_stt_paise(
        day=date(2026, 12, 1), quantity=call.lot_size, worth_paise=settles - (call.key.strike_paise or 0),
        settlement_paise=settles,
    )  # fmt: skip
    assert tax > 0
    settled = {}
    for name, owes in (("holder", tax), ("writer", 0)):
        margins = exchange.margins(name)
        settled[name] = margins.opening_paise + margins.realised_paise - owes
        assert margins.available_paise + margins.used_paise == settled[name]
    go(exchange, "2026-12-02T09:00:00")
    assert {name: exchange.margins(name).opening_paise for name in settled} == settled
    assert {account.tax_paise for account in exchange.floor.accounts.values()} == {0}

"""Money, positions, quotes, history, chains, masters: the SDK's reply, our adapter's and the exchange's own state."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from dhanhq._security import Security
from testkit.baskets import listed, spread_orders, together_paise
from testkit.dhan_hands import code, data
from testkit.dhan_market import Desk, bought

from services.market_data.feeds.live.resolve import BrokerMaster
from tradebus.brokers.account import SessionState
from tradebus.brokers.dhan import parse_instruments
from tradebus.brokers.errors import Refused
from tradebus.brokers.reference import PriceBand
from tradebus.contracts.instrument_key import Segment
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_midnight_ns, utc_iso
from tradebus.trading.orders import BrokerStatus, Product, Result

DAY_NS = 86_400_000_000_000


def test_funds_are_what_the_exchange_has(one_desk: Desk) -> None:
    bought(one_desk, one_desk.market.share, 100, Product.DELIVERY)
    row, margins = data(one_desk.sdk.dhan.get_fund_limits()), one_desk.market.run(one_desk.adapter.account.margins())
    ours = one_desk.market.box.exchange.margins(one_desk.account)
    assert round(row["availabelBalance"] * 100) == margins.available_paise == ours.available_paise
    assert round(row["utilizedAmount"] * 100) == margins.used_paise == ours.used_paise > 0


@pytest.mark.parametrize("product", [Product.INTRADAY, Product.DELIVERY], ids=str)
def test_a_long_position_is_told_alike(one_desk: Desk, product: Product) -> None:
    bought(one_desk, one_desk.market.share, 7, product)
    (row,), (net,) = _positions(one_desk)
    assert (row["positionType"], row["netQty"], net.quantity) == ("LONG", 7, 7)
    assert (row["securityId"], row["exchangeSegment"]) == (net.token, net.broker_segment) == ("1333", "NSE_EQ")
    assert round(row["buyAvg"] * 100) == net.average_price_paise
    assert (row["dayBuyQty"], row["carryForwardBuyQty"]) == (7, 0)


def test_a_short_future_is_told_alike_and_closes(one_desk: Desk) -> None:
    future, market = one_desk.market.future, one_desk.market
    for side in (Transaction.SELL, Transaction.BUY):
        ask = one_desk.ask(future, OrderType.MARKET, transaction=side, product=Product.CARRY)
        one_desk.facts(one_desk.place(ask), BrokerStatus.FILLED)
        (row,), (net,) = _positions(one_desk)
        quantity = -future.lot_size if side is Transaction.SELL else 0
        assert (row["netQty"], net.quantity, row["productType"]) == (quantity, quantity, "MARGIN")
        assert row["positionType"] == ("SHORT" if quantity else "CLOSED")
        assert (net.buy_quantity, net.sell_quantity) == (row["buyQty"], row["sellQty"])
    assert round(row["realizedProfit"] * 100) == net.realised_paise < 0  # the spread was paid
    assert row["drvExpiryDate"] == str(future.key.expiry)
    assert market.box.exchange.positions(one_desk.account)[0].realised_paise == net.realised_paise


def _positions(desk: Desk) -> tuple[list[dict[str, Any]], list[Any]]:
    return data(desk.sdk.dhan.get_positions()), list(desk.market.run(desk.adapter.account.positions()))


def test_an_intraday_position_becomes_delivery(one_desk: Desk) -> None:
    bought(one_desk, one_desk.market.share, 5)
    reply = one_desk.sdk.dhan.convert_position("INTRADAY", "NSE_EQ", "LONG", one_desk.market.share.token, 5, "CNC")
    assert reply["status"] == "success"
    found = {each.product: each.quantity for each in one_desk.market.run(one_desk.adapter.account.positions())}
    assert found["CNC"] == 5
    assert found.get("INTRADAY", 0) == 0


def test_more_than_is_held_cannot_be_converted(one_desk: Desk) -> None:
    bought(one_desk, one_desk.market.share, 5)
    reply = one_desk.sdk.dhan.convert_position("INTRADAY", "NSE_EQ", "LONG", one_desk.market.share.token, 6, "CNC")
    assert code(reply).startswith("DH-90")


def test_exit_all_leaves_neither_orders_nor_positions(one_desk: Desk) -> None:
    bought(one_desk, one_desk.market.share, 5)
    waiting = one_desk.place(one_desk.ask(one_desk.market.share, OrderType.LIMIT))
    assert data(one_desk.sdk.dhan.exit_all_positions())["status"] == "SUCCESS"
    one_desk.facts(waiting, BrokerStatus.CANCELLED)
    assert [each.quantity for each in one_desk.market.run(one_desk.adapter.account.positions())] == [0]


def test_the_margin_calculator_says_what_the_exchange_will_hold(one_desk: Desk) -> None:
    future, touch = one_desk.market.future, one_desk.market.touch(one_desk.market.future)
    asked = (future.token, "NSE_FNO", "BUY", future.lot_size, "MARGIN", touch.ask / 100)
    row = data(one_desk.sdk.dhan.margin_calculator(*asked))
    before = one_desk.market.box.exchange.margins(one_desk.account).used_paise
    ask = one_desk.ask(future, OrderType.LIMIT, product=Product.CARRY, price_paise=touch.ask - 200 * touch.tick)
    one_desk.place(ask)
    held = one_desk.market.box.exchange.margins(one_desk.account).used_paise - before
    assert row["totalMargin"] * 100 == pytest.approx(held, rel=0.02)
    assert row["insufficientBalance"] == 0
    several = data(
        one_desk.sdk.dhan.margin_calculator_multi(
            [
                {
                    "exchangeSegment": "NSE_FNO", "transactionType": "BUY", "quantity": future.lot_size,
                    "productType": "MARGIN", "securityId": future.token, "price": touch.ask / 100,
                }
            ]
            * 2
        )
    )  # fmt: skip
    assert float(several["total_margin"]) == pytest.approx(2 * row["totalMargin"], abs=0.02)


def test_the_trade_book_and_the_trade_history_hold_the_days_trades(one_desk: Desk) -> None:
    bought(one_desk, one_desk.market.share, 5)
    book, dhan = data(one_desk.sdk.dhan.get_trade_book()), one_desk.sdk.dhan
    history = data(dhan.get_trade_history("2026-11-25", "2026-11-25"))
    assert [row["exchangeTradeId"] for row in book] == [row["exchangeTradeId"] for row in history]
    assert data(dhan.get_trade_history("2026-11-25", "2026-11-25", 1)) == []
    assert data(dhan.get_trade_history("2026-11-01", "2026-11-24")) == []
    assert code(dhan.get_trade_history("yesterday", "today")) == "DH-905"


def test_the_ledger_has_the_opening_balance(one_desk: Desk) -> None:
    (row,) = data(one_desk.sdk.dhan.ledger_report("2026-11-01", "2026-11-30"))
    assert float(row["runbal"]) * 100 == one_desk.market.box.exchange.margins(one_desk.account).opening_paise


@pytest.mark.parametrize("what", ["share", "future", "option", "index"])
def test_quotes_are_the_exchanges(one_desk: Desk, what: str) -> None:
    listing = getattr(one_desk.market, what)
    quote = one_desk.market.box.exchange.quotes[one_desk.market.place_in_exchange(listing)]
    wanted = {listing.broker_segment: [int(listing.token)]}
    body = data(one_desk.sdk.dhan.quote_data(dict(wanted)))["data"][listing.broker_segment][listing.token]
    (ours,) = one_desk.market.run(one_desk.adapter.reference.quotes([listing]))
    for name, field in (
        ("last_price", "price_paise"), ("average_price", "average_price_paise"), ("oi", "open_interest"),
        ("volume", "volume_cumulative"), ("buy_quantity", "total_buy_quantity"), ("last_quantity", "last_quantity"),
    ):  # fmt: skip
        factor = 100 if field.endswith("paise") else 1
        assert round(body[name] * factor) == ours[field] == quote[field], name
    assert [round(each["price"] * 100) for each in body["depth"]["buy"]] == ours["bid_paise"].tolist()
    assert ours["ask_quantity"].tolist() == quote["ask_quantity"].tolist()
    assert ours["previous_close_paise"] == quote["previous_close_paise"]
    lower, upper = one_desk.market.box.exchange.price_band_paise(one_desk.market.place_in_exchange(listing))
    assert (round(body["lower_circuit_limit"] * 100), round(body["upper_circuit_limit"] * 100)) == (lower, upper)
    bands = one_desk.market.run(one_desk.adapter.reference.price_bands([listing]))
    assert bands == ({0: PriceBand(lower, upper)} if lower < upper else {})
    last = data(one_desk.sdk.dhan.ticker_data(dict(wanted)))["data"][listing.broker_segment][listing.token]
    day = data(one_desk.sdk.dhan.ohlc_data(dict(wanted)))["data"][listing.broker_segment][listing.token]
    assert last["last_price"] == day["last_price"] == body["last_price"]
    assert day["ohlc"] == body["ohlc"]


def test_an_id_that_is_not_listed_is_left_out_of_the_quotes(one_desk: Desk) -> None:
    body = data(one_desk.sdk.dhan.ticker_data({"NSE_EQ": [1333, 4_999_999]}))
    assert list(body["data"]["NSE_EQ"]) == ["1333"]


def test_more_than_a_thousand_quotes_at_once_are_refused(one_desk: Desk) -> None:
    assert code(one_desk.sdk.dhan.ticker_data({"NSE_EQ": list(range(1, 1002))})) == "804"


@pytest.mark.parametrize("minutes", [1, 5, 15, 25, 60])
@pytest.mark.parametrize("what", ["share", "future"])
def test_intraday_candles_are_told_alike(one_desk: Desk, what: str, minutes: int) -> None:
    listing, now_ns = getattr(one_desk.market, what), one_desk.market.box.exchange.now_ns
    kind = "EQUITY" if what == "share" else "FUTIDX"
    body = data(
        one_desk.sdk.dhan.intraday_minute_data(
            listing.token, listing.broker_segment, kind, "2026-11-20", "2026-11-25", minutes, oi=True
        )
    )
    from_ns = ist_midnight_ns(now_ns - 5 * DAY_NS)
    candles = one_desk.market.run(
        one_desk.adapter.reference.history(
            listing, timeframe_seconds=60 * minutes, from_ns=from_ns, to_ns=now_ns + DAY_NS
        )
    )
    _same_candles(body, candles)
    sessions = len({utc_iso(int(at))[:10] for at in candles["ts_open_ns"]})
    assert sessions == 3  # 20, 23 and 25 November: a week-end and a holiday between them
    assert len(candles) > 2 * (375 // minutes)


def _same_candles(body: dict[str, list[float]], candles: np.ndarray) -> None:
    assert body["timestamp"] == (candles["ts_open_ns"] // 1_000_000_000).tolist()
    for name in ("open", "high", "low", "close"):
        assert [round(price * 100) for price in body[name]] == candles[f"{name}_paise"].tolist()
    assert body["volume"] == candles["volume"].tolist()


def test_candles_of_25_minutes_are_made_of_those_of_five(one_desk: Desk) -> None:
    share, dhan = one_desk.market.share, one_desk.sdk.dhan
    fine, coarse = (
        data(dhan.intraday_minute_data(share.token, "NSE_EQ", "EQUITY", "2026-11-23", "2026-11-23", minutes))
        for minutes in (5, 25)
    )
    assert sum(coarse["volume"]) == sum(fine["volume"])
    assert (max(coarse["high"]), min(coarse["low"])) == (max(fine["high"]), min(fine["low"]))
    assert (coarse["open"][0], coarse["close"][-1]) == (fine["open"][0], fine["close"][-1])
    assert {int(at - coarse["timestamp"][0]) % 1500 for at in coarse["timestamp"]} == {0}


def test_daily_candles_open_at_indian_midnight_and_leave_the_last_date_out(one_desk: Desk) -> None:
    index, now_ns = one_desk.market.index, one_desk.market.box.exchange.now_ns
    body = data(one_desk.sdk.dhan.historical_daily_data(index.token, "IDX_I", "INDEX", "2026-11-02", "2026-11-24"))
    candles = one_desk.market.run(
        one_desk.adapter.reference.history(
            index, timeframe_seconds=86_400, from_ns=ist_midnight_ns(now_ns - 23 * DAY_NS),
            to_ns=ist_midnight_ns(now_ns - DAY_NS),
        )
    )  # fmt: skip
    _same_candles(body, candles)
    assert {ist_midnight_ns(int(at)) - int(at) for at in candles["ts_open_ns"]} == {0}
    assert utc_iso(int(candles["ts_open_ns"][-1])) < "2026-11-23T"


def test_more_than_ninety_days_of_minutes_are_refused(one_desk: Desk) -> None:
    reply = one_desk.sdk.dhan.intraday_minute_data("1333", "NSE_EQ", "EQUITY", "2026-06-01", "2026-11-25")
    assert code(reply) == "DH-905"


@pytest.mark.parametrize(
    ("security_id", "kind", "first"),
    [("1333", "STOCK", "2026-11-23"), ("1333", "EQUITY", "23/11/2026"), ("1", "EQUITY", "2026-11-23")],
)
def test_history_that_cannot_be_is_refused(one_desk: Desk, security_id: str, kind: str, first: str) -> None:
    assert code(one_desk.sdk.dhan.intraday_minute_data(security_id, "NSE_EQ", kind, first, "2026-11-25")) == "DH-905"


def test_expiries_and_chain_are_told_alike_and_are_the_exchanges(one_desk: Desk) -> None:
    market, reference = one_desk.market, one_desk.adapter.reference
    days = data(one_desk.sdk.dhan.expiry_list(13, "IDX_I"))["data"]
    expiries = market.run(reference.expiries(market.index))
    assert days == [day.isoformat() for day in expiries]
    assert expiries[0] == market.option.key.expiry
    body = data(one_desk.sdk.dhan.option_chain(13, "IDX_I", days[0]))["data"]
    chain = market.run(reference.option_chain(market.index, expiries[0]))
    assert round(body["last_price"] * 100) == chain.underlying_price_paise == market.touch(market.index).last
    assert [round(float(strike) * 100) for strike in body["oc"]] == [row.strike_paise for row in chain.rows]
    for strike, row in zip(body["oc"].values(), chain.rows, strict=True):
        for told, side in ((strike.get("ce"), row.call), (strike.get("pe"), row.put)):
            assert (told is None) == (side is None)
            if told is None or side is None:
                continue
            assert str(told["security_id"]) == side.token
            assert round(told["last_price"] * 100) == side.price_paise
            assert (told["oi"], told["volume"]) == (side.open_interest, side.volume)
            assert told["implied_volatility"] / 100 == pytest.approx(side.implied_volatility)
            assert told["greeks"]["delta"] == pytest.approx(side.delta)
    deltas = [row.call.delta for row in chain.rows if row.call and row.call.delta is not None]
    assert deltas == sorted(deltas, reverse=True)


@pytest.mark.parametrize(
    ("scrip", "segment", "expiry", "expected"),
    [
        (13, "IDX_I", "2026-11-26", "811"),
        (4_999_999, "IDX_I", "2026-12-01", "813"),
        (13, "NSE", "2026-12-01", "DH-905"),
    ],
)
def test_a_chain_that_is_not_listed_has_its_own_error(
    one_desk: Desk, scrip: int, segment: str, expiry: str, expected: str
) -> None:
    assert code(one_desk.sdk.dhan.option_chain(scrip, segment, expiry)) == expected


def test_rolling_options_follow_the_money(one_desk: Desk) -> None:
    asked = (13, "NSE_FNO", "OPTIDX", "WEEK", 1)
    fields = ["open", "close", "strike", "spot", "oi", "iv"]
    sides = {}
    for strike in ("ATM", "ATM+1", "ATM-1"):
        reply = one_desk.sdk.dhan.expired_options_data(*asked, strike, "CALL", fields, "2026-11-25", "2026-11-26", 5)
        sides[strike] = data(reply)["data"]["ce"]
    assert sides["ATM"]["high"] == []
    assert len(sides["ATM"]["timestamp"]) == len(sides["ATM"]["close"]) > 3
    key = one_desk.market.option.key
    listed = {each.key.strike_paise for each in one_desk.market.listings.listed if each.key.expiry == key.expiry}
    ladder = [paise / 100 for paise in listed if paise]
    for strike, spot in zip(sides["ATM"]["strike"], sides["ATM"]["spot"], strict=True):
        assert abs(strike - spot) == min(abs(each - spot) for each in ladder)
    assert sides["ATM+1"]["strike"][-1] >= sides["ATM"]["strike"][-1] >= sides["ATM-1"]["strike"][-1]
    assert sides["ATM-1"]["close"][-1] > sides["ATM+1"]["close"][-1]


def test_the_masters_name_the_same_instruments(one_desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = one_desk.market.box.dhan_url
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Security, "COMPACT_CSV_URL", f"{base}/api-data/api-scrip-master.csv")
    monkeypatch.setattr(Security, "DETAILED_CSV_URL", f"{base}/api-data/api-scrip-master-detailed.csv")
    compact, detailed = Security.fetch_security_list("compact"), Security.fetch_security_list("detailed")
    assert compact["SEM_SMST_SECURITY_ID"].tolist() == detailed["SECURITY_ID"].tolist()
    listed, left_out = parse_instruments(requests.get(f"{base}/api-data/api-scrip-master.csv", timeout=5).content)
    assert left_out == 0
    by_key = {str(each.key): each for each in listed}
    exchange = one_desk.market.box.exchange.instruments
    for mine in one_desk.market.listings.listed:
        other = by_key[str(mine.key)]
        assert (other.token, other.lot_size, other.tick_size_paise) == (mine.token, mine.lot_size, mine.tick_size_paise)
    assert {str(each.key) for each in exchange} == set(by_key)
    assert len(detailed) == len(exchange)


@pytest.mark.parametrize(
    ("word", "segment"), [("NSE_EQ", Segment.NSE), ("NSE_FNO", Segment.NFO), ("IDX_I", Segment.INDEX)]
)
def test_the_master_of_a_segment_has_its_instruments(one_desk: Desk, word: str, segment: Segment) -> None:
    body = requests.get(f"{one_desk.market.box.dhan_url}/v2/instrument/{word}", timeout=5).content
    listed, left_out = parse_instruments(body)
    assert left_out == 0
    wanted = {each.exchange_token for each in one_desk.market.box.exchange.instruments if each.key.segment is segment}
    assert {int(each.token) for each in listed} == wanted


def test_the_profile_says_that_the_login_is_valid(one_desk: Desk) -> None:
    reply = one_desk.sdk.dhan.dhan_http.get("/profile")
    assert data(reply)["dhanClientId"] == one_desk.account
    assert one_desk.market.run(one_desk.adapter.session.check()) is SessionState.VALID


def test_the_weeklies_that_dhan_gives_one_name_are_followed_each_by_its_key(one_desk: Desk) -> None:
    market, now_ns = one_desk.market, one_desk.market.box.exchange.now_ns
    like = market.option
    of_one_name = [each for each in market.listings.listed if each.symbol == like.symbol]
    keys = [str(each.key) for each in of_one_name]
    assert len(of_one_name) > 1
    master = BrokerMaster(market.listings.listed)
    resolved = master.resolve(keys, now_ns=now_ns)
    assert [one.listing for one in resolved] == of_one_name
    assert len({one.symbol for one in resolved}) == len(keys)
    with pytest.raises(InvalidInput, match=keys[0]):
        master.resolve([like.symbol], now_ns=now_ns)
    quotes = market.run(one_desk.adapter.reference.quotes([one.listing for one in resolved]))
    assert quotes["price_paise"].tolist() == [market.touch(each).last for each in of_one_name]


def test_a_hedged_basket_needs_less_than_its_orders(one_desk: Desk) -> None:
    box, account = one_desk.market.box, one_desk.adapter.account
    orders = spread_orders(box, lambda one: listed(one, token=str(one.exchange_token), broker_segment="NSE_FNO"))
    scrips = [
        {
            "exchangeSegment": "NSE_FNO", "transactionType": one.transaction.value, "quantity": one.quantity,
            "productType": "MARGIN", "securityId": one.listing.token, "price": one.price_paise / 100,
        }
        for one in orders
    ]  # fmt: skip
    row, (alone, together) = data(one_desk.sdk.dhan.margin_calculator_multi(scrips)), together_paise(box, orders)
    assert round(float(row["total_margin"]) * 100) == together < alone
    assert round(float(row["hedge_benefit"]) * 100) == alone - together
    assert one_desk.market.run(account.basket_margin_paise(orders)) == together


def test_the_brokers_own_kill_switch_is_engaged_also_where_the_answer_is_lost(one_desk: Desk) -> None:
    box, run, account = one_desk.market.box, one_desk.market.run, one_desk.adapter.account
    box.fault("DROP", broker="dhan", endpoint="POST /v2/killswitch", count=1)
    with pytest.raises(Refused, match="the kill switch is not engaged"):
        run(account.engage_kill_switch())
    box.fault("ACCEPT_THEN_DROP", broker="dhan", endpoint="POST /v2/killswitch", count=1)
    assert run(account.kill_switch_engaged()) is False
    run(account.engage_kill_switch())
    assert run(account.kill_switch_engaged()) is True
    assert data(one_desk.sdk.dhan.status_kill_switch())["killSwitchStatus"] == "ACTIVATE"
    refused = one_desk.hand.place(one_desk.ask(one_desk.market.share, OrderType.LIMIT))
    assert (refused.result, "kill switch" in refused.reason) == (Result.REFUSED, True)

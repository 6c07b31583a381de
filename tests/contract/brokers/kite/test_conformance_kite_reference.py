"""Instruments, quotes, history: the SDK's numbers and our adapter's are the market's."""

from datetime import date, datetime, timedelta

import numpy as np
import pytest
from kiteconnect import exceptions as kite_errors
from testkit.kite_desk import FUTURE, OPTION, SHARE, KiteDesk

from tradebus.brokers.errors import Refused
from tradebus.brokers.kite import parse_instruments
from tradebus.brokers.kite.client import get
from tradebus.brokers.reference import PriceBand
from tradebus.contracts.instrument_key import Segment
from tradebus.contracts.records import QUOTE_HAS_DEPTH, QUOTE_HAS_OPEN_INTEREST
from tradebus.kernel.time import IST, datetime_to_ns

INDEX = "NSE:NIFTY 50"
WATCHED = (SHARE, FUTURE, OPTION, INDEX)


def name_of(desk: KiteDesk, what: str) -> str:
    """As quotes are asked for: exchange:tradingsymbol."""
    return f"{what.partition(':')[0]}:{desk.instrument(what).symbol}"


def test_the_instrument_list_is_the_same_both_ways(desk: KiteDesk) -> None:
    rows = {str(row["instrument_token"]): row for row in desk.sdk.kite.instruments()}
    ours = desk.loop(desk.adapter.reference.instruments())
    assert len(ours) == len(rows) == len(desk.box.exchange.instruments)
    for listed in ours:
        row = rows[listed.token]
        assert (row["exchange"], row["tradingsymbol"]) == (listed.broker_segment, listed.symbol)
        if listed.key.segment is Segment.INDEX:
            assert (row["segment"], row["lot_size"]) == ("INDICES", 0)
            continue
        assert (row["lot_size"], round(row["tick_size"] * 100)) == (listed.lot_size, listed.tick_size_paise)
        assert (row["expiry"] or None) == listed.key.expiry
        assert round(row["strike"] * 100) == (listed.key.strike_paise or 0)


def test_every_listed_key_is_the_exchanges_own(desk: KiteDesk) -> None:
    keys = {str(one.kite_token): one.key for one in desk.box.exchange.instruments}
    for listed in desk.loop(desk.adapter.reference.instruments()):
        assert listed.key == keys[listed.token]


@pytest.mark.parametrize("exchange", ["NSE", "NFO", "BSE", "BFO"])
def test_a_dump_of_one_exchange_holds_that_exchange_only(desk: KiteDesk, exchange: str) -> None:
    rows = desk.sdk.kite.instruments(exchange)
    assert rows
    assert {row["exchange"] for row in rows} == {exchange}
    assert all(row["instrument_token"] // 256 == int(row["exchange_token"]) for row in rows)


@pytest.mark.parametrize("exchange", ["CDS", "MCX"])
def test_an_exchange_the_sandbox_lacks_has_an_empty_dump(desk: KiteDesk, exchange: str) -> None:
    assert desk.sdk.kite.instruments(exchange) == []
    body = get(desk.sdk.kite, "market.instruments", url_args={"exchange": exchange})
    assert parse_instruments(body) == ([], 0)


@pytest.mark.parametrize("what", WATCHED, ids=lambda what: what.split(":")[-1])
def test_a_quote_is_the_markets_record_both_ways(desk: KiteDesk, what: str) -> None:
    name, market = name_of(desk, what), desk.quote(what)
    row = desk.sdk.kite.quote(name)[name]
    ours = desk.loop(desk.adapter.reference.quotes([desk.listing(what)]))[0]
    price, close = int(market["price_paise"]), int(market["previous_close_paise"])
    assert round(row["last_price"] * 100) == ours["price_paise"] == price
    assert round(row["ohlc"]["close"] * 100) == ours["previous_close_paise"] == close
    for word, field in (("open", "open_paise"), ("high", "high_paise"), ("low", "low_paise")):
        assert round(row["ohlc"][word] * 100) == ours[field] == market[field]
    assert round(row["net_change"] * 100) == price - close
    assert row["timestamp"] == datetime.fromtimestamp(int(ours["ts_event_ns"]) // 10**9, IST).replace(tzinfo=None)
    if what == INDEX:
        assert not ours["fields"] & (QUOTE_HAS_DEPTH | QUOTE_HAS_OPEN_INTEREST)
        return
    assert row["volume"] == ours["volume_cumulative"] == market["volume_cumulative"]
    assert row["oi"] == ours["open_interest"] == market["open_interest"]
    assert (row["buy_quantity"], row["sell_quantity"]) == (
        market["total_buy_quantity"], market["total_sell_quantity"],
    )  # fmt: skip
    for side, word in (("bid", "buy"), ("ask", "sell")):
        assert [round(level["price"] * 100) for level in row["depth"][word]] == market[f"{side}_paise"].tolist()
        assert ours[f"{side}_paise"].tolist() == market[f"{side}_paise"].tolist()
        assert ours[f"{side}_quantity"].tolist() == [level["quantity"] for level in row["depth"][word]]
        assert ours[f"{side}_orders"].tolist() == market[f"{side}_orders"].tolist()
    lower, upper = desk.box.exchange.price_band_paise(desk.instrument(what).index)
    assert (round(row["lower_circuit_limit"] * 100), round(row["upper_circuit_limit"] * 100)) == (lower, upper)
    assert desk.loop(desk.adapter.reference.price_bands([desk.listing(what)])) == {0: PriceBand(lower, upper)}


def test_short_quotes_say_the_same_as_the_long_one(desk: KiteDesk) -> None:
    names = [name_of(desk, what) for what in WATCHED]
    full, ohlc, ltp = (getattr(desk.sdk.kite, call)(names) for call in ("quote", "ohlc", "ltp"))
    assert list(full) == list(ohlc) == list(ltp) == names
    for name in names:
        assert ltp[name]["last_price"] == ohlc[name]["last_price"] == full[name]["last_price"]
        assert ohlc[name]["ohlc"] == full[name]["ohlc"]


def test_what_is_not_listed_is_left_out_of_quotes(desk: KiteDesk) -> None:
    assert list(desk.sdk.kite.ltp("NSE:NOSUCHSHARE", SHARE)) == [SHARE]
    token = desk.instrument(SHARE).kite_token
    assert list(desk.sdk.kite.ltp(token)) == [str(token)]


def test_more_than_five_hundred_quotes_in_one_call_are_refused(desk: KiteDesk) -> None:
    names = [f"NSE:X{number}" for number in range(501)]
    with pytest.raises(kite_errors.InputException):
        desk.sdk.kite.quote(names)
    assert desk.sdk.kite.ltp(names) == {}


@pytest.mark.parametrize(
    ("interval", "seconds"),
    [("minute", 60), ("3minute", 180), ("5minute", 300), ("15minute", 900), ("30minute", 1800), ("60minute", 3600)],
)
@pytest.mark.parametrize("what", [SHARE, FUTURE], ids=["share", "future"])
def test_intraday_history_is_the_same_both_ways(desk: KiteDesk, what: str, interval: str, seconds: int) -> None:
    first, last = datetime(2026, 11, 23, 9, 15, tzinfo=IST), datetime(2026, 11, 25, 9, 45, tzinfo=IST)
    rows = desk.sdk.kite.historical_data(
        desk.instrument(what).kite_token, first.replace(tzinfo=None), last.replace(tzinfo=None), interval, oi=True
    )
    ours = desk.loop(desk.adapter.reference.history(
        desk.listing(what), timeframe_seconds=seconds, from_ns=datetime_to_ns(first),
        to_ns=datetime_to_ns(last) + 10**9,
    ))  # fmt: skip
    assert len(ours) == len(rows) > 5
    assert rows[0]["date"] == first
    for word in ("open", "high", "low", "close"):
        assert ours[f"{word}_paise"].tolist() == [round(row[word] * 100) for row in rows]
    assert ours["volume"].tolist() == [row["volume"] for row in rows]
    assert ours["open_interest"].tolist() == [row["oi"] for row in rows]
    assert ours["ts_open_ns"].tolist() == [datetime_to_ns(row["date"]) for row in rows]
    assert (np.diff(ours["ts_open_ns"]) >= seconds * 10**9).all()


def test_daily_history_begins_at_midnight_and_is_the_same_both_ways(desk: KiteDesk) -> None:
    last = datetime(2026, 11, 25, tzinfo=IST)
    first = last - timedelta(days=10)
    rows = desk.sdk.kite.historical_data(
        desk.instrument(SHARE).kite_token, f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}", "day"
    )
    ours = desk.loop(desk.adapter.reference.history(
        desk.listing(SHARE), timeframe_seconds=86_400, from_ns=datetime_to_ns(first), to_ns=datetime_to_ns(last) + 1
    ))  # fmt: skip
    assert [row["date"].timetz().replace(tzinfo=None) for row in rows] == [datetime.min.time()] * len(rows)
    assert date(2026, 11, 24) not in [row["date"].date() for row in rows]  # a holiday
    assert ours["close_paise"].tolist() == [round(row["close"] * 100) for row in rows]
    assert len(rows) > 4


@pytest.mark.parametrize(
    ("token", "interval", "first", "last", "field"),
    [
        (1, "minute", "2026-11-25 09:15:00", "2026-11-25 09:20:00", "instrument_token"),
        ("x", "minute", "2026-11-25 09:15:00", "2026-11-25 09:20:00", "instrument_token"),
        (408065, "2hour", "2026-11-25 09:15:00", "2026-11-25 09:20:00", "interval"),
        (408065, "minute", "yesterday", "2026-11-25 09:20:00", "from"),
        (408065, "minute", "2026-11-25 09:15:00", "", "to"),
        (408065, "minute", "2026-11-25 09:15:00", "2026-11-20 09:20:00", "from"),
        (408065, "minute", "2026-08-25 09:15:00", "2026-11-25 09:20:00", "60 days"),
    ],
)
def test_bad_history_requests_name_the_field(
    desk: KiteDesk, token: object, interval: str, first: str, last: str, field: str
) -> None:
    with pytest.raises(kite_errors.InputException, match=field):
        desk.sdk.kite.historical_data(token, first, last, interval)


def test_continuous_history_is_for_day_candles_of_derivatives(desk: KiteDesk) -> None:
    future, share = desk.instrument(FUTURE).kite_token, desk.instrument(SHARE).kite_token
    day = ("2026-11-20", "2026-11-25")
    assert desk.sdk.kite.historical_data(future, *day, "day", continuous=True, oi=True)
    for token, interval in ((share, "day"), (future, "minute")):
        with pytest.raises(kite_errors.InputException, match="continuous"):
            desk.sdk.kite.historical_data(token, *day, interval, continuous=True)


def test_cover_ranges_lie_on_the_losing_side_of_the_price(desk: KiteDesk) -> None:
    price = desk.sdk.kite.ltp(SHARE)[SHARE]["last_price"]
    buy, sell = (desk.sdk.kite.trigger_range(side, SHARE)[SHARE] for side in ("BUY", "SELL"))
    assert buy["lower"] < buy["upper"] <= price <= sell["lower"] < sell["upper"]


def test_an_option_chain_of_ours_is_what_the_sdk_quotes(desk: KiteDesk) -> None:
    underlying = desk.listing(INDEX)
    expiry = desk.loop(desk.adapter.reference.expiries(underlying))[0]
    chain = desk.loop(desk.adapter.reference.option_chain(underlying, expiry))
    names = {
        (row["strike"], row["instrument_type"]): f"NFO:{row['tradingsymbol']}"
        for row in desk.sdk.kite.instruments("NFO")
        if row["name"] == "NIFTY" and row["segment"] == "NFO-OPT" and row["expiry"] == expiry
    }
    quotes = desk.sdk.kite.quote(list(names.values()))
    sides = [(row.strike_paise / 100, kind, side) for row in chain.rows for kind, side in
             (("CE", row.call), ("PE", row.put)) if side is not None]  # fmt: skip
    assert len(sides) == len(names) > 10
    for strike, kind, side in sides:
        quote = quotes[names[(strike, kind)]]
        assert (side.price_paise, side.open_interest) == (round(quote["last_price"] * 100), quote["oi"])
        assert side.bid_paise == round(quote["depth"]["buy"][0]["price"] * 100)
    spot = desk.sdk.kite.ltp(INDEX)[INDEX]["last_price"]
    assert chain.underlying_price_paise == round(spot * 100)


def test_a_chain_of_an_expiry_that_is_not_listed_is_refused(desk: KiteDesk) -> None:
    with pytest.raises(Refused):
        desk.loop(desk.adapter.reference.option_chain(desk.listing(INDEX), date(2026, 11, 26)))

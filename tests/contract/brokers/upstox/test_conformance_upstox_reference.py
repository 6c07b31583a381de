"""Instruments, history, quotes, option chains, market days: what the SDK reads and what our adapter makes of it."""

import csv
import gzip
import json
import re
import urllib.request
from datetime import date, datetime, time
from pathlib import Path

import numpy as np
import pytest
import upstox_client
from testkit.upstox_desk import Desk
from testkit.upstox_hands import VERSION, listing_of
from upstox_client.rest import ApiException

from services.sandbox.ports import SandboxInstrument
from tradebus.brokers.upstox import parse_instruments
from tradebus.contracts.instrument_key import Right, Segment
from tradebus.contracts.records import (
    QUOTE_HAS_DAY_PRICES,
    QUOTE_HAS_DEPTH,
    QUOTE_HAS_OPEN_INTEREST,
    QUOTE_HAS_PREVIOUS_CLOSE,
    QUOTE_HAS_PRICE,
    QUOTE_HAS_VOLUME,
)
from tradebus.kernel.time import IST, ist_to_ns

DAY = date(2026, 11, 25)
REAL_DUMP = (
    Path(__file__).parents[4].parent / "shared" / "data" / "instruments" / "upstox_NSE_instruments_2026-08.csv.gz"
)


def dump(desk: Desk, name: str) -> bytes:
    with urllib.request.urlopen(f"{desk.box.upstox_url}/market-quote/instruments/exchange/{name}") as reply:
        return reply.read()


@pytest.mark.parametrize("form", ["csv", "json"])
@pytest.mark.parametrize("exchange", ["NSE", "BSE", "complete"])
def test_a_dump_lists_every_instrument_as_it_is(desk: Desk, exchange: str, form: str) -> None:
    listed, left_out = parse_instruments(dump(desk, f"{exchange}.{form}.gz"))
    expected = [item for item in desk.instruments if exchange in ("complete", item.upstox_key[:3])]
    assert left_out == 0
    assert {one.token: one.key for one in listed} == {item.upstox_key: item.key for item in expected}
    by_token = {item.upstox_key: item for item in expected}
    for one in listed:
        item = by_token[one.token]
        if item.key.segment is not Segment.INDEX:
            assert (one.lot_size, one.tick_size_paise) == (item.lot_size, item.tick_size_paise)


def test_ticks_are_rupees_in_the_csv_and_paise_in_the_json(desk: Desk) -> None:
    item = desk.future("BANKNIFTY")
    rows = gzip.decompress(dump(desk, "NSE.csv.gz")).decode().splitlines()
    row = next(line for line in rows if line.startswith(f'"{item.upstox_key}"')).split(",")
    assert float(row[7].strip('"')) * 100 == item.tick_size_paise
    found = json.loads(gzip.decompress(dump(desk, "NSE.json.gz")))
    assert next(one for one in found if one["instrument_key"] == item.upstox_key)["tick_size"] == item.tick_size_paise


def test_the_master_of_the_adapter_is_the_exchange(desk: Desk) -> None:
    found = {one.token: one for one in desk.loop(desk.ours.reference.instruments())}
    for item in desk.instruments:
        one = found[item.upstox_key]
        assert one.key == item.key
        if item.key.segment is not Segment.INDEX:
            assert one.symbol == item.symbol
            assert one.freeze_quantity == item.freeze_quantity


def candles_of_sdk(desk: Desk, item: SandboxInstrument, unit: str, interval: int, day: date) -> list[list[object]]:
    api = upstox_client.HistoryV3Api(desk.sdk.client)
    if day == DAY:
        return api.get_intra_day_candle_data(item.upstox_key, unit, str(interval)).data.candles
    return api.get_historical_candle_data1(
        item.upstox_key, unit, str(interval), day.isoformat(), day.isoformat()
    ).data.candles


@pytest.mark.parametrize("day", [date(2026, 11, 23), DAY], ids=["an-earlier-day", "the-day-under-way"])
@pytest.mark.parametrize(
    ("unit", "interval", "seconds"),
    [("minutes", 1, 60), ("minutes", 3, 180), ("minutes", 15, 900), ("hours", 1, 3600)],
)
@pytest.mark.parametrize("name", ["stock", "future", "index"])
def test_history_is_the_same_through_both(
    desk: Desk, name: str, unit: str, interval: int, seconds: int, day: date
) -> None:
    item = getattr(desk, name)()
    theirs = candles_of_sdk(desk, item, unit, interval, day)
    midnight = ist_to_ns(day, time(0))
    ours = desk.loop(
        desk.ours.reference.history(
            listing_of(item), timeframe_seconds=seconds, from_ns=midnight, to_ns=midnight + 86_400 * 10**9
        )
    )
    assert len(theirs) == len(ours) > 0
    for row, candle in zip(reversed(theirs), ours, strict=True):
        opened = datetime.fromisoformat(row[0])
        assert int(opened.timestamp()) * 10**9 == candle["ts_open_ns"]
        prices = [round(value * 100) for value in row[1:5]]
        assert prices == [candle[f"{part}_paise"] for part in ("open", "high", "low", "close")]
        assert prices[1] == max(prices)
        assert prices[2] == min(prices)
        assert (row[5], row[6]) == (candle["volume"], candle["open_interest"])


def test_daily_history_ends_with_yesterday_and_weeks_hold_their_days(desk: Desk) -> None:
    api, key = upstox_client.HistoryV3Api(desk.sdk.client), desk.stock().upstox_key
    days = api.get_historical_candle_data1(key, "days", "1", "2026-11-25", "2026-11-16").data.candles
    assert [row[0][:10] for row in days] == [
        "2026-11-23", "2026-11-20", "2026-11-19", "2026-11-18", "2026-11-17", "2026-11-16"
    ]  # fmt: skip
    weeks = api.get_historical_candle_data1(key, "weeks", "1", "2026-11-25", "2026-11-16").data.candles
    assert len(weeks) == 2
    assert weeks[1][5] == sum(row[5] for row in days[1:])
    assert weeks[1][2] == max(row[2] for row in days[1:])


def test_the_second_api_has_its_own_words_for_the_same_candles(desk: Desk) -> None:
    api, key = upstox_client.HistoryApi(desk.sdk.client), desk.stock().upstox_key
    old = api.get_historical_candle_data1(key, "30minute", "2026-11-23", "2026-11-23", VERSION).data.candles
    new = upstox_client.HistoryV3Api(desk.sdk.client).get_historical_candle_data1(
        key, "minutes", "30", "2026-11-23", "2026-11-23"
    )
    assert old == new.data.candles
    assert len(old) == 12  # 09:15 to 15:15
    today = api.get_intra_day_candle_data(key, "1minute", VERSION).data.candles
    assert today == candles_of_sdk(desk, desk.stock(), "minutes", 1, DAY)


@pytest.mark.parametrize(
    ("unit", "interval", "first", "code"),
    [
        ("minutes", "1", "2026-10-01", "UDAPI1148"),
        ("fortnights", "1", "2026-11-20", "UDAPI1146"),
        ("minutes", "301", "2026-11-20", "UDAPI1147"),
        ("days", "1", "yesterday", "UDAPI1021"),
    ],
)
def test_history_that_cannot_be_asked_for(desk: Desk, unit: str, interval: str, first: str, code: str) -> None:
    api = upstox_client.HistoryV3Api(desk.sdk.client)
    with pytest.raises(ApiException, match=code):
        api.get_historical_candle_data1(desk.stock().upstox_key, unit, interval, "2026-11-24", first)


@pytest.mark.parametrize("name", ["stock", "future", "index", "option"])
def test_a_full_quote_is_the_market_and_the_same_through_both(desk: Desk, name: str) -> None:
    item = {"stock": desk.stock, "future": desk.future, "index": desk.index, "option": lambda: desk.options()[0]}[
        name
    ]()
    market = desk.quote(item)
    api = upstox_client.MarketQuoteApi(desk.sdk.client)
    theirs = next(iter(api.get_full_market_quote(item.upstox_key, VERSION).data.values()))
    ours = desk.loop(desk.ours.reference.quotes([listing_of(item)]))[0]
    assert round(theirs.last_price * 100) == ours["price_paise"] == market["price_paise"]
    assert theirs.volume == ours["volume_cumulative"] == market["volume_cumulative"]
    assert theirs.oi == ours["open_interest"] == market["open_interest"]
    assert ours["previous_close_paise"] == market["previous_close_paise"]
    for side, word in (("bid", "buy"), ("ask", "sell")):
        levels = getattr(theirs.depth, word)
        assert [round(level.price * 100) for level in levels] == ours[f"{side}_paise"].tolist()
        assert ours[f"{side}_paise"].tolist() == market[f"{side}_paise"].tolist()
        assert ours[f"{side}_quantity"].tolist() == market[f"{side}_quantity"].tolist()
        assert [level.orders for level in levels] == ours[f"{side}_orders"].tolist()
    wanted = QUOTE_HAS_PRICE | QUOTE_HAS_PREVIOUS_CLOSE | (0 if name == "index" else QUOTE_HAS_DEPTH)
    wanted |= QUOTE_HAS_DAY_PRICES | QUOTE_HAS_VOLUME | QUOTE_HAS_OPEN_INTEREST
    assert ours["fields"] & wanted == wanted


def test_quotes_of_many_come_in_one_answer_and_unknown_ones_are_left_out(desk: Desk) -> None:
    items = list(desk.instruments[:40])
    ours = desk.loop(desk.ours.reference.quotes([listing_of(item) for item in items]))
    prices = desk.box.exchange.quotes["price_paise"][[item.index for item in items]]
    assert np.array_equal(ours["price_paise"], prices)
    keys = ",".join([*(item.upstox_key for item in items[:3]), "NSE_EQ|NOTHING"])
    api = upstox_client.MarketQuoteV3Api(desk.sdk.client)
    assert len(api.get_ltp(instrument_key=keys).data) == 3
    with pytest.raises(ApiException, match="UDAPI100011"):
        api.get_ltp(instrument_key="NSE_EQ|NOTHING")


def test_short_quotes_say_the_same_price(desk: Desk) -> None:
    item, market = desk.future(), desk.quote(desk.future())
    third, second = upstox_client.MarketQuoteV3Api(desk.sdk.client), upstox_client.MarketQuoteApi(desk.sdk.client)
    key, price = item.upstox_key, market["price_paise"] / 100
    last = next(iter(third.get_ltp(instrument_key=key).data.values()))
    assert (last.last_price, last.volume, last.cp) == (
        price, market["volume_cumulative"], market["previous_close_paise"] / 100
    )  # fmt: skip
    assert next(iter(second.ltp(key, VERSION).data.values())).last_price == price
    day = next(iter(third.get_market_quote_ohlc("1d", instrument_key=key).data.values()))
    assert (day.live_ohlc.open, day.live_ohlc.high, day.live_ohlc.low) == (
        market["open_paise"] / 100, market["high_paise"] / 100, market["low_paise"] / 100
    )  # fmt: skip
    minute = next(iter(third.get_market_quote_ohlc("I1", instrument_key=key).data.values()))
    assert minute.live_ohlc.ts - minute.prev_ohlc.ts == 60_000
    old = next(iter(second.get_market_quote_ohlc(key, "1d", VERSION).data.values()))
    assert (old.ohlc.open, old.last_price) == (day.live_ohlc.open, price)
    full = next(iter(third.get_full_market_quote_v3(instrument_key=key).data.values()))
    assert (full.last_price, full.prev_close_price) == (price, market["previous_close_paise"] / 100)


def test_an_option_chain_is_the_same_through_both(desk: Desk) -> None:
    underlying = desk.index()
    api = upstox_client.OptionsApi(desk.sdk.client)
    contracts = api.get_option_contracts(underlying.upstox_key).data
    expiries = sorted({row.expiry.date() for row in contracts})
    assert desk.loop(desk.ours.reference.expiries(listing_of(underlying))) == expiries
    theirs = api.get_put_call_option_chain(underlying.upstox_key, expiries[0].isoformat()).data
    ours = desk.loop(desk.ours.reference.option_chain(listing_of(underlying), expiries[0]))
    assert ours.underlying_price_paise == round(theirs[0].underlying_spot_price * 100) == desk.price(underlying)
    assert [row.strike_paise for row in ours.rows] == [round(row.strike_price * 100) for row in theirs]
    for row, mine in zip(theirs, ours.rows, strict=True):
        for side, option in ((row.call_options, mine.call), (row.put_options, mine.put)):
            assert option is not None
            market = desk.box.exchange.quotes[desk.box.exchange.by_upstox_key(option.token).index]
            assert side.instrument_key == option.token
            assert option.price_paise == round(side.market_data.ltp * 100) == market["price_paise"]
            assert option.bid_paise == round(side.market_data.bid_price * 100) == market["bid_paise"][0]
            assert option.ask_quantity == side.market_data.ask_qty == market["ask_quantity"][0]
            assert option.open_interest == side.market_data.oi == market["open_interest"]
            assert option.implied_volatility == pytest.approx(side.option_greeks.iv / 100)
            assert option.delta == side.option_greeks.delta
        assert mine.call.delta > 0 > mine.put.delta


def test_contracts_of_an_expiry_name_their_terms(desk: Desk) -> None:
    underlying, item = desk.index(), desk.options()[0]
    api = upstox_client.OptionsApi(desk.sdk.client)
    rows = api.get_option_contracts(underlying.upstox_key, expiry_date=item.key.expiry.isoformat()).data
    row = next(row for row in rows if row.instrument_key == item.upstox_key)
    assert (row.lot_size, row.freeze_quantity, row.tick_size) == (
        item.lot_size, item.freeze_quantity, item.tick_size_paise
    )  # fmt: skip
    assert (row.underlying_key, row.strike_price) == (underlying.upstox_key, item.key.strike_paise / 100)
    assert row.instrument_type in {right.value for right in Right}
    assert {one.expiry.date() for one in rows} == {item.key.expiry}


def test_greeks_of_one_option(desk: Desk) -> None:
    item = desk.options()[0]
    api = upstox_client.MarketQuoteV3Api(desk.sdk.client)
    theirs = next(iter(api.get_market_quote_option_greek(instrument_key=item.upstox_key).data.values()))
    greeks = desk.box.on_loop(desk.box.exchange.greeks, item.index)
    assert theirs.delta == pytest.approx(greeks.delta, abs=1e-4)
    assert theirs.iv == pytest.approx(greeks.implied_volatility, abs=1e-6)
    assert theirs.last_price == desk.price(item) / 100


def test_the_market_says_when_it_is_open(desk: Desk) -> None:
    api = upstox_client.MarketHolidaysAndTimingsApi(desk.sdk.client)
    assert api.get_market_status("NSE").data.status == "NORMAL_OPEN"
    hours = {row.exchange: row for row in api.get_exchange_timings("2026-11-25").data}
    closes = datetime.fromtimestamp(hours["NFO"].end_time / 1000, tz=IST).time()
    assert (closes.hour, closes.minute) == (15, 40)
    assert api.get_exchange_timings("2026-11-24").data == []
    holidays = {row.to_dict()["_date"].date() for row in api.get_holidays().data}
    assert date(2026, 11, 24) in holidays
    assert len(api.get_holiday("2026-11-24").data) == 1
    assert api.get_holiday("2026-11-25").data == []


@pytest.mark.shared_data
@pytest.mark.skipif(not REAL_DUMP.exists(), reason="no real dump lies beside the checkout")
def test_the_dump_is_laid_out_as_the_real_one(desk: Desk) -> None:
    """Same columns, quotes and spelling of values, kind of row by kind of row."""

    def shapes(lines: list[str]) -> dict[tuple[str, str], str]:
        """By exchange and type: digits, letters and signs of the columns that have a spelling."""
        found: dict[tuple[str, str], str] = {}
        for row in csv.DictReader(lines):
            kind = (row["exchange"], row["instrument_type"])
            if kind[0] in ("NSE_EQ", "NSE_FO", "NSE_INDEX") and kind not in found:
                spelt = [re.sub(r"\d+", "9", row[name]) for name in ("expiry", "strike", "lot_size", "option_type")]
                found[kind] = "|".join(spelt)
        return found

    real = gzip.decompress(REAL_DUMP.read_bytes()).decode().splitlines()
    ours = gzip.decompress(dump(desk, "NSE.csv.gz")).decode().splitlines()
    assert ours[0] == real[0]
    assert set(shapes(ours)) <= set(shapes(real))
    for kind in (("NSE_EQ", "EQUITY"), ("NSE_FO", "FUTIDX"), ("NSE_FO", "FUTSTK"), ("NSE_INDEX", "INDEX")):
        assert shapes(ours)[kind] == shapes(real)[kind]


@pytest.mark.parametrize("interval", [7, 30, 120])
def test_candles_of_any_length_are_made_of_minutes(desk: Desk, interval: int) -> None:
    day = date(2026, 11, 23)
    minutes = candles_of_sdk(desk, desk.future(), "minutes", 1, day)[::-1]
    longer = candles_of_sdk(desk, desk.future(), "minutes", interval, day)[::-1]
    assert len(longer) == -(-len(minutes) // interval)
    for number, row in enumerate(longer):
        part = minutes[number * interval : (number + 1) * interval]
        assert row[:2] == part[0][:2]
        assert (row[2], row[3], row[4]) == (max(m[2] for m in part), min(m[3] for m in part), part[-1][4])
        assert (row[5], row[6]) == (sum(m[5] for m in part), part[-1][6])

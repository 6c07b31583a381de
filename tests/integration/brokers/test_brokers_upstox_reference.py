"""Upstox's instruments, candles, quotes and option chains, from replies as it documents them."""

import gzip
import json
from datetime import date
from datetime import time as clock_time
from pathlib import Path

import numpy as np
import pytest
from testkit.logged import logged
from testkit.scripted_server import Reply, success
from testkit.upstox_orders import INDEX as NIFTY
from testkit.upstox_orders import INFY
from testkit.upstox_server import PAGE, refusal

from tradebus.brokers.errors import Malformed, NoAnswer, Refused
from tradebus.brokers.kite.instruments import parse_instruments as parse_kite
from tradebus.brokers.reference import ListedInstrument, PriceBand
from tradebus.brokers.upstox import (
    UpstoxReference,
    parse_instruments,
)
from tradebus.contracts.instrument_key import InstrumentKey, Right, Segment
from tradebus.contracts.records import (
    QUOTE_HAS_DEPTH,
    QUOTE_HAS_EXCHANGE_TIME,
    QUOTE_HAS_OPEN_INTEREST,
    QUOTE_HAS_PREVIOUS_CLOSE,
    QUOTE_HAS_PRICE,
)
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import NANOSECONDS_PER_DAY, ist_to_ns

DUMPS = "/market-quote/instruments/exchange"
SHARED = Path(__file__).parents[4] / "shared" / "data" / "instruments"
HEADER = (
    '"instrument_key","exchange_token","tradingsymbol","name","last_price","expiry","strike","tick_size","lot_size",'
    '"instrument_type","option_type","exchange"\n'
)
CSV = HEADER + "\n".join(
    (
        '"NSE_INDEX|Nifty 50","26000","NIFTY","Nifty 50","24383.6","","","","","INDEX","INDEX","NSE_INDEX"',
        '"NSE_INDEX|India VIX","26017","INDIA VIX","India VIX","11.7","","","","","INDEX","INDEX","NSE_INDEX"',
        '"NSE_EQ|INE009A01021","1594","INFY","INFOSYS LIMITED","1130.1","","","0.1","1","EQUITY","","NSE_EQ"',
        '"NSE_FO|1","1","NIFTY26DECFUT","NIFTY","1","2026-12-29","0.0","0.1","65","FUTIDX","FF","NSE_FO"',
        '"NSE_FO|2","2","NIFTY26D0126550CE","NIFTY","1","2026-12-01","26550.0","0.05","65","OPTIDX","CE","NSE_FO"',
        '"NSE_FO|3","3","M&M26DEC3150.5PE","MAHINDRA","1","2026-12-29","3150.5","0.05","200","OPTSTK","PE","NSE_FO"',
        '"NSE_FO|4","4","MCX26DECFUT","COMMODITY EX","1","2026-12-29","0.0","0.1","225","FUTSTK","FF","NSE_FO"',
        '"NCD_FO|5","5","USDINR26DECFUT","USDINR","1","2026-12-29","0.0","0.25","1","FUTCUR","FF","NCD_FO"',
        '"NSE_FO|6","6","ODD26NOVFUT","ODD COMPANY","1","2026-12-29","0.0","0.1","225","FUTSTK","FF","NSE_FO"',
        '"NSE_FO|7","7","NIFTY26DECFUT","NIFTY","1","2026-12-29","0.0","0.1","65","FUTIDX","FF","NSE_FO"',
        '"NSE_EQ|INE1","8","NOTICK","X","1","","","","1","EQUITY","","NSE_EQ"',
    )
)
EXPIRY_MS = ist_to_ns(date(2026, 12, 29), clock_time(23, 59, 59)) // 1_000_000
ROWS = [
    {"instrument_key": "NSE_INDEX|Nifty Bank", "trading_symbol": "BANKNIFTY", "instrument_type": "INDEX"},
    {"instrument_key": "NSE_EQ|INE009A01021", "trading_symbol": "INFY", "name": "INFOSYS", "instrument_type": "EQ",
     "tick_size": 10.0, "lot_size": 1, "freeze_quantity": 100000.0},
    {"instrument_key": "NSE_FO|3", "trading_symbol": "M&M 3150.5 PE 29 DEC 26", "underlying_symbol": "M&M",
     "instrument_type": "PE", "tick_size": 5.0, "lot_size": 200, "freeze_quantity": 8000.0,
     "strike_price": 3150.5, "expiry": EXPIRY_MS},
    {"instrument_key": "NSE_FO|1", "trading_symbol": "NIFTY FUT 29 DEC 26", "asset_symbol": "NIFTY",
     "instrument_type": "FUT", "tick_size": 10.0, "lot_size": 65, "freeze_quantity": 1800.0, "expiry": EXPIRY_MS},
    {"instrument_key": "MCX_FO|1", "trading_symbol": "GOLD", "instrument_type": "FUT"},
    {"instrument_key": "NSE_FO|9", "trading_symbol": "NO EXPIRY", "underlying_symbol": "X", "instrument_type": "FUT",
     "tick_size": 5.0, "lot_size": 1},
]  # fmt: skip
DECEMBER = date(2026, 12, 29)


@pytest.fixture
def reference(client):
    return UpstoxReference(client)


def test_the_csv_dump_is_listed_by_one_key_with_ticks_in_rupees():
    listed, left_out = parse_instruments(gzip.compress(CSV.encode()))
    assert [str(each.key) for each in listed] == [
        "INDEX:NIFTY", "INDEX:INDIA VIX", "NSE:INFY", "NFO:NIFTY:2026-12-29:FUT", "NFO:NIFTY:2026-12-01:26550:CE",
        "NFO:M&M:2026-12-29:3150.50:PE", "NFO:MCX:2026-12-29:FUT",
    ]  # fmt: skip
    assert left_out == 3  # a symbol that does not end in its contract, one key twice, no tick size
    future = listed[3]
    assert (future.token, future.broker_segment, future.symbol) == ("NSE_FO|1", "NSE_FO", "NIFTY26DECFUT")
    assert (future.lot_size, future.tick_size_paise, future.freeze_quantity) == (65, 10, None)


def test_the_json_dump_is_listed_by_the_same_keys_with_ticks_in_paise():
    listed, left_out = parse_instruments(json.dumps(ROWS).encode())
    assert [str(each.key) for each in listed] == [
        "INDEX:BANKNIFTY", "NSE:INFY", "NFO:M&M:2026-12-29:3150.50:PE", "NFO:NIFTY:2026-12-29:FUT"
    ]  # fmt: skip
    assert left_out == 1
    assert [each.tick_size_paise for each in listed] == [5, 10, 5, 10]
    assert [each.freeze_quantity for each in listed] == [None, 100_000, 8000, 1800]


@pytest.mark.parametrize(
    "body", [b"", PAGE, b"{}", b"[1]", b"null", gzip.compress(CSV.encode())[:-9], b"\x1f\x8bjunk", b"[" * 100_000]
)
def test_what_is_no_dump_is_malformed(body):
    with pytest.raises(Malformed, match="instruments"):
        parse_instruments(body)


@pytest.mark.parametrize("cut", range(0, len(CSV), 97))
def test_a_dump_cut_anywhere_lists_only_whole_rows(cut):
    whole, _ = parse_instruments(CSV.encode())
    try:
        listed, _ = parse_instruments(CSV[:cut].encode())
    except Malformed:
        return
    assert all(each.key in {one.key for one in whole} for each in listed[:-1])  # the last row may be the cut one
    assert all(each.lot_size > 0 and each.tick_size_paise > 0 for each in listed)


async def test_symbols_come_from_the_csv_and_freeze_quantities_from_the_json(upstox, reference):
    upstox.replies |= {
        f"GET {DUMPS}/NSE.csv.gz": Reply(gzip.compress(CSV.encode())),
        f"GET {DUMPS}/NSE.json.gz": Reply(gzip.compress(json.dumps(ROWS).encode())),
        f"GET {DUMPS}/BSE.csv.gz": Reply(gzip.compress(HEADER.encode())), f"GET {DUMPS}/BSE.json.gz": Reply(PAGE, 403),
    }  # fmt: skip
    listed = {str(each.key): each for each in await reference.instruments()}
    assert listed["NFO:NIFTY:2026-12-29:FUT"].symbol == "NIFTY26DECFUT"
    assert listed["NFO:NIFTY:2026-12-29:FUT"].freeze_quantity == 1800
    assert "Authorization" not in upstox.asked[0].headers  # the dumps are public: no token goes there


def candle(text: str, price: float) -> list:
    return [text, price, price + 1, price / 2, price, 100, 5]


async def test_history_is_asked_in_spans_and_comes_ascending_without_repeats(upstox, reference):
    upstox.otherwise = lambda asked: success(
        {
            "candles": [
                candle(f"{asked.path.split('/')[-2]}T09:16:00+05:30", 2.0),
                candle(f"{asked.path.split('/')[-1]}T09:15:00+05:30", 1.0),
            ]
        }
    )
    from_ns, to_ns = ist_to_ns(date(2026, 9, 1), clock_time(9, 15)), ist_to_ns(date(2026, 11, 20), clock_time(15, 30))
    candles = await reference.history(INFY, timeframe_seconds=60, from_ns=from_ns, to_ns=to_ns)
    paths = [asked.path for asked in upstox.asked]
    assert paths == [
        "/v3/historical-candle/NSE_EQ|INE009A01021/minutes/1/2026-09-28/2026-09-01",
        "/v3/historical-candle/NSE_EQ|INE009A01021/minutes/1/2026-10-26/2026-09-29",
        "/v3/historical-candle/NSE_EQ|INE009A01021/minutes/1/2026-11-20/2026-10-27",
    ]
    assert len(candles) == 6
    assert (np.diff(candles["ts_open_ns"]) > 0).all()
    assert candles["ts_open_ns"][0] == from_ns
    assert candles[0]["close_paise"] == 100
    assert candles[0]["ts_close_ns"] - candles[0]["ts_open_ns"] == 60 * 10**9
    assert (candles["timeframe_seconds"] == 60).all()


async def test_the_day_under_way_comes_from_the_intraday_address(upstox, reference):
    today, yesterday = date(2026, 11, 25), date(2026, 11, 23)
    upstox.replies |= {
        "GET /v3/historical-candle/NSE_EQ|INE009A01021/minutes/5/2026-11-25/2026-11-23": success(
            {"candles": [candle("2026-11-23T15:25:00+05:30", 1.0 + 1)]}
        ),
        "GET /v3/historical-candle/intraday/NSE_EQ|INE009A01021/minutes/5": success(
            {"candles": [candle("2026-11-25T10:00:00+05:30", 3.0), candle("2026-11-25T09:55:00+05:30", 2.5)]}
        ),
    }  # fmt: skip
    candles = await reference.history(
        INFY, timeframe_seconds=300, from_ns=ist_to_ns(yesterday, clock_time(9, 15)),
        to_ns=ist_to_ns(today, clock_time(10, 0)),
    )  # fmt: skip
    assert candles["close_paise"].tolist() == [200, 250]  # the bar that opens at `to_ns` is not in [from, to)


async def test_a_timeframe_upstox_does_not_have_is_named(reference):
    with pytest.raises(InvalidInput, match="7 s"):
        await reference.history(INFY, timeframe_seconds=7, from_ns=0, to_ns=NANOSECONDS_PER_DAY)


@pytest.mark.parametrize(
    "data",
    [
        {}, {"candles": None}, {"candles": [[]]}, {"candles": [["2026-11-20T09:15:00+05:30", 1, 2]]},
        {"candles": [["09:15", 1, 2, 1, 1, 5, 0]]}, {"candles": [["2026-11-20T09:15:00+05:30", 1, 0.5, 1, 1, 5, 0]]},
        {"candles": [["2026-11-20T09:15:00+05:30", "1", 2, 1, 1, 5, 0]]},
        {"candles": [["2026-11-20T09:15:00+05:30", 1, 2, 1, 1, -5, 0]]},
    ],
)  # fmt: skip
async def test_candles_that_cannot_be_are_malformed(upstox, reference, data):
    upstox.otherwise = lambda asked: success(data)
    with pytest.raises(Malformed, match="history"):
        await reference.history(INFY, timeframe_seconds=60, from_ns=0, to_ns=NANOSECONDS_PER_DAY)


async def test_a_row_that_is_no_candle_is_left_out_and_said(upstox, reference, capsys):
    when = "2026-11-20T09:15:00+05:30"
    odd = [[], [when, 0, 0, 0, 0, 0, 0], [when, 1, 0.5, 1, 1, 5, 0], ["09:15", 1, 2, 1, 1, 5, 0], None]
    good = [candle("2026-11-20T09:16:00+05:30", 2.0), candle(when, 1.0)]
    upstox.otherwise = lambda asked: success({"candles": [*odd, *good] if "intraday" not in asked.path else []})
    from_ns = ist_to_ns(date(2026, 11, 20), clock_time(9, 15))
    candles = await reference.history(INFY, timeframe_seconds=60, from_ns=from_ns, to_ns=from_ns + 120 * 10**9)
    assert candles["close_paise"].tolist() == [100, 200]
    said = logged(capsys)
    assert "rows=5" in said
    assert "candle 0" in said


def quote(key: str, **changes) -> dict:
    fields = {
        "ohlc": {"open": 1495.0, "high": 1510.5, "low": 1490.05, "close": 1500.1}, "instrument_token": key,
        "depth": {
            "buy": [{"quantity": 5, "price": 1500.0, "orders": 2}],
            "sell": [{"quantity": 7, "price": 1500.1, "orders": 3}],
        },
        "timestamp": "2026-11-25T10:00:00.123+05:30", "symbol": "X", "last_price": 1500.1, "volume": 12345,
        "average_price": 1500.005, "oi": 65.0, "net_change": 10.1, "total_buy_quantity": 5.0,
        "total_sell_quantity": 7.0, "lower_circuit_limit": 1.0, "upper_circuit_limit": 2.0,
        "last_trade_time": "1795581000000", "oi_day_high": 70.0, "oi_day_low": 60.0,
    }  # fmt: skip
    return fields | changes


async def test_quotes_are_records_by_the_instruments_place(upstox, reference):
    upstox.replies["GET /v2/market-quote/quotes"] = success(
        {"NSE_INDEX:Nifty 50": quote(NIFTY.token, depth={"buy": [], "sell": []}), "NSE_EQ:INFY": quote(INFY.token)}
    )
    unknown = ListedInstrument(InstrumentKey(Segment.NSE, "GONE"), "NSE_EQ|GONE", "NSE_EQ", "GONE", 1, 5)
    rows = await reference.quotes([unknown, INFY, NIFTY])
    assert upstox.asked[0].query == {"symbol": ["NSE_EQ|GONE,NSE_EQ|INE009A01021,NSE_INDEX|Nifty 50"]}
    assert rows["instrument"].tolist() == [1, 2]
    row = rows[0]
    assert (row["price_paise"], row["previous_close_paise"], row["average_price_paise"]) == (150_010, 149_000, 150_001)
    assert (row["bid_paise"][0], row["ask_quantity"][0], row["ask_orders"][0]) == (150_000, 7, 3)
    assert row["ts_event_ns"] == row["ts_last_trade_ns"] == 1_795_581_000_000 * 10**6
    wanted = QUOTE_HAS_PRICE | QUOTE_HAS_PREVIOUS_CLOSE | QUOTE_HAS_DEPTH | QUOTE_HAS_OPEN_INTEREST
    assert row["fields"] & wanted == wanted
    assert row["fields"] & QUOTE_HAS_EXCHANGE_TIME
    assert not rows[1]["fields"] & QUOTE_HAS_DEPTH


async def test_price_bands_are_those_of_the_instruments_asked_for(upstox, reference):
    upstox.replies["GET /v2/market-quote/quotes"] = success(
        {"a": quote(INFY.token), "b": quote("NSE_EQ|other"), "c": quote(NIFTY.token, upper_circuit_limit=None), "d": 5}
    )
    assert await reference.price_bands([NIFTY, INFY]) == {1: PriceBand(100, 200)}


async def test_more_quotes_than_one_call_takes_are_asked_in_several(upstox, reference):
    upstox.replies["GET /v2/market-quote/quotes"] = success({})
    many = [
        ListedInstrument(InstrumentKey(Segment.NSE, f"S{n}"), f"NSE_EQ|{n}", "NSE_EQ", f"S{n}", 1, 5)
        for n in range(1001)
    ]
    assert len(await reference.quotes(many)) == 0
    assert [asked.query["symbol"][0].count(",") + 1 for asked in upstox.asked] == [500, 500, 1]


async def test_a_quote_that_cannot_be_read_is_none_and_the_others_are(upstox, reference):
    upstox.replies["GET /v2/market-quote/quotes"] = success(
        {"a": quote(INFY.token, last_price="x"), "b": quote(NIFTY.token), "c": None}
    )
    assert (await reference.quotes([INFY, NIFTY]))["instrument"].tolist() == [1]


async def test_a_quote_of_another_instrument_is_refused_and_spoils_no_other(upstox, reference, capsys):
    other = {"NSE_EQ:INFY": quote("NSE_EQ|INE467B01029")}
    upstox.replies["GET /v2/market-quote/quotes"] = success(other | {"b": quote(NIFTY.token)})
    assert (await reference.quotes([INFY, NIFTY]))["instrument"].tolist() == [1]
    assert "none that was asked for" in logged(capsys)
    upstox.replies["GET /v2/market-quote/quotes"] = success(other)
    with pytest.raises(Malformed, match="INE467B01029"):
        await reference.quotes([INFY])


async def test_the_option_chain_by_strike_with_a_fraction_for_volatility(upstox, reference):
    side = {
        "instrument_key": "NSE_FO|2",
        "market_data": {"ltp": 0.0, "volume": 0, "oi": 650.0, "bid_price": 2.05, "bid_qty": 65,
                        "ask_price": None, "ask_qty": None, "prev_oi": 600.0},
        "option_greeks": {"vega": 1.5, "theta": -2.5, "gamma": 0.001, "delta": 0.45, "iv": 12.5, "pop": 40.0},
    }  # fmt: skip
    upstox.replies["GET /v2/option/chain"] = success(
        [
            {"strike_price": 26000.0, "underlying_spot_price": 26000.15, "call_options": side, "put_options": None},
            {"strike_price": 25950.0, "underlying_spot_price": 26000.15, "put_options": side},
        ]
    )
    chain = await reference.option_chain(NIFTY, DECEMBER)
    assert upstox.asked[0].query == {"instrument_key": ["NSE_INDEX|Nifty 50"], "expiry_date": ["2026-12-29"]}
    assert [row.strike_paise for row in chain.rows] == [2_595_000, 2_600_000]
    assert chain.underlying_price_paise == 2_600_015
    assert chain.rows[0].call is None
    call = chain.rows[1].call
    assert call is not None
    assert (call.price_paise, call.bid_paise, call.ask_paise, call.open_interest) == (0, 205, 0, 650)
    assert call.implied_volatility == 0.125
    assert (call.delta, call.theta) == (0.45, -2.5)


@pytest.mark.parametrize(
    "change",
    [{"expiry": "2026-12-01"}, {"underlying_key": "NSE_INDEX|Nifty Bank"}, {"strike_price": "x"},
     {"call_options": {"instrument_key": "NSE_FO|2", "market_data": None}}],
)  # fmt: skip
async def test_a_chains_row_of_another_one_is_left_out_and_said(upstox, reference, capsys, change):
    row = {
        "strike_price": 26000.0, "underlying_spot_price": 26000.15, "expiry": "2026-12-29",
        "underlying_key": NIFTY.token, "call_options": None, "put_options": None,
    }  # fmt: skip
    upstox.replies["GET /v2/option/chain"] = success([row | {"strike_price": 25900.0} | change, row])
    chain = await reference.option_chain(NIFTY, DECEMBER)
    assert [each.strike_paise for each in chain.rows] == [2_600_000]
    assert "rows=1" in logged(capsys)
    upstox.replies["GET /v2/option/chain"] = success([row | change])
    with pytest.raises(Malformed, match="row 0"):
        await reference.option_chain(NIFTY, DECEMBER)


async def test_a_chains_strike_that_comes_again_is_left_out_and_said(upstox, reference, capsys):
    row = {"strike_price": 26000.0, "underlying_spot_price": 26000.15, "call_options": None, "put_options": None}
    side = {"instrument_key": "NSE_FO|2", "market_data": {"ltp": 1.0}}
    upstox.replies["GET /v2/option/chain"] = success([row, row | {"call_options": side}])
    chain = await reference.option_chain(NIFTY, DECEMBER)
    assert [(each.strike_paise, each.call) for each in chain.rows] == [(2_600_000, None)]
    assert "rows=1" in logged(capsys)


async def test_contracts_of_another_underlying_are_malformed(upstox, reference):
    other = {"expiry": "2026-12-29", "underlying_key": "NSE_INDEX|Nifty Bank"}
    upstox.replies["GET /v2/option/contract"] = success([other])
    with pytest.raises(Malformed, match="underlying_key"):
        await reference.expiries(NIFTY)
    upstox.replies["GET /v2/option/contract"] = success([other, {"expiry": "soon"}, {"expiry": "2026-12-01"}])
    assert await reference.expiries(NIFTY) == [date(2026, 12, 1)]


async def test_an_expiry_without_options_is_refused_by_name(upstox, reference):
    upstox.replies["GET /v2/option/chain"] = success([])
    with pytest.raises(Refused, match="2026-12-29"):
        await reference.option_chain(NIFTY, DECEMBER)


async def test_expiries_are_those_of_the_contracts(upstox, reference):
    upstox.replies["GET /v2/option/contract"] = success(
        [{"expiry": "2026-12-29"}, {"expiry": "2026-12-01"}, {"expiry": "2026-12-29"}]
    )
    assert await reference.expiries(NIFTY) == [date(2026, 12, 1), DECEMBER]


async def test_reads_try_again_where_that_may_help_and_not_where_it_cannot(upstox, reference):
    upstox.replies["GET /v2/option/contract"] = [
        Reply(PAGE, 502),
        refusal(429, "UDAPI10005"),
        Reply({}, cut=0),
        success([]),
    ]
    assert await reference.expiries(NIFTY) == []
    assert len(upstox.asked) == 4
    upstox.replies["GET /v2/option/contract"] = refusal(400, "UDAPI100011")
    with pytest.raises(Refused):
        await reference.expiries(NIFTY)
    assert len(upstox.asked) == 5
    upstox.replies["GET /v2/option/contract"] = Reply(PAGE, 502)
    with pytest.raises(NoAnswer):
        await reference.expiries(NIFTY)
    assert len(upstox.asked) == 10


@pytest.mark.shared_data
@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared instrument dumps are not beside this checkout")
def test_real_dumps_of_two_brokers_agree_on_every_key_they_share():
    ours, left_out = parse_instruments((SHARED / "upstox_NSE_instruments_2026-08.csv.gz").read_bytes())
    theirs, _ = parse_kite(gzip.decompress((SHARED / "kite_NFO_BFO_instruments_2026-08.csv.gz").read_bytes()))
    assert len(ours) > 40_000
    assert left_out < 10
    kite = {each.key: each for each in theirs}
    shared = [each for each in ours if each.key in kite and each.key.segment is Segment.NFO]
    assert len(shared) > 10_000
    for each in shared:
        assert (each.symbol, each.lot_size, each.tick_size_paise) == (
            kite[each.key].symbol, kite[each.key].lot_size, kite[each.key].tick_size_paise,
        )  # fmt: skip
    assert InstrumentKey(Segment.NFO, "NIFTY", date(2026, 12, 29), 2_600_000, Right.CALL) in {each.key for each in ours}


def test_an_index_whose_name_has_a_colon_has_a_key_that_reads_as_itself():
    row = '"NSE_INDEX|Nifty500 Multicap 50:25:25","1","x","x","1","","","","","INDEX","INDEX","NSE_INDEX"'
    ((index,), left_out) = parse_instruments((HEADER + row).encode())
    assert str(index.key) == "INDEX:NIFTY500 MULTICAP 50-25-25"
    assert InstrumentKey.parse(str(index.key)) == index.key
    assert (index.token, left_out) == ("NSE_INDEX|Nifty500 Multicap 50:25:25", 0)

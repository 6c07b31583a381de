"""Dhan's instruments, history, quotes and chains: what is asked and what is made of the answers."""

from datetime import date, time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.dhan_desk import CALL, CLIENT_ID, FUTURE, INFY, NIFTY, NOVEMBER, TOKEN, Answer
from testkit.dhan_orders import error
from testkit.logged import logged

from tradebus.brokers.dhan import DhanReference, parse_instruments
from tradebus.brokers.errors import Malformed, NoAnswer, Refused, Throttled, TokenExpired
from tradebus.brokers.reference import PriceBand
from tradebus.contracts import records
from tradebus.contracts.instrument_key import InstrumentKey, Right, Segment
from tradebus.kernel.time import ist_to_ns

SHARED = Path(__file__).parents[3].parent / "shared" / "data" / "instruments"
DETAILED = (
    "EXCH_ID,SEGMENT,SECURITY_ID,ISIN,INSTRUMENT,UNDERLYING_SECURITY_ID,UNDERLYING_SYMBOL,SYMBOL_NAME,DISPLAY_NAME,"
    "INSTRUMENT_TYPE,SERIES,LOT_SIZE,SM_EXPIRY_DATE,STRIKE_PRICE,OPTION_TYPE,TICK_SIZE"
)
COMPACT = (
    "SEM_EXM_EXCH_ID,SEM_SEGMENT,SEM_SMST_SECURITY_ID,SEM_INSTRUMENT_NAME,SEM_EXPIRY_CODE,SEM_TRADING_SYMBOL,"
    "SEM_LOT_UNITS,SEM_CUSTOM_SYMBOL,SEM_EXPIRY_DATE,SEM_STRIKE_PRICE,SEM_OPTION_TYPE,SEM_TICK_SIZE,SEM_SERIES,"
    "SM_SYMBOL_NAME"
)
FUTURE_ROW = "NSE,D,52175,NA,FUTIDX,26000,NIFTY,NIFTY-Nov2026-FUT,x,FUT,NA,65.0,2026-11-30,-0.01000,XX,10.0000"


def detailed(*rows):
    return parse_instruments("\n".join([DETAILED, *rows]).encode())


def compact(*rows):
    return parse_instruments("\n".join([COMPACT, *rows]).encode())


# Instruments


def test_the_detailed_list_gives_every_kind_its_key():
    listed, left_out = detailed(
        "NSE,I,13,1,INDEX,,NIFTY,NIFTY,Nifty 50,INDEX,X,1.0,,,,5.0000",
        "NSE,E,1594,INE009A01021,EQUITY,,INFY,INFOSYS LTD,Infosys,ES,EQ,1.0,,,,10.0000",
        FUTURE_ROW,
        "NSE,D,50978,NA,OPTIDX,26000,NIFTY,NIFTY-Nov2026-26000-CE,x,OP,NA,65.0,2026-11-30,26000.00000,CE,5.0000",
    )
    assert left_out == 0
    assert listed == [NIFTY, INFY, FUTURE, CALL]


def test_the_compact_list_gives_the_same():
    listed, left_out = compact(
        "NSE,I,13,INDEX,0,NIFTY,1.0,Nifty 50,,,,5.0000,X,",
        "NSE,E,1594,EQUITY,0,INFY,1.0,Infosys,,,,10.0000,EQ,INFOSYS LTD",
        "NSE,D,52175,FUTIDX,0,NIFTY-Nov2026-FUT,65.0,x,2026-11-30 14:30:00,-0.01000,XX,10.0000,,",
        "NSE,D,50978,OPTIDX,0,NIFTY-Nov2026-26000-CE,65.0,x,2026-11-30 14:30:00,26000.00000,CE,5.0000,,",
        "NSE,D,7,FUTSTK,0,BAJAJ-AUTO-Nov2026-FUT,75.0,x,2026-11-30 14:30:00,-0.01000,XX,50.0000,,",
    )
    assert left_out == 0
    assert listed[:4] == [NIFTY, INFY, FUTURE, CALL]
    assert listed[4].key == InstrumentKey(Segment.NFO, "BAJAJ-AUTO", NOVEMBER)


def test_test_rows_other_segments_and_side_series_are_passed_over():
    listed, left_out = detailed(
        "NSE,D,36687,NA,FUTSTK,14747,011NSETEST,011NSETEST-Nov2036-FUT,x,FUT,NA,50,2036-11-27,-0.01,XX,5",
        "MCX,M,1,NA,FUTCOM,1,GOLD,GOLD-Dec2026-FUT,x,FUT,NA,1,2026-12-05,-0.01,XX,100",
        "NSE,C,2,NA,INDEX,0,NIFTY,NIFTY,,INDEX,NA,1.0,1979-12-31,-0.01,XX,0.2500",
        "NSE,E,5,IN,EQUITY,,INFY,INFOSYS BOND,x,ES,N1,1.0,,,,1.0000",
        "NSE,E,6,IN,EQUITY,,INFY,INFOSYS LTD,x,ES,BE,1.0,,,,5.0000",
        "NSE,E,1594,IN,EQUITY,,INFY,INFOSYS LTD,x,ES,EQ,1.0,,,,10.0000",
    )
    assert listed == [INFY]
    assert left_out == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [("52175", "abc"), ("52175", ""), ("65.0", "0"), ("65.0", "x"), ("65.0", "1.5"), ("10.0000", "0.2500"),
     ("10.0000", "0"), ("10.0000", ""), ("2026-11-30", "soon"), ("2026-11-30", ""), ("FUTIDX", "OPTIDX"),
     ("FUTIDX", "SWAP"), (",NIFTY,NIFTY-Nov2026-FUT,", ",,,"), (",NIFTY,", ",A:B,")],
)  # fmt: skip
def test_a_row_that_cannot_be_read_is_left_out_and_counted(old, new):
    listed, left_out = detailed(FUTURE_ROW.replace(old, new), FUTURE_ROW.replace("52175", "52176"))
    assert [each.token for each in listed] == ["52176"]
    assert left_out == 1


INDEX_ROW = (
    "NSE,I,467,1,INDEX,null,Nifty500 Multicap 50:25:25,Nifty500 Multicap 50:25:25,x,INDEX,X,0.0,,7.00000,,1.0000"
)


@pytest.mark.parametrize("tick", ["0", "0.0000", "0.0500", "0.2500", "1.0000", "5.0000", "", "x"])
@pytest.mark.parametrize("lot", ["0.0", "", "1.0", "x"])
def test_an_index_is_listed_whatever_its_row_has_for_tick_and_lot(tick, lot):
    row = INDEX_ROW.replace("1.0000", tick).replace(",0.0,", f",{lot},")
    ((index,), left_out) = detailed(row)
    assert left_out == 0
    assert (index.lot_size, index.tick_size_paise) == (1, 5)


def test_an_index_whose_name_has_a_colon_has_a_key_that_reads_as_itself():
    ((index,), _) = detailed(INDEX_ROW)
    assert str(index.key) == "INDEX:NIFTY500 MULTICAP 50-25-25"
    assert InstrumentKey.parse(str(index.key)) == index.key
    assert index.token == "467"


def test_a_row_that_says_again_what_another_said_is_counted():
    listed, left_out = detailed(FUTURE_ROW, FUTURE_ROW.replace("52175", "52176"))
    assert ([each.token for each in listed], left_out) == (["52175"], 1)


def test_a_date_that_went_through_a_spreadsheet_is_read():
    ((future,), _) = detailed(FUTURE_ROW.replace("2026-11-30", "30/11/26"))
    assert future.key.expiry == NOVEMBER


@pytest.mark.parametrize("body", [b"", b"<html></html>", b"a,b\n1,2", b"\xff\xfe\x00", b'{"errorCode": "DH-905"}'])
def test_what_is_no_list_is_malformed(body):
    with pytest.raises(Malformed, match="instrument list"):
        parse_instruments(body)


@given(st.binary(max_size=200), st.integers(0, 400))
def test_a_damaged_list_is_read_or_malformed(noise, cut):
    whole = "\n".join([DETAILED, FUTURE_ROW, FUTURE_ROW]).encode()
    try:
        parse_instruments(whole[:cut] + noise + whole[cut:])
    except Malformed:
        return


@pytest.mark.shared_data
@pytest.mark.skipif(not SHARED.is_dir(), reason="the real lists do not lie beside the checkout")
def test_the_real_lists_are_read():
    futures, left_out = parse_instruments((SHARED / "dhan_detailed_FUTSTK_2025-07.csv").read_bytes())
    assert left_out == 0
    assert len(futures) > 600
    assert not [each for each in futures if "NSETEST" in each.symbol]
    assert all(each.key.is_derivative and each.key.strike_paise is None for each in futures)
    indices, _ = parse_instruments((SHARED / "dhan_detailed_INDEX_2025-09.csv").read_bytes())
    tokens = {each.key.name: each.token for each in indices}
    assert (tokens["NIFTY"], tokens["BANKNIFTY"], tokens["FINNIFTY"]) == ("13", "25", "27")
    assert (tokens["SENSEX"], tokens["INDIA VIX"], tokens["MIDCPNIFTY"]) == ("51", "21", "442")


# Over HTTP


@pytest.fixture
def client(dhan):
    client = dhan.client()
    client.quotes_pacer = client.history_pacer = client.chain_pacer = client.other_pacer
    yield client
    client.close()


@pytest.fixture
def reference(client):
    return DhanReference(client)


async def test_the_list_is_downloaded_without_the_token(dhan, reference):
    path = "/api-data/api-scrip-master-detailed.csv"
    dhan.answers[f"GET {path}"] = Answer(200, f"{DETAILED}\n{FUTURE_ROW}\n".encode(), "text/csv")
    assert await reference.instruments() == [FUTURE]
    assert TOKEN not in str(dhan.asked[0].headers)
    dhan.answers[f"GET {path}"] = Answer(200, DETAILED.encode(), "text/csv")
    with pytest.raises(Malformed):
        await reference.instruments()


CANDLES = {
    "open": [100.05, 101], "high": [102.0, 103.0], "low": [99.95, 100.0], "close": [101.0, 102.35],
    "volume": [10, 20.0], "timestamp": [1_795_578_300, 1_795_578_360], "open_interest": [5, 6],
}  # fmt: skip
FROM_NS, TO_NS = 1_795_578_300 * 10**9, 1_795_578_420 * 10**9


async def test_minute_bars_are_asked_in_indian_time_and_stamped_in_utc(dhan, reference):
    dhan.answers["POST /v2/charts/intraday"] = Answer.of(CANDLES)
    candles = await reference.history(FUTURE, timeframe_seconds=60, from_ns=FROM_NS, to_ns=TO_NS)
    body = dhan.asked[0].json
    assert (body["fromDate"], body["toDate"]) == ("2026-11-25 09:15:00", "2026-11-25 09:17:00")
    assert (body["interval"], body["instrument"], body["oi"], body["securityId"]) == (1, "FUTIDX", True, "52175")
    assert candles["ts_open_ns"].tolist() == [FROM_NS, FROM_NS + 60 * 10**9]
    assert candles["close_paise"].tolist() == [10_100, 10_235]
    assert candles["open_interest"].tolist() == [5, 6]
    assert (candles["ts_close_ns"] - candles["ts_open_ns"]).tolist() == [60 * 10**9] * 2


async def test_a_long_window_is_asked_in_parts_of_ninety_days(dhan, reference):
    dhan.answers["POST /v2/charts/intraday"] = [error("DH-907", 404), Answer.of(CANDLES)]
    day_ns = 86_400 * 10**9
    candles = await reference.history(INFY, timeframe_seconds=300, from_ns=TO_NS - 200 * day_ns, to_ns=TO_NS)
    assert len(dhan.asked) == 3
    assert [asked.json["fromDate"][:10] for asked in dhan.asked] == ["2026-05-09", "2026-08-07", "2026-11-05"]
    assert len(candles) == 2  # told twice, kept once


async def test_daily_bars_leave_the_last_date_out(dhan, reference):
    dhan.answers["POST /v2/charts/historical"] = Answer.of({**CANDLES, "timestamp": [1_795_545_000, 1_795_631_400]})
    to_ns = ist_to_ns(date(2026, 11, 26), time(0, 0))
    await reference.history(INFY, timeframe_seconds=86_400, from_ns=to_ns - 86_400 * 10**9, to_ns=to_ns)
    assert (dhan.asked[0].json["fromDate"], dhan.asked[0].json["toDate"]) == ("2026-11-25", "2026-11-26")
    assert dhan.asked[0].json["instrument"] == "EQUITY"


async def test_a_timeframe_that_dhan_lacks_is_refused_with_those_it_has(reference):
    with pytest.raises(Refused, match="300"):
        await reference.history(INFY, timeframe_seconds=180, from_ns=1, to_ns=2)


@pytest.mark.parametrize(
    "change",
    [{"open": [1.0]}, {"open": None}, {"timestamp": "x"}, {"volume": [1]}, {"high": 102.0}, {"close": [None, None]}],
)  # fmt: skip
async def test_columns_that_do_not_fit_are_malformed(dhan, reference, change):
    dhan.answers["POST /v2/charts/intraday"] = Answer.of(CANDLES | change)
    with pytest.raises(Malformed, match="history"):
        await reference.history(FUTURE, timeframe_seconds=60, from_ns=FROM_NS, to_ns=TO_NS)


@pytest.mark.parametrize(
    "change",
    [{"high": [102.0, None]}, {"low": [99.95, -1.0]}, {"close": [101.0, float("nan")]}, {"volume": [1, "many"]},
     {"open_interest": [1, True]}, {"timestamp": [1_795_578_300, 1e300]}, {"high": [102.0, 99.0]},
     {"open": [100.05, 0], "high": [102.0, 0], "low": [99.95, 0], "close": [101, 0]}, {"low": [99.95, 0.001]}],
)  # fmt: skip
async def test_a_row_that_is_no_candle_is_left_out_and_said(dhan, reference, capsys, change):
    dhan.answers["POST /v2/charts/intraday"] = Answer.of(CANDLES | change)
    candles = await reference.history(FUTURE, timeframe_seconds=60, from_ns=FROM_NS, to_ns=TO_NS)
    assert candles["close_paise"].tolist() == [10_100]
    said = logged(capsys)
    assert "rows=1" in said
    assert "candle 1" in said


QUOTE_ROW = {
    "average_price": 1500.2, "buy_quantity": 1825, "sell_quantity": 3,
    "depth": {
        "buy": [{"quantity": 10, "orders": 1, "price": 1500.0}] + [{"quantity": 0, "orders": 0, "price": 0}] * 4,
        "sell": [{"quantity": 20, "orders": 2, "price": 1500.5}] + [{"quantity": 0, "orders": 0, "price": 0}] * 4,
    },
    "last_price": 1500.45, "last_quantity": 7, "last_trade_time": "25/11/2026 09:15:07",
    "ohlc": {"open": 1490, "close": 1495.05, "high": 1510, "low": 1485},
    "oi": 9, "oi_day_high": 10, "oi_day_low": 8, "volume": 117_567_970,
}  # fmt: skip


async def test_quotes_carry_what_the_reply_carries(dhan, reference):
    answer = {"data": {"NSE_EQ": {"1594": QUOTE_ROW}, "NSE_FNO": {"52175": {"last_price": 26_000.1}}}}
    dhan.answers["POST /v2/marketfeed/quote"] = Answer.of(answer)
    quotes = await reference.quotes([INFY, CALL, FUTURE])
    assert dhan.asked[0].json == {"NSE_EQ": [1594], "NSE_FNO": [50978, 52175], "dhanClientId": CLIENT_ID}
    assert quotes["instrument"].tolist() == [0, 2]
    first = quotes[0]
    assert first["fields"] == 4095
    assert first["price_paise"] == 150_045
    assert first["ts_event_ns"] == first["ts_last_trade_ns"] == (1_795_578_307) * 10**9
    assert (first["bid_paise"][0], first["ask_paise"][0], first["ask_orders"][0]) == (150_000, 150_050, 2)
    assert (first["previous_close_paise"], first["open_interest_low"]) == (149_505, 8)
    assert quotes[1]["fields"] == records.QUOTE_HAS_PRICE


async def test_price_bands_are_those_of_the_instruments_asked_for(dhan, reference):
    row = QUOTE_ROW | {"lower_circuit_limit": 1350.4, "upper_circuit_limit": 1650.5}
    answer = {"data": {"NSE_EQ": {"1594": row, "1595": row}, "NSE_FNO": {"52175": QUOTE_ROW, "50978": []}}}
    dhan.answers["POST /v2/marketfeed/quote"] = Answer.of(answer)
    assert await reference.price_bands([CALL, INFY, FUTURE]) == {1: PriceBand(135_040, 165_050)}


async def test_quotes_of_other_instruments_are_refused(dhan, reference):
    dhan.answers["POST /v2/marketfeed/quote"] = Answer.of({"data": {"NSE_FNO": {"1594": QUOTE_ROW}}})
    with pytest.raises(Malformed, match="NSE_FNO 1594"):
        await reference.quotes([INFY])
    both = {"data": {"NSE_EQ": {"1594": QUOTE_ROW, "1595": QUOTE_ROW}}}
    dhan.answers["POST /v2/marketfeed/quote"] = Answer.of(both)
    assert (await reference.quotes([INFY]))["instrument"].tolist() == [0]


async def test_a_trade_that_never_was_has_no_time(dhan, reference):
    row = QUOTE_ROW | {"last_trade_time": "01/01/1980 00:00:00", "last_price": 0, "depth": None}
    dhan.answers["POST /v2/marketfeed/quote"] = Answer.of({"data": {"NSE_EQ": {"1594": row}}})
    (quote,) = await reference.quotes([INFY])
    absent = records.QUOTE_HAS_EXCHANGE_TIME | records.QUOTE_HAS_PRICE | records.QUOTE_HAS_DEPTH
    assert quote["fields"] & absent == 0
    assert quote["ts_event_ns"] == quote["ts_received_ns"]


async def test_more_quotes_than_a_call_takes_are_asked_in_several(dhan, reference):
    dhan.answers["POST /v2/marketfeed/quote"] = Answer.of({"data": {"NSE_EQ": {"1594": QUOTE_ROW}}})
    quotes = await reference.quotes([INFY] * 1_001)
    assert [len(asked.json["NSE_EQ"]) for asked in dhan.asked] == [1_000, 1]
    assert quotes["instrument"].tolist() == list(range(1_001))
    assert len(await reference.quotes([])) == 0


SIDE = {
    "average_price": 146.99, "greeks": {"delta": 0.53, "theta": -15.1, "gamma": 0.001, "vega": 12.1},
    "implied_volatility": 9.75, "last_price": 134, "oi": 3_786_445, "previous_oi": 402_220, "security_id": 50978,
    "top_ask_price": 134.05, "top_ask_quantity": 1365, "top_bid_price": 133.55, "top_bid_quantity": 1625,
    "volume": 117_567_970,
}  # fmt: skip


async def test_a_chain_is_by_strike_and_a_side_may_be_missing(dhan, reference):
    oc = {"26050.000000": {"pe": SIDE}, "26000.000000": {"ce": SIDE, "pe": None}, "26100.0": {"ce": {}, "pe": SIDE}}
    dhan.answers["POST /v2/optionchain"] = Answer.of({"data": {"last_price": 26_010.4, "oc": oc}, "status": "success"})
    chain = await reference.option_chain(NIFTY, NOVEMBER)
    assert dhan.asked[0].json["UnderlyingScrip"] == 13
    assert dhan.asked[0].json["Expiry"] == "2026-11-30"
    assert [row.strike_paise for row in chain.rows] == [2_600_000, 2_605_000, 2_610_000]
    assert [(row.call is None, row.put is None) for row in chain.rows] == [(False, True), (True, False), (True, False)]
    side = chain.rows[0].call
    assert side is not None
    assert (side.token, side.price_paise, side.bid_paise, side.ask_paise) == ("50978", 13_400, 13_355, 13_405)
    assert side.implied_volatility == pytest.approx(0.0975)
    assert (side.delta, side.previous_open_interest) == (0.53, 402_220)
    assert chain.underlying_price_paise == 2_601_040


@pytest.mark.parametrize("odd", [{"x": {"ce": SIDE}}, {"-1": {}}, {"26000": []}, {"26000.0": {"ce": SIDE}}])
async def test_a_strike_that_is_none_or_comes_again_is_left_out_and_said(dhan, reference, capsys, odd):
    oc = {"26000.000000": {"pe": SIDE}} | odd
    dhan.answers["POST /v2/optionchain"] = Answer.of({"data": {"last_price": 26_010.4, "oc": oc}, "status": "success"})
    chain = await reference.option_chain(NIFTY, NOVEMBER)
    assert [(row.strike_paise, row.call) for row in chain.rows] == [(2_600_000, None)]
    assert "rows=1" in logged(capsys)


async def test_expiries_are_dates_in_order(dhan, reference):
    path = "POST /v2/optionchain/expirylist"
    dhan.answers[path] = Answer.of({"data": ["2026-12-29", "2026-11-30"], "status": "success"})
    assert await reference.expiries(NIFTY) == [NOVEMBER, date(2026, 12, 29)]
    dhan.answers[path] = Answer.of({"data": ["soon", "2026-12-29", None]})
    assert await reference.expiries(NIFTY) == [date(2026, 12, 29)]
    dhan.answers[path] = Answer.of({"data": ["soon"]})
    with pytest.raises(Malformed):
        await reference.expiries(NIFTY)


@pytest.mark.parametrize(
    ("answer", "kind", "times"),
    [(error("DH-905"), Refused, 1), (error("811"), Refused, 1), (error("DH-908", 500), NoAnswer, 5),
     (error("805", 429), Throttled, 5), (error("DH-901", 401), TokenExpired, 1), (Answer(502, b"<html>"), NoAnswer, 5),
     (Answer(200, b"<html>"), Malformed, 1), (Answer(drop=True), NoAnswer, 5),
     (Answer.of({"status": "failed", "data": {"811": "Invalid Expiry"}}), Refused, 1)],
)  # fmt: skip
async def test_reads_are_tried_again_only_where_that_can_help(dhan, reference, answer, kind, times):
    dhan.answers["*"] = answer
    with pytest.raises(kind):
        await reference.expiries(NIFTY)
    assert len(dhan.asked) == times


def test_right_and_columns_are_what_the_tests_think():
    assert CALL.key.right is Right.CALL
    assert np.dtype(records.QUOTE).itemsize == 296

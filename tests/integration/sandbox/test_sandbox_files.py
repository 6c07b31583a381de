"""A sandbox out of files: instrument masters and recorded prices."""

import gzip
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.exchange_hands import BUY, at, last, place

from services.sandbox.adapters.history_file import read_paths
from services.sandbox.adapters.master_file import read_master
from services.sandbox.domain.prices.paths import ValuePath
from services.sandbox.options import MarketOptions
from services.sandbox.ports import SandboxStatus
from services.sandbox.sources import exchange_from_files
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import IST, datetime_to_ns

SHARED = Path(__file__).parents[3].parent / "shared" / "data"
KITE_HEADER = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,instrument_type,"
    "segment,exchange"
)
UPSTOX_HEADER = (
    "instrument_key,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,instrument_type,"
    "option_type,exchange"
)


def kite_row(token, symbol, name, expiry, strike, kind, lot=65):
    segment = "NFO-FUT" if kind == "FUT" else "NFO-OPT"
    return f"{token * 256 + 2},{token},{symbol},{name},0,{expiry},{strike},0.05,{lot},{kind},{segment},NFO"


def kite_master(folder, *, name="kite.csv"):
    rows = [KITE_HEADER, kite_row(51001, "NIFTY26DECFUT", "NIFTY", "2026-12-29", 0, "FUT")]
    rows.append(kite_row(51002, "NIFTY26NOV26000CE", "NIFTY", "2026-11-23", 26000, "CE"))  # expired
    rows.append(kite_row(52001, "FOODCO26DECFUT", "FOODCO", "2026-12-29", 0, "FUT", lot=800))
    for number, strike in enumerate(range(25_000, 27_001, 50)):
        for kind in ("CE", "PE"):
            token = 60_000 + 2 * number + (kind == "PE")
            rows.append(kite_row(token, f"NIFTY26DEC{strike}{kind}", "NIFTY", "2026-12-29", strike, kind))
    rows.append(kite_row(61_000, "FOODCO26DEC880CE", "FOODCO", "2026-12-29", 880, "CE", lot=800))
    path = folder / name
    text = "\n".join(rows) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def options_at(moment, **fields):
    return MarketOptions(start=datetime.fromisoformat(moment), **{"speed": 0.0, "instruments": 150, **fields})


@pytest.mark.parametrize("name", ["kite.csv", "kite.csv.gz"])
def test_contracts_of_a_kite_master_keep_their_names_tokens_and_lots(tmp_path, name):
    exchange = exchange_from_files(options_at("2026-11-25T10:00"), master=kite_master(tmp_path, name=name))
    one = at(exchange, "NFO:NIFTY:2026-12-29:FUT")
    assert (one.symbol, one.exchange_token, one.kite_token, one.lot_size) == (
        "NIFTY26DECFUT",
        51001,
        51001 * 256 + 2,
        65,
    )
    assert exchange.by_upstox_key("NSE_FO|51001") is one
    assert exchange.by_key("NFO:NIFTY:2026-11-23:26000:CE") is None
    assert at(exchange, "INDEX:NIFTY").kite_token == 256265
    assert last(exchange, at(exchange, "INDEX:NIFTY")) == pytest.approx(26_000_00, rel=0.05)
    option = at(exchange, "NFO:NIFTY:2026-12-29:26000:CE")
    assert place(exchange, "A", option, BUY, 1).status is SandboxStatus.COMPLETE


def test_a_stock_that_the_table_does_not_know_gets_a_price_from_its_strikes(tmp_path):
    exchange = exchange_from_files(options_at("2026-11-25T10:00"), master=kite_master(tmp_path))
    stock = at(exchange, "NSE:FOODCO")
    assert last(exchange, stock) == pytest.approx(880_00, rel=0.1)
    assert last(exchange, at(exchange, "NFO:FOODCO:2026-12-29:FUT")) == pytest.approx(880_00, rel=0.1)


def test_an_upstox_master_is_read_too(tmp_path):
    path = tmp_path / "upstox.csv"
    path.write_text(
        f"{UPSTOX_HEADER}\n"
        "NSE_EQ|INE009A01021,1594,INFY,INFOSYS LIMITED,1500,,,0.1,1,EQUITY,,NSE_EQ\n"
        "NSE_FO|50978,50978,NIFTY26DECFUT,NIFTY,0,2026-12-29,0,0.1,65,FUTIDX,FF,NSE_FO\n"
    )
    exchange = exchange_from_files(options_at("2026-11-25T10:00"), master=path)
    one = at(exchange, "NFO:NIFTY:2026-12-29:FUT")
    assert (one.upstox_key, one.exchange_token, one.tick_size_paise) == ("NSE_FO|50978", 50978, 10)


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", f"{KITE_HEADER}\n"])
def test_what_is_no_master_is_refused_by_name(tmp_path, text):
    path = tmp_path / "other.csv"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=r"TRADEBUS_SANDBOX_MASTER: .*other\.csv"):
        read_master(path, date(2026, 11, 25))


def candles(folder, *, symbol="NIFTY", name="bars.csv", rows=None):
    start = datetime.fromisoformat("2026-11-25T09:15:00")
    lines = ["ts,open,high,low,close,volume" + (",symbol" if symbol else "")]
    for number in range(30) if rows is None else rows:
        price = 26_000 + 10 * number
        cells = [start + timedelta(minutes=number), price, price + 15, price - 5, price + 10, 100]
        lines.append(",".join(str(cell) for cell in cells + ([symbol] if symbol else [])))
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_market_follows_recorded_candles(tmp_path):
    exchange = exchange_from_files(options_at("2026-11-25T09:20", step_ms=1000), history=candles(tmp_path))
    nifty, one = at(exchange, "INDEX:NIFTY"), at(exchange, "NFO:NIFTY:2026-12-29:FUT")
    exchange.advance(60)
    assert last(exchange, nifty) == pytest.approx(26_060_00, abs=10_00)
    assert exchange.quotes["open_paise"][nifty.index] == pytest.approx(26_000_00, abs=10_00)
    exchange.advance(600)
    assert last(exchange, nifty) == pytest.approx(26_160_00, abs=10_00)
    assert last(exchange, one) > last(exchange, nifty)
    bars = exchange.history(nifty.index, timeframe_seconds=60, from_ns=exchange.options.start_ns, to_ns=2**62)
    assert (np.diff(bars["close_paise"]) > 0).all()


def test_a_file_without_symbols_needs_to_be_told_one(tmp_path):
    path = candles(tmp_path, symbol=None)
    with pytest.raises(InvalidInput, match="TRADEBUS_SANDBOX_HISTORY_SYMBOL"):
        read_paths(path)
    assert list(read_paths(path, symbol="Nifty 50")) == ["NIFTY"]


def test_a_vendors_file_is_read_as_a_backtest_reads_it(tmp_path):
    path = tmp_path / "export.txt"
    path.write_text("<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\n2026.11.25\t09:15:00\t100\t103\t99\t102\n")
    found = read_paths(path, symbol="NIFTY BANK")["BANKNIFTY"]
    assert found.value.tolist() == [10_000, 9_900, 10_300, 10_200]
    assert found.at_ns[0] == datetime_to_ns(datetime(2026, 11, 25, 9, 15, tzinfo=IST))


def test_ticks_of_a_parquet_file_are_read(tmp_path):
    instants = [datetime(2026, 11, 25, 10, 0, second, tzinfo=IST) for second in range(5)]
    table = pa.table({"ts": pa.array(instants), "price": [100.0, 101.0, 102.0, 101.5, 101.0], "symbol": ["INFY"] * 5})
    pq.write_table(table, tmp_path / "ticks.parquet")
    path = read_paths(tmp_path / "ticks.parquet")["INFY"]
    assert path.at(datetime_to_ns(instants[1])) == pytest.approx(10_100)
    assert path.at(datetime_to_ns(instants[1]) + 500_000_000) == pytest.approx(10_150)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("when,open\n1,2\n", "no column 'ts'"),
        ("ts,open,high,low,close\n2026-11-25 10:00,1,2,0,1\n", "row 1"),
        ("ts,open,high,low,close\n2026-11-25 10:00,1,2,x,1\n", "row 1: low 'x' is not a number"),
        ("ts,open,high,low,close\n", "holds no row"),
        ("ts,open,high,low,close\n2026-11-25 16:00,1,2,1,1\n", "none of the 1 rows lies in a trading session"),
    ],
)
def test_a_bad_file_is_refused_by_what_is_wrong(tmp_path, text, says):
    path = tmp_path / "bars.csv"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=says):
        read_paths(path, symbol="NIFTY")


def test_a_start_outside_the_file_is_refused_with_its_span(tmp_path):
    with pytest.raises(InvalidInput, match="2026-11-25T09:15 to 2026-11-25T09:44"):
        exchange_from_files(options_at("2026-11-26T10:00"), history=candles(tmp_path))
    with pytest.raises(InvalidInput, match="no underlying"):
        exchange_from_files(options_at("2026-11-25T10:00"), history=candles(tmp_path, symbol="NIFTI"))


@given(st.lists(st.tuples(st.integers(1, 10**6), st.floats(1, 1e7)), min_size=1, max_size=20), st.integers(0, 10**6))
def test_a_path_stays_between_its_points(points, when):
    moments = 1_790_000_000 * 10**9 + np.array(sorted({at_ns for at_ns, _ in points})) * 1000
    values = np.array([value for _, value in points][: len(moments)])
    path = ValuePath(moments, values)
    assert values.min() - 1e-6 <= path.at(1_790_000_000 * 10**9 + when * 1000) <= values.max() + 1e-6
    assert path.at(int(moments[-1]) + 5) == values[-1]
    assert path.before(int(moments[0])) == values[0]


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["kite_NFO_BFO_instruments_2026-08.csv.gz", "upstox_NSE_instruments_2026-08.csv.gz"])
def test_a_real_master_makes_a_market(name):
    path = SHARED / "instruments" / name
    if not path.is_file():
        pytest.skip(f"no {name} beside the checkout")
    exchange = exchange_from_files(options_at("2026-08-18T10:00", instruments=3000), master=path)
    assert len(exchange.instruments) == 3000
    option = at(exchange, "NFO:NIFTY:2026-08-25:24350:CE")
    assert option.symbol == "NIFTY26AUG24350CE"
    exchange.advance(5)
    assert place(exchange, "A", option, BUY, 1).filled_quantity == 65


@pytest.mark.shared_data
def test_real_candles_move_the_market():
    path = SHARED / "index_1min" / "NIFTY_1min_2022-08_2022-10.parquet"
    if not path.is_file():
        pytest.skip("no index candles beside the checkout")
    exchange = exchange_from_files(options_at("2022-09-15T11:00", instruments=300), history=path, symbol="NIFTY")
    nifty = at(exchange, "INDEX:NIFTY")
    assert 17_000_00 < last(exchange, nifty) < 19_000_00
    before = last(exchange, nifty)
    exchange.advance(120)
    assert last(exchange, nifty) != before

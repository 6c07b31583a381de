"""What a name means: a share, an index by its future, a contract. Never one for another."""

from datetime import date, time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.feeds import write_bars

from tradebus.calendar import (
    Market,
    contract_of,
    front_month_expiry,
    market_of,
    monthly_expiry,
    session_of,
    weekly_expiry,
)
from tradebus.contracts.instrument_key import InstrumentKey, Right, Segment
from tradebus.history.loading import load_history
from tradebus.history.validate import check_history
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_to_ns
from tradebus.symbols.contract_names import contract_of_name
from tradebus.symbols.descriptions import EQUITIES, describe, instrument_of, require_known
from tradebus.trading.charges import charges_paise

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
JUNE = date(2026, 6, 8)


@pytest.mark.parametrize(
    ("symbol", "key"),
    [
        ("NIFTY26AUG24050CE", "NFO:NIFTY:2026-08-25:24050:CE"),
        ("nifty26jun24000pe", "NFO:NIFTY:2026-06-30:24000:PE"),
        ("NIFTY2690124350CE", "NFO:NIFTY:2026-09-01:24350:CE"),
        ("NIFTY26D0826000CE", "NFO:NIFTY:2026-12-08:26000:CE"),
        ("NIFTY25JUL2424050CE", "NFO:NIFTY:2024-07-25:24050:CE"),
        ("NIFTY25JUL24000CE", "NFO:NIFTY:2025-07-31:24000:CE"),
        ("NIFTY25JUL24FUT", "NFO:NIFTY:2024-07-25:FUT"),
        ("BANKNIFTY26DECFUT", "NFO:BANKNIFTY:2026-12-29:FUT"),
        ("NIFTYNXT5026AUG70000CE", "NFO:NIFTYNXT50:2026-08-25:70000:CE"),
        ("SENSEX26DEC85000PE", "BFO:SENSEX:2026-12-31:85000:PE"),
        ("360ONE26DECFUT", "NFO:360ONE:2026-12-29:FUT"),
        ("M&M26DEC3200CE", "NFO:M&M:2026-12-29:3200:CE"),
        ("IDEA26DEC7.5CE", "NFO:IDEA:2026-12-29:7.50:CE"),
        ("NFO:NIFTY:2026-06-30:24000:CE", "NFO:NIFTY:2026-06-30:24000:CE"),
    ],
)
def test_a_contracts_name_is_read_whoever_wrote_it(symbol: str, key: str) -> None:
    found = describe(symbol)
    assert str(found.key) == key
    assert found.kind == ("FUTURE" if key.endswith("FUT") else "OPTION")
    assert (found.market_class, found.underlying) == ("derivative", key.split(":")[1])
    assert (found.expiry, found.strike_paise, found.right) == (
        found.key.expiry, found.key.strike_paise, found.key.right,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("symbol", "reason"),
    [
        ("NIFTY26JUN999CE", "999 is no strike of NIFTY"),
        ("NIFTY24JUL2424050CE", "nothing on NIFTY expires on 2024-07-24"),
        ("NIFTY31JUN2624050CE", "is no day"),
        ("NIFTY2690224350CE", "nothing on NIFTY expires on 2026-09-02"),
        ("BANKNIFTY2690154000CE", "nothing on BANKNIFTY expires on 2026-09-01"),
        ("NIFTY26JUN24000", "looks like a future or an option"),
        ("NIFTY26JUN26C24000", "looks like a future or an option"),
        ("NIFTYFUT", "looks like a future or an option"),
        ("NIFTY-II", "looks like a future or an option"),
        ("NIFTY_F2", "looks like a future or an option"),
        ("INFY25JUL241500CE", "reads as NFO:INFY:2024-07-25:1500:CE or NFO:INFY:2025-07-31:241500:CE"),
        ("INDIAVIX", "an index without contracts"),
        ("NIFTYIT", "an index without contracts"),
        ("BANKEX", "an index without contracts"),
        ("GIFTNIFTY", "an index without contracts"),
        ("SGX_NIFTY", "an index without contracts"),
        ("VIX", "an index without contracts"),
        ("MIDCAP", "an index without contracts"),
        ("SMALLCAP_250", "an index without contracts"),
        ("NIFTYIT_SPOT", "an index without contracts"),
        ("BANKNIFTY_WEEKLY", "an index without contracts"),
        ("BSE500", "an index without contracts"),
        ("USDINR", "a currency pair or a commodity"),
        ("CRUDEOILM", "a currency pair or a commodity"),
        ("NIFTY500", "an index without contracts"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason_and_is_no_share(symbol: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        describe(symbol)


@pytest.mark.parametrize(
    "symbol", ["RELIANCE", "BAJFINANCE", "360ONE", "3MINDIA", "NIFTYBEES", "JIOFIN", "20MICRONS", "GILLETTE", "MCX"]
)
def test_a_share_stays_a_share(symbol: str) -> None:
    for written in (symbol, f"{symbol}-EQ", f"{symbol}_EQ", f"{symbol}.NS"):
        assert describe(written) == describe(symbol)
    assert (describe(symbol).kind, describe(symbol).underlying) == ("EQUITY", symbol)


@pytest.mark.parametrize(
    ("name", "symbol"),
    [("NIFTY MID SELECT", "MIDCPNIFTY"), ("MIDCPNIFTY", "MIDCPNIFTY"), ("Nifty Next 50", "NIFTYNXT50"),
     ("SENSEX", "SENSEX"), ("^BSESN", "SENSEX"), ("BANKNIFTY_SPOT", "BANKNIFTY"), ("Nifty 50 Spot", "NIFTY"),
     ("NIFTY-INDEX", "NIFTY")],
)  # fmt: skip
def test_an_index_is_traded_as_its_front_month_future(name: str, symbol: str) -> None:
    found = describe(name)
    assert (found.symbol, found.kind, found.market_class, found.underlying) == (symbol, "INDEX", "derivative", symbol)
    assert contract_of(instrument_of(found, 1), date(2026, 11, 25), price_paise=2_500_000).lot_size > 1


@pytest.mark.parametrize(("symbol", "closes"), [("RELIANCE", time(15, 15)), ("GILLETTE", time(15, 30))])
def test_a_share_without_contracts_keeps_the_hours_of_those(symbol: str, closes: time) -> None:
    """Since 2026-08-03 shares with futures and options stop earlier, for an auction that the others do not have."""
    session = session_of(instrument_of(describe(symbol), 1), date(2026, 11, 25))
    assert session is not None
    assert session.close_ns == ist_to_ns(date(2026, 11, 25), closes)
    assert (session.auction_band_pct is None) is (symbol == "GILLETTE")


def test_the_heavily_traded_shares_have_contracts() -> None:
    assert {describe(symbol).market_class for symbol in EQUITIES} == {"equity_fno"}


_underlyings = st.sampled_from(
    ["NIFTY", "BANKNIFTY", "SENSEX", "NIFTYNXT50", "RELIANCE", "M&M", "BAJAJ-AUTO", "360ONE"]
)
_days = st.dates(date(2025, 9, 1), date(2029, 12, 31))


@given(_underlyings, _days, st.integers(1_000, 3_999), st.sampled_from([*Right, None]))
def test_a_monthly_name_reads_as_its_contract(name: str, day: date, strike: int, right: Right | None) -> None:
    expiry = monthly_expiry(name, year=day.year, month=day.month)
    what = "FUT" if right is None else f"{strike}{right}"
    segment = Segment.BFO if name == "SENSEX" else Segment.NFO
    key = InstrumentKey(segment, name, expiry, None if right is None else strike * 100, right)
    written = f"{name}{day.year % 100:02d}{MONTHS[day.month - 1]}{what}"
    try:
        assert contract_of_name(written) == key
    except InvalidInput as refused:  # its first digits happen to be the year of a day on which something expired
        assert f"{key}" in str(refused)  # noqa: PT017
        assert "reads as" in str(refused)  # noqa: PT017
        assert market_of(name) is Market.STOCK
    assert contract_of_name(str(key)) == key


@given(st.sampled_from(["NIFTY", "SENSEX"]), _days, st.integers(1_000, 99_999))
def test_a_weekly_name_reads_as_its_contract(name: str, day: date, strike: int) -> None:
    expiry = weekly_expiry(name, day)
    assert expiry is not None
    written = f"{name}{expiry.year % 100:02d}{'123456789OND'[expiry.month - 1]}{expiry.day:02d}{strike}PE"
    found = contract_of_name(written)
    assert found is not None
    assert (found.name, found.expiry, found.strike_paise) == (name, expiry, strike * 100)


@given(st.from_regex(r"[A-Z0-9&]{1,12}(?:[0-9]{2}[A-Z0-9]{3,5}[0-9]{0,7}(?:CE|PE|FUT)|FUT)", fullmatch=True))
def test_a_name_of_a_contracts_form_is_a_contract_or_refused(symbol: str) -> None:
    try:
        found = describe(symbol)
    except InvalidInput:
        return
    if found.kind == "EQUITY":
        assert not symbol.endswith("FUT")
        assert not symbol[:-2][-1:].isdigit() or not symbol.endswith(("CE", "PE"))
    else:
        assert found.expiry is not None


def bars_of(tmp_path: Path, day: date, minutes: int = 375) -> Path:
    return write_bars(tmp_path / "b.parquet", (day, time(9, 15), minutes))


def test_an_options_history_is_an_options(tmp_path: Path) -> None:
    history = load_history(bars_of(tmp_path, JUNE), symbols=["NIFTY26JUN24000CE"], from_date=None, to_date=None)
    instrument = instrument_of(describe(history.columns.names[0]), 7)
    assert (instrument.kind, instrument.exchange, instrument.lot_size) == ("OPTION", "NFO", 65)
    assert instrument.instrument_key == "NFO:NIFTY:2026-06-30:24000:CE"
    contract = contract_of(instrument, JUNE)
    assert (contract.lot_size, contract.strike_paise, contract.right) == (65, 2_400_000, Right.CALL)
    sold = {"day": JUNE, "transaction": "SELL", "quantity": 65, "price_paise": 12_000}
    options, shares = (charges_paise(**sold, kind=kind) for kind in (instrument.kind, "EQUITY"))
    assert options.stt_paise > shares.stt_paise


def test_the_lot_is_the_contracts_own() -> None:
    held = {name: instrument_of(describe(name), 1).lot_size for name in ("NIFTY26JANFUT", "NIFTY25DECFUT")}
    assert held == {"NIFTY26JANFUT": 65, "NIFTY25DECFUT": 75}


def test_a_contract_that_expires_today_closes_early() -> None:
    expiring, later = describe("NIFTY26D0826000CE"), describe("NIFTY26DEC26000CE")
    day = date(2026, 12, 8)
    first, second = session_of(expiring, day), session_of(later, day)
    assert first is not None
    assert second is not None
    assert first.close_ns < second.close_ns
    assert session_of(expiring, date(2026, 12, 9)) is None


@pytest.mark.parametrize(
    ("symbol", "day", "reason"),
    [
        ("NIFTY26JUN24000CE", date(2026, 7, 1), "expired on 2026-06-30, and this reaches to 2026-07-01"),
        ("NIFTY25JUL24FUT", date(2024, 7, 26), "expired on 2024-07-25"),
        ("360ONE26DECFUT", date(2026, 11, 25), "no lot size is listed for '360ONE'"),
        ("RELIANCE26JUN1400CE", JUNE, "no lot size is listed for 'RELIANCE'"),
        ("M&M_F1", JUNE, "no lot size is listed for 'M&M'"),
        ("SENSEX", date(2019, 6, 3), "SENSEX"),
        ("NIFTYIT", JUNE, "an index without contracts"),
        ("NIFTY26JUN999CE", JUNE, "999 is no strike"),
    ],
)
def test_a_history_that_cannot_be_traded_as_what_it_is_is_refused(
    tmp_path: Path, symbol: str, day: date, reason: str
) -> None:
    with pytest.raises(InvalidInput, match=reason):
        check_history(bars_of(tmp_path, day), symbol, None, None)


def test_the_window_alone_decides_what_a_contract_must_reach(tmp_path: Path) -> None:
    expiry = front_month_expiry("NIFTY", JUNE)
    path = write_bars(tmp_path / "b.parquet", (JUNE, time(9, 15), 10), (date(2026, 7, 1), time(9, 15), 10))
    assert check_history(path, "NIFTY26JUN24000CE", None, expiry).bars == 10


def test_a_contract_is_known_without_a_column_that_says_so() -> None:
    assert require_known(["NIFTY26JUN24000CE", "sensex"]) == ("NIFTY26JUN24000CE", "SENSEX")
    with pytest.raises(InvalidInput, match="is no strike"):
        require_known(["NIFTY26JUN999CE"])

"""Upstox's instrument dumps as listed instruments: the CSV (tick size in rupees) and the JSON (in paise).

Rows of segments tradebus does not know (currencies, commodities) are no business of it; a row of a known one that
cannot be read, or says again what another said, is left out and counted. In the CSV a stock's contracts carry the
company's name, so the symbol is what stands before the contract's own part of the tradingsymbol.
"""

import csv
import io
import json
import zlib
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from tradebus.brokers.common.replies.rows import Unreadable, paise_of
from tradebus.brokers.common.replies.words import INDEX_TICK_PAISE, index_name
from tradebus.brokers.errors import Malformed
from tradebus.brokers.reference import ListedInstrument
from tradebus.brokers.upstox.settings import BROKER
from tradebus.brokers.upstox.words import SEGMENTS, segment_of
from tradebus.contracts.instrument_key import InstrumentKey, Right, Segment
from tradebus.kernel.time import IST

_COLUMNS = frozenset(
    {"instrument_key", "tradingsymbol", "name", "expiry", "strike", "tick_size", "lot_size", "instrument_type",
     "option_type", "exchange"}
)  # fmt: skip
_LOT_MAX = 2**31 - 1
_UNPACKED_BYTES_MAX = 512 * 1024 * 1024
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")

Row = Mapping[str, Any]


def parse_instruments(body: bytes) -> tuple[list[ListedInstrument], int]:
    """The instruments in the dump's order, and how many rows were left out. `body` is CSV or JSON, gzipped or not.

    Raises Malformed where it is no dump.
    """
    text = _unpacked(body)
    rows: Iterable[Row] = _json_rows(text) if text.lstrip()[:1] == "[" else _csv_rows(text)
    read = _from_json if text.lstrip()[:1] == "[" else _from_csv
    found: dict[InstrumentKey, ListedInstrument] = {}
    left_out = 0
    for row in rows:
        try:
            if segment_of(_cell(row, "instrument_key")) not in SEGMENTS:
                continue
            listed = read(row)
        except Unreadable:
            left_out += 1
            continue
        if found.setdefault(listed.key, listed) is not listed:
            left_out += 1
    return list(found.values()), left_out


def freeze_quantities(body: bytes) -> dict[str, int]:
    """By instrument key, from the JSON dump; what is not said or not above 0 is left out. Raises Malformed."""
    found = {}
    for row in _json_rows(_unpacked(body)):
        key, quantity = row.get("instrument_key"), row.get("freeze_quantity")
        if isinstance(key, str) and isinstance(quantity, int | float) and 0 < quantity <= _LOT_MAX:
            found[key] = int(quantity)
    return found


def _unpacked(body: bytes) -> str:
    if body[:2] == b"\x1f\x8b":
        unpacking = zlib.decompressobj(wbits=31)
        try:
            body = unpacking.decompress(body, _UNPACKED_BYTES_MAX)
        except zlib.error as error:
            raise Malformed(BROKER, f"instruments: {error}") from None
        if not unpacking.eof:
            raise Malformed(BROKER, "instruments: the dump is cut short, or too large to be one")
    return body.decode("utf-8", errors="replace")


def _csv_rows(text: str) -> Iterable[Row]:
    reader = csv.DictReader(io.StringIO(text))
    try:
        if not set(reader.fieldnames or ()) >= _COLUMNS:
            raise Malformed(BROKER, f"instruments: no instrument dump, it begins {text[:40]!r}")
        yield from reader
    except csv.Error as error:
        raise Malformed(BROKER, f"instruments: line {reader.line_num}: {error}") from None


def _json_rows(text: str) -> list[Row]:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed(BROKER, f"instruments: no instrument dump, it begins {text[:40]!r}") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Malformed(BROKER, "instruments: the dump is no list of objects")
    return rows


def _from_csv(row: Row) -> ListedInstrument:
    token, symbol = _cell(row, "instrument_key"), _cell(row, "tradingsymbol")
    segment, kind = SEGMENTS[segment_of(token)], _cell(row, "instrument_type")
    if segment is Segment.INDEX:
        return _index(token, symbol)
    lot, tick = _whole(row.get("lot_size")), paise_of(_cell(row, "tick_size"), name="tick_size")
    if not kind.startswith(("FUT", "OPT")):
        return _listed(InstrumentKey(segment, symbol), token, symbol, lot, tick)
    expiry = _date(row.get("expiry"))
    if kind.startswith("FUT"):
        name = _underlying(row, symbol, f"{_month(expiry)}FUT")
        return _listed(InstrumentKey(segment, name, expiry), token, symbol, lot, tick)
    right, strike = _right(row.get("option_type")), _cell(row, "strike")
    name = _underlying(row, symbol, f"{_month(expiry)}{strike.removesuffix('.0')}{right}")
    key = InstrumentKey(segment, name, expiry, _strike(strike), right)
    return _listed(key, token, symbol, lot, tick)


def _from_json(row: Row) -> ListedInstrument:
    token, symbol = _cell(row, "instrument_key"), _cell(row, "trading_symbol")
    segment, kind = SEGMENTS[segment_of(token)], _cell(row, "instrument_type")
    if segment is Segment.INDEX:
        return _index(token, symbol)
    lot, tick = _whole(row.get("lot_size")), _whole(row.get("tick_size"))  # paise already
    freeze = row.get("freeze_quantity")
    frozen = int(freeze) if isinstance(freeze, int | float) and 0 < freeze <= _LOT_MAX else None
    if segment not in (Segment.NFO, Segment.BFO):
        return _listed(InstrumentKey(segment, symbol), token, symbol, lot, tick, frozen)
    name = _cell(row, "underlying_symbol" if row.get("underlying_symbol") else "asset_symbol")
    expiry = _date(row.get("expiry"))
    if kind == "FUT":
        return _listed(InstrumentKey(segment, name, expiry), token, symbol, lot, tick, frozen)
    strike = _strike(str(row.get("strike_price")))
    return _listed(InstrumentKey(segment, name, expiry, strike, _right(kind)), token, symbol, lot, tick, frozen)


def _index(token: str, symbol: str) -> ListedInstrument:
    key = InstrumentKey(Segment.INDEX, index_name(token.partition("|")[2]))
    return _listed(key, token, symbol, 1, INDEX_TICK_PAISE)


def _listed(
    key: InstrumentKey, token: str, symbol: str, lot: int, tick_paise: int, freeze: int | None = None
) -> ListedInstrument:
    if tick_paise <= 0 or not key.name or ":" in key.name:  # a colon parts the fields of a key
        raise Unreadable(f"{symbol}: tick {tick_paise} paise, name {key.name!r}")
    return ListedInstrument(key, token, segment_of(token), symbol, lot, tick_paise, freeze)


def _underlying(row: Row, symbol: str, ending: str) -> str:
    """NIFTY of NIFTY26DEC26000CE. A weekly contract has another ending, but only indices have those, and their rows
    carry the symbol as their name."""
    if symbol.endswith(ending) and len(symbol) > len(ending):
        return symbol.removesuffix(ending)
    name = _cell(row, "name")
    if _cell(row, "instrument_type").endswith("IDX") and symbol.startswith(name):
        return name
    raise Unreadable(f"{symbol}: does not end in {ending}")


def _month(expiry: date) -> str:
    return f"{expiry.year % 100:02d}{_MONTHS[expiry.month - 1]}"


def _cell(row: Row, name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > 200:
        raise Unreadable(f"{name}: {value!r:.30}")
    return value.strip()


def _whole(value: object) -> int:
    """Of text (CSV) or number (JSON), 65.0 included."""
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else 0.0
    except (ValueError, OverflowError):
        number = 0.0
    if not 0 < number <= _LOT_MAX or number != int(number):
        raise Unreadable(f"{value!r:.30} is no whole number above 0")
    return int(number)


def _strike(value: str) -> int:
    strike = paise_of(value, name="strike")
    if strike <= 0:
        raise Unreadable(f"strike: {value[:30]!r}")
    return strike


def _right(value: object) -> Right:
    if value not in tuple(Right):
        raise Unreadable(f"option_type: {value!r:.30}")
    return Right(str(value))


def _date(value: object) -> date:
    """ISO, or milliseconds of the contract's last instant."""
    try:
        if isinstance(value, str):
            return date.fromisoformat(value[:10])
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000, tz=IST).date()
    except (ValueError, OverflowError, OSError):
        pass
    raise Unreadable(f"expiry: {value!r:.30}")

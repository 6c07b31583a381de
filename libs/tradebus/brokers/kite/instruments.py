"""Kite's instrument dump (CSV) as listed instruments.

Rows of segments tradebus does not know (currencies, commodities, mutual funds) are no business of it; a row of a known
one that cannot be read, or says again what another said, is left out and counted.
"""

import csv
import io
from collections.abc import Mapping
from datetime import date

from tradebus.brokers.common.replies.rows import Unreadable, paise_of
from tradebus.brokers.common.replies.words import INDEX_TICK_PAISE, index_name
from tradebus.brokers.errors import Malformed
from tradebus.brokers.kite.decoder import SEGMENTS, TOKEN_MAX
from tradebus.brokers.kite.settings import BROKER
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.instrument_key import InstrumentKey, Right, Segment

_COLUMNS = frozenset(
    {
        "instrument_token", "tradingsymbol", "name", "expiry", "strike", "tick_size", "lot_size", "instrument_type",
        "segment", "exchange",
    }
)  # fmt: skip
_KNOWN = frozenset({"NSE", "BSE", "NFO-FUT", "NFO-OPT", "BFO-FUT", "BFO-OPT", "INDICES"})
_EXCHANGES = frozenset({"NSE", "BSE", "NFO", "BFO"})  # INDICES also lists those of other exchanges
_LOT_MAX = 2**31 - 1
_CELL_CHARACTERS_MAX = 4096

Cells = Mapping[str, str | None]


def parse_instruments(body: bytes) -> tuple[list[ListedInstrument], int]:
    """The instruments, in the dump's order, and how many rows were left out. Raises Malformed where it is no dump."""
    text = body.decode("utf-8", errors="replace")
    reader = csv.DictReader(io.StringIO(text))
    try:
        if not set(reader.fieldnames or ()) >= _COLUMNS:
            raise Malformed(BROKER, f"instruments: no instrument dump, it begins {text[:40]!r}")
        found: dict[InstrumentKey, ListedInstrument] = {}
        left_out = 0
        for row in reader:
            if row["segment"] not in _KNOWN or row["exchange"] not in _EXCHANGES:
                left_out += row["exchange"] is None  # cut short
                continue
            try:
                listed = _listed(row)
            except Unreadable:
                left_out += 1
                continue
            if found.setdefault(listed.key, listed) is not listed:
                left_out += 1
    except csv.Error as error:
        raise Malformed(BROKER, f"instruments: line {reader.line_num}: {error}") from None
    return list(found.values()), left_out


def _listed(row: Cells) -> ListedInstrument:
    index = row["segment"] == "INDICES"
    exchange, symbol = _cell(row, "exchange"), _cell(row, "tradingsymbol", of_index=index)
    lot = 1 if index else _whole(row, "lot_size", at_most=_LOT_MAX)
    tick = INDEX_TICK_PAISE if index else paise_of(_cell(row, "tick_size"), name="tick_size")
    token = _whole(row, "instrument_token", at_most=TOKEN_MAX)
    if token & 0xFF not in SEGMENTS or tick <= 0:
        raise Unreadable(f"{symbol}: token {token}, tick {tick} paise")
    return ListedInstrument(_key(row), str(token), exchange, symbol, lot, tick)


def _key(row: Cells) -> InstrumentKey:
    kind, segment = row["instrument_type"], _cell(row, "segment")
    symbol = _cell(row, "tradingsymbol", of_index=segment == "INDICES")
    if segment == "INDICES":
        return InstrumentKey(Segment.INDEX, index_name(symbol))
    if segment in ("NSE", "BSE"):
        if kind != "EQ":
            raise Unreadable(f"{symbol}: instrument_type {kind!r}")
        return InstrumentKey(Segment(segment), symbol)
    exchange, _, what = segment.partition("-")
    name, expiry = _cell(row, "name"), _date(_cell(row, "expiry"))
    if what == "FUT" and kind == "FUT":
        return InstrumentKey(Segment(exchange), name, expiry)
    if what == "OPT" and kind in tuple(Right):
        strike = paise_of(_cell(row, "strike"), name="strike")
        if strike > 0:
            return InstrumentKey(Segment(exchange), name, expiry, strike, Right(kind))
    raise Unreadable(f"{symbol}: instrument_type {kind!r}, strike {row['strike']!r}")


def _cell(row: Cells, name: str, *, of_index: bool = False) -> str:
    value = (row[name] or "").strip()
    colon = ":" in value and not of_index  # it parts the fields of a key; an index' name is rewritten for its own
    if not value or len(value) > _CELL_CHARACTERS_MAX or colon:
        raise Unreadable(f"{name}: {value[:30]!r}")
    return value


def _whole(row: Cells, name: str, *, at_most: int) -> int:
    value = _cell(row, name)
    number = int(value) if value.isascii() and value.isdigit() and len(value) <= len(str(at_most)) else 0
    if not 0 < number <= at_most:
        raise Unreadable(f"{name}: {value[:30]!r}")
    return number


def _date(value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise Unreadable(f"expiry: {value[:30]!r}") from None

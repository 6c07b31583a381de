"""Dhan's instrument list, detailed or compact, as listed instruments.

    row ─► segment we know? ─► test row? ─► key, ids, lot, tick (paise in both editions)

Futures carry strike -0.01 and option type XX. A share may list in several series; the ordinary one stands for it.
Symbols are Dhan's own words and never taken apart for a key, except for an underlying's name in the compact edition.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import cache

from tradebus.brokers.common.replies.words import INDEX_TICK_PAISE, index_name
from tradebus.brokers.dhan.words import BROKER, SEGMENT_WORDS
from tradebus.brokers.errors import Malformed
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.instrument_key import InstrumentKey, Right, Segment
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import rupees_to_paise

_SEGMENTS = {
    ("NSE", "E"): Segment.NSE, ("NSE", "D"): Segment.NFO, ("NSE", "I"): Segment.INDEX,
    ("BSE", "E"): Segment.BSE, ("BSE", "D"): Segment.BFO, ("BSE", "I"): Segment.INDEX,
}  # fmt: skip
_FUTURES, _OPTIONS = frozenset({"FUTIDX", "FUTSTK"}), frozenset({"OPTIDX", "OPTSTK"})
_RIGHTS = {"CE": Right.CALL, "PE": Right.PUT, "CALL": Right.CALL, "PUT": Right.PUT}
_DATE_FORMATS = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%d/%m/%y", "%d/%m/%Y", "%d-%m-%Y")
_NSE_SERIES = ("EQ", "BE", "BZ", "SM", "ST")  # ordinary first; bonds, rights and the like are none of ours
_TEST = "NSETEST"


@dataclass(frozen=True, slots=True)
class _Columns:
    """Names of one edition."""

    exchange: str
    segment: str
    security_id: str
    instrument: str
    name: str  # the underlying's, or the share's ticker
    symbol: str
    lot: str
    expiry: str
    strike: str
    option: str
    tick: str
    series: str


_EDITIONS = (
    _Columns("EXCH_ID", "SEGMENT", "SECURITY_ID", "INSTRUMENT", "UNDERLYING_SYMBOL", "SYMBOL_NAME", "LOT_SIZE",
             "SM_EXPIRY_DATE", "STRIKE_PRICE", "OPTION_TYPE", "TICK_SIZE", "SERIES"),
    _Columns("SEM_EXM_EXCH_ID", "SEM_SEGMENT", "SEM_SMST_SECURITY_ID", "SEM_INSTRUMENT_NAME", "SM_SYMBOL_NAME",
             "SEM_TRADING_SYMBOL", "SEM_LOT_UNITS", "SEM_EXPIRY_DATE", "SEM_STRIKE_PRICE", "SEM_OPTION_TYPE",
             "SEM_TICK_SIZE", "SEM_SERIES"),
)  # fmt: skip


def parse_instruments(body: bytes) -> tuple[list[ListedInstrument], int]:
    """The instruments of the segments tradebus knows, and how many rows of those could not be read, or say
    again what another said.

    Rows of other segments, test rows and side series are passed over. Raises Malformed where this is no list of Dhan's.
    """
    reader = csv.DictReader(io.StringIO(body.decode("utf-8-sig", "replace"), newline=""))
    try:
        names = {(name or "").strip() for name in reader.fieldnames or ()}
        edition = next((each for each in _EDITIONS if {each.security_id, each.tick, each.segment} <= names), None)
        if edition is None:
            raise Malformed(BROKER, f"instrument list: not Dhan's columns: {', '.join(sorted(names))[:120]}")
        return _listed(reader, edition)
    except csv.Error as error:
        raise Malformed(BROKER, f"instrument list: line {reader.line_num}: {error}") from error


def _listed(rows: Iterator[Mapping[str, str]], edition: _Columns) -> tuple[list[ListedInstrument], int]:
    kept: dict[InstrumentKey, tuple[int, ListedInstrument]] = {}
    left_out = 0
    for row in rows:
        segment = _SEGMENTS.get((_of(row, edition.exchange).upper(), _of(row, edition.segment).upper()))
        if segment is None or _TEST in _of(row, edition.name) or _TEST in _of(row, edition.symbol):
            continue
        rank = _rank(segment, _of(row, edition.series).upper())
        if rank is None:
            continue
        try:
            listed = _instrument(row, edition, segment)
        except (ValueError, InvalidOperation, InvalidInput):
            left_out += 1
            continue
        held = kept.get(listed.key)
        left_out += held is not None and held[0] == rank  # says again what another said
        if held is None or rank < held[0]:
            kept[listed.key] = (rank, listed)
    return [listed for _, listed in kept.values()], left_out


def _rank(segment: Segment, series: str) -> int | None:
    """0 is the ordinary series; None is one that is not ours."""
    if segment is not Segment.NSE or not series:
        return 0
    return _NSE_SERIES.index(series) if series in _NSE_SERIES else None


def _instrument(row: Mapping[str, str], edition: _Columns, segment: Segment) -> ListedInstrument:
    """Raises ValueError or InvalidInput for a row that cannot be read."""
    token = _of(row, edition.security_id)
    if not token.isascii() or not token.isdigit():
        raise ValueError("security id")
    index = segment is Segment.INDEX  # it is not traded: what its row has for lot and tick says nothing
    key = _key(row, edition, segment)
    return ListedInstrument(
        key=key, token=token, broker_segment=SEGMENT_WORDS[segment], symbol=_symbol(row, edition, key),
        lot_size=1 if index else _lot(row, edition), tick_size_paise=INDEX_TICK_PAISE if index else _tick(row, edition),
    )  # fmt: skip


def _tick(row: Mapping[str, str], edition: _Columns) -> int:
    tick_paise = Decimal(_of(row, edition.tick))
    if tick_paise <= 0 or tick_paise != tick_paise.to_integral_value():
        raise ValueError("tick size")
    return int(tick_paise)


def _lot(row: Mapping[str, str], edition: _Columns) -> int:
    lot = Decimal(_of(row, edition.lot))
    if lot <= 0 or lot != lot.to_integral_value():
        raise ValueError("lot size")
    return int(lot)


def _key(row: Mapping[str, str], edition: _Columns, segment: Segment) -> InstrumentKey:
    name, kind = _name(row, edition, segment), _of(row, edition.instrument).upper()
    if segment in (Segment.INDEX, Segment.NSE, Segment.BSE):
        return InstrumentKey(segment, index_name(name) if segment is Segment.INDEX else name)
    expiry = _date(_of(row, edition.expiry))
    if kind in _FUTURES:
        return InstrumentKey(segment, name, expiry)
    right = _RIGHTS.get(_of(row, edition.option).upper())
    if kind not in _OPTIONS or right is None:
        raise ValueError("instrument")
    strike_paise = rupees_to_paise(_of(row, edition.strike), name="strike")
    if strike_paise <= 0:
        raise ValueError("strike")
    return InstrumentKey(segment, name, expiry, strike_paise, right)


def _name(row: Mapping[str, str], edition: _Columns, segment: Segment) -> str:
    """The ticker. The compact edition has none for shares but their symbol, and often none for derivatives, whose
    symbol starts with it (NIFTY-Nov2026-FUT; a name may itself hold a dash: BAJAJ-AUTO)."""
    name, symbol = _of(row, edition.name), _of(row, edition.symbol)
    compact = edition is _EDITIONS[1]
    if compact and segment in (Segment.NSE, Segment.BSE, Segment.INDEX):
        name = symbol
    elif compact:
        parts = symbol.split("-")
        name = "-".join(parts[: -2 if parts[-1] == "FUT" else -3]) or name
    name = name if name and name.lower() not in ("na", "null") else symbol
    if not name or (":" in name and segment is not Segment.INDEX):  # a colon parts the fields of a key
        raise ValueError("name")
    return name


def _symbol(row: Mapping[str, str], edition: _Columns, key: InstrumentKey) -> str:
    """A share's SYMBOL_NAME is its company's name in the detailed edition, so its ticker is its symbol."""
    return _of(row, edition.symbol) if key.is_derivative else key.name


@cache
def _date(text: str) -> date:
    for layout in _DATE_FORMATS:
        try:
            return datetime.strptime(text, layout).date()  # noqa: DTZ007 - a calendar date
        except ValueError:
            continue
    raise ValueError("expiry")


def _of(row: Mapping[str, str], name: str) -> str:
    value = row.get(name)
    return value.strip() if isinstance(value, str) else ""

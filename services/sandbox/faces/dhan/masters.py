"""The instrument masters as CSV: compact, detailed, detailed of one segment. Ticks are in paise, as Dhan has them."""

import csv
import io
from collections.abc import Iterable

from fastapi import APIRouter, Request
from fastapi.responses import Response

from services.sandbox.faces.dhan.catalogue import Catalogue, Catalogues
from services.sandbox.faces.dhan.problems import DhanProblem
from services.sandbox.faces.dhan.words import EXCHANGE_LETTER, SEGMENT_BY_WORD, exchange_word, instrument_word
from services.sandbox.ports import SandboxInstrument

router = APIRouter()
COMPACT = (
    "SEM_EXM_EXCH_ID", "SEM_SEGMENT", "SEM_SMST_SECURITY_ID", "SEM_INSTRUMENT_NAME", "SEM_EXPIRY_CODE",
    "SEM_TRADING_SYMBOL", "SEM_LOT_UNITS", "SEM_CUSTOM_SYMBOL", "SEM_EXPIRY_DATE", "SEM_STRIKE_PRICE",
    "SEM_OPTION_TYPE", "SEM_TICK_SIZE", "SEM_EXPIRY_FLAG", "SEM_EXCH_INSTRUMENT_TYPE", "SEM_SERIES", "SM_SYMBOL_NAME",
)  # fmt: skip
_DETAILED_HEAD = (
    "EXCH_ID", "SEGMENT", "SECURITY_ID", "ISIN", "INSTRUMENT", "UNDERLYING_SECURITY_ID", "UNDERLYING_SYMBOL",
    "SYMBOL_NAME", "DISPLAY_NAME", "INSTRUMENT_TYPE", "SERIES", "LOT_SIZE", "SM_EXPIRY_DATE", "STRIKE_PRICE",
    "OPTION_TYPE", "TICK_SIZE", "EXPIRY_FLAG", "BRACKET_FLAG", "COVER_FLAG", "ASM_GSM_FLAG", "ASM_GSM_CATEGORY",
    "BUY_SELL_INDICATOR",
)  # fmt: skip
_MARGIN_COLUMNS = (
    "BUY_CO_MIN_MARGIN_PER", "SELL_CO_MIN_MARGIN_PER", "BUY_CO_SL_RANGE_MAX_PERC", "SELL_CO_SL_RANGE_MAX_PERC",
    "BUY_CO_SL_RANGE_MIN_PERC", "SELL_CO_SL_RANGE_MIN_PERC", "BUY_BO_MIN_MARGIN_PER", "SELL_BO_MIN_MARGIN_PER",
    "BUY_BO_SL_RANGE_MAX_PERC", "SELL_BO_SL_RANGE_MAX_PERC", "BUY_BO_SL_RANGE_MIN_PERC", "SELL_BO_SL_MIN_RANGE",
    "BUY_BO_PROFIT_RANGE_MAX_PERC", "SELL_BO_PROFIT_RANGE_MAX_PERC", "BUY_BO_PROFIT_RANGE_MIN_PERC",
    "SELL_BO_PROFIT_RANGE_MIN_PERC", "MTF_LEVERAGE",
)  # fmt: skip
DETAILED = _DETAILED_HEAD + _MARGIN_COLUMNS
_NO_STRIKE = "-0.01000"


@router.get("/api-data/api-scrip-master.csv")
async def compact(request: Request) -> Response:
    catalogues: Catalogues = request.app.state.catalogues
    catalogue = catalogues()
    return _csv(COMPACT, (compact_row(each, catalogue) for each in catalogue.instruments))


@router.get("/api-data/api-scrip-master-detailed.csv")
async def detailed(request: Request) -> Response:
    catalogues: Catalogues = request.app.state.catalogues
    catalogue = catalogues()
    return _csv(DETAILED, (detailed_row(each, catalogue) for each in catalogue.instruments))


@router.get("/v2/instrument/{segment}")
async def of_segment(request: Request, segment: str) -> Response:
    """One segment of the detailed master; needs no login."""
    if segment not in SEGMENT_BY_WORD:
        raise DhanProblem("DH-905", f"exchangeSegment {segment[:20]!r} is none of {', '.join(SEGMENT_BY_WORD)}")
    catalogues: Catalogues = request.app.state.catalogues
    catalogue, wanted = catalogues(), SEGMENT_BY_WORD[segment]
    listed = (each for each in catalogue.instruments if each.key.segment is wanted)
    return _csv(DETAILED, (detailed_row(each, catalogue) for each in listed))


def compact_row(instrument: SandboxInstrument, catalogue: Catalogue) -> tuple[object, ...]:
    """In the order of COMPACT."""
    key = instrument.key
    word = instrument_word(key, underlying_is_index=catalogue.derives_from_index(key))
    return (
        exchange_word(key.segment, key.name), EXCHANGE_LETTER[key.segment], instrument.exchange_token, word, 0,
        instrument.dhan_symbol, f"{instrument.lot_size}.0", _display(instrument),
        f"{key.expiry} 14:30:00" if key.expiry else "", _strike(instrument),
        _option_type(instrument), f"{instrument.tick_size_paise}.0000", _expiry_flag(instrument, catalogue),
        _kind(instrument), "" if key.is_derivative else ("X" if word == "INDEX" else "EQ"),
        "" if key.is_derivative else key.name,
    )  # fmt: skip


def detailed_row(instrument: SandboxInstrument, catalogue: Catalogue) -> tuple[object, ...]:
    """In the order of DETAILED."""
    key = instrument.key
    word = instrument_word(key, underlying_is_index=catalogue.derives_from_index(key))
    underlying = catalogue.underlying_of(key)
    series = "NA" if key.is_derivative else ("X" if word == "INDEX" else "EQ")
    head = (
        exchange_word(key.segment, key.name), EXCHANGE_LETTER[key.segment], instrument.exchange_token,
        instrument.isin or "NA", word, underlying.exchange_token if underlying else "", key.name,
        instrument.dhan_symbol, _display(instrument), _kind(instrument), series, f"{instrument.lot_size}.0",
        key.expiry or "", _strike(instrument), _option_type(instrument), f"{instrument.tick_size_paise}.0000",
        _expiry_flag(instrument, catalogue), "N", "N", "N", "NA", "A",
    )  # fmt: skip
    return head + (0,) * len(_MARGIN_COLUMNS)


def _csv(header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> Response:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return Response(text.getvalue(), media_type="text/csv")


def _strike(instrument: SandboxInstrument) -> str:
    key = instrument.key
    if not key.is_derivative:
        return ""
    return f"{key.strike_paise / 100:.5f}" if key.strike_paise is not None else _NO_STRIKE


def _option_type(instrument: SandboxInstrument) -> str:
    key = instrument.key
    return key.right.value if key.right else ("XX" if key.is_derivative else "")


def _kind(instrument: SandboxInstrument) -> str:
    key = instrument.key
    if not key.is_derivative:
        return "INDEX" if key.segment.value == "INDEX" else "ES"
    return "OP" if key.is_option else "FUT"


def _expiry_flag(instrument: SandboxInstrument, catalogue: Catalogue) -> str:
    """M for the last expiry of its month, W for the others."""
    key = instrument.key
    if key.expiry is None:
        return "NA"
    if not key.is_option:
        return "M"
    underlying = catalogue.underlying_of(key)
    days = catalogue.expiries(underlying.key) if underlying else ()
    later = any(day > key.expiry and (day.year, day.month) == (key.expiry.year, key.expiry.month) for day in days)
    return "W" if later else "M"


def _display(instrument: SandboxInstrument) -> str:
    key = instrument.key
    if key.expiry is None:
        return key.name
    when = f"{key.expiry:%d %b}".upper()
    if key.right is None or key.strike_paise is None:
        return f"{key.name} {when} FUT"
    return f"{key.name} {when} {key.strike_paise / 100:g} {'CALL' if key.right.value == 'CE' else 'PUT'}"

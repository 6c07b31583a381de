"""Upstox's option chain (BROKERS 8). `iv` is a percentage here; deep strikes have no last price but live quotes."""

from datetime import date

import structlog

from tradebus.brokers.common.replies.rows import Row, Unreadable, paise, row_of, rows_of, text, whole
from tradebus.brokers.reference import ChainRow, ListedInstrument, OptionChain, OptionSide
from tradebus.brokers.upstox.replies import fraction

_log = structlog.get_logger()


def chain_of(data: object, *, underlying: ListedInstrument, expiry: date) -> OptionChain:
    """By strike. A row that cannot be read, or is of another underlying or expiry, is left out and said. Raises
    Unreadable where all are."""
    rows: dict[int, ChainRow] = {}
    odd: list[str] = []
    spot = 0
    for number, row in enumerate(rows_of(data, what="option chain")):
        try:
            require_of(row, underlying=underlying, expiry=expiry)
            strike = paise(row, "strike_price")
            value = paise(row, "underlying_spot_price") if row.get("underlying_spot_price") is not None else 0
            if strike in rows:
                raise Unreadable("strike_price: this strike comes again")
            rows[strike] = ChainRow(strike, _side(row, "call_options"), _side(row, "put_options"))
        except Unreadable as error:
            odd.append(f"row {number} (strike {row.get('strike_price')!r:.20}): {error}")
            continue
        spot = max(spot, value)
    if odd:
        if not rows:
            raise Unreadable(odd[0])
        _log.error("upstox: rows of an option chain left out", chain=str(underlying.key), rows=len(odd), first=odd[0])
    return OptionChain(underlying.key, expiry, spot, tuple(rows[strike] for strike in sorted(rows)))


def require_of(row: Row, *, underlying: ListedInstrument, expiry: date | None = None) -> None:
    """Raises Unreadable for a row that says that it is of another underlying or expiry."""
    said = row.get("underlying_key")
    if said is not None and said != underlying.token:
        raise Unreadable(f"underlying_key: {said!r:.40} is not {underlying.token}, which was asked for")
    if expiry is not None and row.get("expiry") is not None and str(row["expiry"])[:10] != expiry.isoformat():
        raise Unreadable(f"expiry: {row['expiry']!r:.30} is not {expiry.isoformat()}, which was asked for")


def expiries_of(data: object, *, underlying: ListedInstrument) -> list[date]:
    """Of the contracts of an underlying, ascending. A row that cannot be read, or is of another underlying, is left out
    and said. Raises Unreadable where all are."""
    found, odd = set(), []
    for row in rows_of(data, what="option contracts"):
        try:
            require_of(row, underlying=underlying)
            found.add(date.fromisoformat(text(row, "expiry")[:10]))
        except ValueError as error:  # Unreadable is one
            odd.append(str(error))
    if odd:
        if not found:
            raise Unreadable(f"option contracts: {odd[0]}")
        _log.error("upstox: rows of option contracts left out", of=str(underlying.key), rows=len(odd), first=odd[0])
    return sorted(found)


def _side(row: Row, name: str) -> OptionSide | None:
    if not row.get(name):
        return None
    side = row_of(row[name], what=name)
    if not side.get("instrument_key"):
        return None
    market = row_of(side.get("market_data"), what="market_data")
    greeks = row_of(side.get("option_greeks") or {}, what="option_greeks")
    volatility = fraction(greeks, "iv")
    return OptionSide(
        token=text(side, "instrument_key"), price_paise=_amount(paise(market, "ltp"), "ltp"),
        bid_paise=_known(market, "bid_price", money=True), ask_paise=_known(market, "ask_price", money=True),
        bid_quantity=_known(market, "bid_qty"), ask_quantity=_known(market, "ask_qty"),
        volume=_amount(whole(market, "volume"), "volume"), open_interest=_amount(whole(market, "oi"), "oi"),
        previous_open_interest=_known(market, "prev_oi"),
        implied_volatility=None if volatility is None else volatility / 100, delta=fraction(greeks, "delta"),
        gamma=fraction(greeks, "gamma"), theta=fraction(greeks, "theta"), vega=fraction(greeks, "vega"),
    )  # fmt: skip


def _known(market: Row, name: str, *, money: bool = False) -> int:
    """0 where nobody bids or asks, and so Upstox says nothing."""
    if market.get(name) is None:
        return 0
    return _amount(paise(market, name) if money else whole(market, name), name)


def _amount(value: int, name: str) -> int:
    if value < 0:
        raise Unreadable(f"{name}: {value} is below 0")
    return value

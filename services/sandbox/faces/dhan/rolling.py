"""Rolling option data: at each bar the contract that was ATM, ATM+1, ATM-2 … then."""

import re
from datetime import date

import numpy as np

from services.sandbox.faces.dhan.caller import find
from services.sandbox.faces.dhan.catalogue import Catalogue, Strikes
from services.sandbox.faces.dhan.fields import Fields
from services.sandbox.faces.dhan.order_rows import Row
from services.sandbox.faces.dhan.problems import DhanProblem
from services.sandbox.ports import Exchange, SandboxInstrument
from tradebus.contracts.instrument_key import Right
from tradebus.contracts.records import Records
from tradebus.kernel.time import NANOSECONDS_PER_SECOND

_OFFSET = re.compile(r"ATM(?:([+-])(\d{1,2}))?")
_RIGHTS = {"CALL": Right.CALL, "PUT": Right.PUT}
_FLAGS = {"WEEK": False, "MONTH": True}
_PRICES = ("open", "high", "low", "close")
_FIELDS = frozenset({*_PRICES, "iv", "volume", "strike", "oi", "spot"})


def rolling_rows(
    exchange: Exchange, catalogue: Catalogue, body: Fields, *, seconds: int, from_ns: int, to_ns: int
) -> Row:
    """`{"ce": {...}, "pe": null}` or the other way round. Raises DhanProblem."""
    underlying, right = _underlying(exchange, body), body.word("drvOptionType", _RIGHTS)
    wanted = {str(each) for each in body.items("requiredData")}
    if not wanted <= _FIELDS:
        raise DhanProblem("DH-905", f"requiredData has more than {', '.join(sorted(_FIELDS))}")
    match = _OFFSET.fullmatch(body.text("strike"))
    if match is None:
        raise DhanProblem("DH-905", "strike must be ATM, ATM+1 … or ATM-1 …")
    offset = int(f"{match[1] or '+'}{match[2] or 0}")
    strikes = catalogue.strikes(underlying.key, _expiry(catalogue, underlying, body))
    spot = exchange.history(underlying.index, timeframe_seconds=seconds, from_ns=from_ns, to_ns=to_ns)
    side = _side(exchange, strikes, spot, right, offset, seconds=seconds)
    shown = {name: column if name in wanted or name == "timestamp" else [] for name, column in side.items()}
    return {"ce": shown, "pe": None} if right is Right.CALL else {"ce": None, "pe": shown}


def _underlying(exchange: Exchange, body: Fields) -> SandboxInstrument:
    """Dhan names an option's underlying by the index' or the share's id, under the segment of the option."""
    number = body.text("securityId")
    for word in ("IDX_I", "NSE_EQ") if body.text("instrument") == "OPTIDX" else ("NSE_EQ", "IDX_I"):
        found = find(exchange, word, number)
        if found is not None:
            return found
    raise DhanProblem("DH-905", f"securityId {number[:20]!r} is no underlying")


def _expiry(catalogue: Catalogue, underlying: SandboxInstrument, body: Fields) -> date:
    """By flag and code: 1 the nearest (0 means the same), 2 the next, 3 the one after."""
    expiries = catalogue.expiries(underlying.key)
    if body.word("expiryFlag", _FLAGS):
        expiries = tuple(
            day
            for day in expiries
            if day == max(each for each in expiries if (each.year, each.month) == (day.year, day.month))
        )
    code = max(1, body.whole("expiryCode", 1))
    if code > len(expiries):
        raise DhanProblem("DH-907", "no such expiry")
    return expiries[code - 1]


def _side(
    exchange: Exchange, strikes: Strikes, spot: Records, right: Right, offset: int, *, seconds: int
) -> dict[str, list[object]]:
    ladder = np.array(sorted(paise for paise, sides in strikes.items() if right in sides), np.int64)
    names = (*_PRICES, "volume", "oi", "iv", "strike", "spot", "timestamp")
    if len(ladder) == 0 or len(spot) == 0:
        return {name: [] for name in names}
    money = np.abs(spot["close_paise"][:, None] - ladder[None, :]).argmin(axis=1)
    chosen = np.clip(money + offset, 0, len(ladder) - 1)
    rows: list[tuple[int, list[object]]] = []
    for place in np.unique(chosen):
        option = strikes[int(ladder[place])][right]
        bars = spot[chosen == place]
        candles = exchange.history(
            option.index, timeframe_seconds=seconds, from_ns=int(bars["ts_open_ns"][0]),
            to_ns=int(bars["ts_open_ns"][-1]) + 1,
        )  # fmt: skip
        greeks = exchange.greeks(option.index)
        volatility = greeks.implied_volatility * 100 if greeks else 0.0
        _, mine, theirs = np.intersect1d(candles["ts_open_ns"], bars["ts_open_ns"], return_indices=True)
        for candle, bar in zip(candles[mine], bars[theirs], strict=True):
            stamp = int(candle["ts_open_ns"]) // NANOSECONDS_PER_SECOND
            prices: list[object] = [int(candle[f"{name}_paise"]) / 100 for name in _PRICES]
            rest = [int(candle["volume"]), int(candle["open_interest"]), volatility, int(ladder[place]) / 100]
            rows.append((stamp, [*prices, *rest, int(bar["close_paise"]) / 100, stamp]))
    rows.sort(key=lambda row: row[0])
    return {name: [row[position] for _, row in rows] for position, name in enumerate(names)}

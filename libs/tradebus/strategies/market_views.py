"""The market as a strategy may ask to see it beside candles and ticks: depth, and the option chain.

Money in paise, quantities in units, instants in nanoseconds since the epoch.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

from tradebus.contracts.records import (
    QUOTE,
    QUOTE_HAS_DEPTH,
    QUOTE_HAS_OPEN_INTEREST,
    QUOTE_HAS_OPEN_INTEREST_RANGE,
    QUOTE_HAS_TOTAL_QUANTITIES,
)


@dataclass(frozen=True, slots=True)
class Level:
    """One price of the book. A level that nobody stands at is left out."""

    price_paise: int
    quantity: int
    orders: int


@dataclass(frozen=True, slots=True)
class Quote:
    """An instrument's newest full quote. Levels best first, at most five; None is what the packet did not carry."""

    ts_event_ns: int
    price_paise: int
    volume_cumulative: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    total_buy_quantity: int | None
    total_sell_quantity: int | None
    open_interest: int | None
    open_interest_high: int | None
    open_interest_low: int | None


@dataclass(frozen=True, slots=True)
class ChainOption:
    """One option of a chain. `implied_volatility` is a fraction, None where the broker gives none."""

    price_paise: int
    bid_paise: int
    ask_paise: int
    volume: int
    open_interest: int
    previous_open_interest: int
    implied_volatility: float | None


@dataclass(frozen=True, slots=True)
class ChainStrike:
    """A side that is not listed is None."""

    strike_paise: int
    call: ChainOption | None
    put: ChainOption | None


@dataclass(frozen=True, slots=True)
class Chain:
    """The nearest expiry's option chain of an underlying, by strike; `seen_ns` is when the broker was asked."""

    underlying: str
    expiry: date
    seen_ns: int
    strikes: tuple[ChainStrike, ...]

    @property
    def put_call_ratio(self) -> float | None:
        """Open interest of all puts over that of all calls; None where no call is open."""
        calls = sum(each.call.open_interest for each in self.strikes if each.call is not None)
        puts = sum(each.put.open_interest for each in self.strikes if each.put is not None)
        return puts / calls if calls else None


_NUMBERS = tuple(name for name in QUOTE.names or ())


def quote_of(record: Any) -> Quote:
    """One QUOTE record as strategies see it."""
    one = dict(zip(_NUMBERS, record.tolist(), strict=True))
    fields = one["fields"]
    has_totals, has_range = fields & QUOTE_HAS_TOTAL_QUANTITIES, fields & QUOTE_HAS_OPEN_INTEREST_RANGE
    return Quote(
        ts_event_ns=one["ts_event_ns"],
        price_paise=one["price_paise"],
        volume_cumulative=one["volume_cumulative"],
        bids=_levels(one, "bid"),
        asks=_levels(one, "ask"),
        total_buy_quantity=one["total_buy_quantity"] if has_totals else None,
        total_sell_quantity=one["total_sell_quantity"] if has_totals else None,
        open_interest=one["open_interest"] if fields & QUOTE_HAS_OPEN_INTEREST else None,
        open_interest_high=one["open_interest_high"] if has_range else None,
        open_interest_low=one["open_interest_low"] if has_range else None,
    )


def _levels(one: dict[str, Any], side: str) -> tuple[Level, ...]:
    if not one["fields"] & QUOTE_HAS_DEPTH:
        return ()
    rows = zip(*(map(int, one[f"{side}_{what}"]) for what in ("paise", "quantity", "orders")), strict=True)
    return tuple(Level(*row) for row in rows if row[0] > 0 and row[1] > 0)


_SIDE_FIELDS = (
    "price_paise", "bid_paise", "ask_paise", "volume", "open_interest", "previous_open_interest", "implied_volatility"
)  # fmt: skip


def chain_of(underlying: str, expiry: date, seen_ns: int, payload: Any) -> Chain:
    """A stored chain. Raises ValueError for what is none; `payload` are the strikes as `option_chains` has them."""
    try:
        rows = [
            ChainStrike(int(row["strike_paise"]), _side(row["call"]), _side(row["put"])) for row in payload
        ]  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the option chain of {underlying} {expiry} cannot be read: {error!r}") from error
    return Chain(underlying, expiry, seen_ns, tuple(sorted(rows, key=lambda row: row.strike_paise)))


def _side(data: Any) -> ChainOption | None:
    if data is None:
        return None
    volatility = data["implied_volatility"]
    price, bid, ask, volume, interest, interest_before = (int(data[name]) for name in _SIDE_FIELDS[:-1])
    given = None if volatility is None else float(volatility)
    return ChainOption(price, bid, ask, volume, interest, interest_before, given)


def quote_as_json(quote: Quote | None) -> list[Any] | None:
    """For another process; `quote_from_json` reads it."""
    if quote is None:
        return None
    sides = [[[level.price_paise, level.quantity, level.orders] for level in side] for side in (quote.bids, quote.asks)]
    return [
        quote.ts_event_ns, quote.price_paise, quote.volume_cumulative, *sides, quote.total_buy_quantity,
        quote.total_sell_quantity, quote.open_interest, quote.open_interest_high, quote.open_interest_low,
    ]  # fmt: skip


def quote_from_json(data: Any) -> Quote | None:
    if data is None:
        return None
    ts_ns, price, volume, bids, asks, *rest = data
    buyers, sellers = (tuple(Level(*row) for row in side) for side in (bids, asks))
    return Quote(ts_ns, price, volume, buyers, sellers, *rest)


def chain_as_json(chain: Chain | None) -> list[Any] | None:
    """For another process; `chain_from_json` reads it."""
    if chain is None:
        return None
    rows = [[row.strike_paise, _side_as_json(row.call), _side_as_json(row.put)] for row in chain.strikes]
    return [chain.underlying, chain.expiry.isoformat(), chain.seen_ns, rows]


def chain_from_json(data: Any) -> Chain | None:
    if data is None:
        return None
    underlying, expiry, seen_ns, rows = data
    strikes = tuple(ChainStrike(strike, *(side and ChainOption(*side) for side in sides)) for strike, *sides in rows)
    return Chain(underlying, date.fromisoformat(expiry), seen_ns, strikes)


def _side_as_json(side: ChainOption | None) -> list[Any] | None:
    return None if side is None else [getattr(side, name) for name in _SIDE_FIELDS]

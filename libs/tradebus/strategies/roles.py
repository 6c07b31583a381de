"""Finding what `Needs` asks for: the instruments of a strategy's roles, and whether the feed brings the rest.

Invariant (tested): everything is found, or InvalidInput names the first that is not and the nearest that is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import pairwise

from tradebus.calendar import front_month_expiry
from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.kernel.errors import InvalidInput, nearest
from tradebus.strategies.expiries import find_expiry
from tradebus.strategies.needs import OPTIONAL, Call, Needs, Put, Role, Series, Symbol, Underlying, Wanted


@dataclass(frozen=True, slots=True)
class Offered:
    """What there is beside candles and ticks. `feed` begins the error of what it lacks.

    `depth` are the symbols followed in full, `chains` the underlyings whose option chain is read; None where that is
    not known yet.
    `closes_paise` are last closes before the day by instrument id: what strikes are chosen by.
    """

    feed: str = "this history"
    depth: frozenset[str] | None = frozenset()
    chains: frozenset[str] | None = frozenset()
    closes_paise: Mapping[int, int] = field(default_factory=dict)


HISTORY = Offered()
_WHO_HAS_DEPTH = "feed kite, dhan or upstox in full mode has"
_WHO_HAS_CHAINS = "feed kite, dhan or upstox has"
_NEAREST_TO_FLOW = (
    "the nearest there is: quotes, the depth and all that is bid and offered, of feed kite, dhan or upstox in full "
    "mode; with flow=OPTIONAL it runs without"
)


def resolve(
    needs: Needs, own: Instrument, *, own_timeframe_seconds: int, instruments: InstrumentMaster, day: date, what: str,
    offered: Offered = HISTORY,
) -> dict[tuple[int, int], tuple[Series, ...]]:  # fmt: skip
    """The series `needs` asks for, by (timeframe, instrument): several where several roles mean one instrument. `what`
    begins the error of what cannot be met."""
    _require_offered(needs, own, offered, what)
    timeframes = tuple(dict.fromkeys((own_timeframe_seconds, *needs.timeframes_seconds)))
    found: dict[tuple[int, int], tuple[Series, ...]] = {
        (seconds, own.instrument_id): (Series("own", own.symbol, seconds),)
        for seconds in timeframes
        if seconds != own_timeframe_seconds
    }
    for role in needs.instruments:
        instrument = find_role(role, own, instruments=instruments, day=day, what=what, offered=offered)
        for seconds in timeframes:
            place = (seconds, instrument.instrument_id)
            if place != (own_timeframe_seconds, own.instrument_id):
                found[place] = (*found.get(place, ()), Series(role.name, instrument.symbol, seconds))
    return found


def granted(needs: Needs, own: Instrument, offered: Offered = HISTORY) -> Needs:
    """What there will be of it: what is optional and not offered is not asked for. What is not known yet may come."""
    has_depth = offered.depth is None or own.symbol in offered.depth
    has_chain = offered.chains is None or own.underlying in offered.chains
    return replace(
        needs, quotes=_granted(needs.quotes, has_depth), chain=_granted(needs.chain, has_chain),
        flow=_granted(needs.flow, False),
    )  # fmt: skip


def _granted(wanted: Wanted, is_there: bool) -> Wanted:
    return False if wanted == OPTIONAL and not is_there else wanted


def find_roles(
    needs: Needs, own: Instrument, *, instruments: InstrumentMaster, day: date, what: str, offered: Offered = HISTORY
) -> dict[str, Instrument]:
    """What each role means, by the role's name."""
    return {
        role.name: find_role(role, own, instruments=instruments, day=day, what=what, offered=offered)
        for role in needs.instruments
    }


def spots_of(needs: Needs, own: Instrument, instruments: InstrumentMaster, day: date) -> list[Instrument]:
    """Whose last close decides which strikes `needs` means: the underlying or, where only contracts are followed, its
    nearest future; nothing where it asks for no option."""
    if not any(isinstance(role, Call | Put) for role in needs.instruments):
        return []
    spot = _spot(_family(own, instruments), day)
    return [] if spot is None else [spot]


def find_role(
    role: Role, own: Instrument, *, instruments: InstrumentMaster, day: date, what: str, offered: Offered = HISTORY
) -> Instrument:
    """The instrument a role means for the own symbol on a day."""
    if isinstance(role, Symbol):
        if role.symbol not in instruments:
            names = [one.symbol for one in instruments]
            near = nearest(role.symbol, names) or f": {_shown([*instruments])}"
            raise InvalidInput(f"{what} needs {role.symbol!r}, which is not known{near}")
        return instruments.find(role.symbol)
    family = _family(own, instruments)
    if isinstance(role, Call | Put):
        return _option(role, own, family, day=day, what=what, offered=offered)
    if isinstance(role, Underlying):
        spots = [one for one in family if one.kind in ("INDEX", "EQUITY")]
        if spots:
            return spots[0]
        raise InvalidInput(f"{what} needs the underlying of {own.symbol}: {_shown(family)}")
    futures = _living(family, "FUTURE", day)
    if not futures:
        raise InvalidInput(f"{what} needs a future of {own.underlying} that has not expired: {_shown(family)}")
    asked = f"{what} needs {role.name} of {own.underlying}"
    expiry = find_expiry(role, [expiry for expiry, _ in futures], family, day=day, asked=asked)
    return next(one for one_expires, one in futures if one_expires == expiry)


def _option(
    role: Call | Put, own: Instrument, family: Sequence[Instrument], *, day: date, what: str, offered: Offered
) -> Instrument:  # fmt: skip
    """The option so many strikes from the money, of the expiry that is asked for among those that have this right."""
    asked = f"{what} needs {role.name} of {own.underlying}"
    right = "CE" if isinstance(role, Call) else "PE"
    living = [
        (expiry, one)
        for expiry, one in _living(family, "OPTION", day)
        if one.right == right and one.strike_paise is not None
    ]
    if not living:
        expired = _family_options(family, right)
        known = f"the last that is known expired on {expired[-1].expiry}" if expired else "no option of it is known"
        raise InvalidInput(
            f"{asked}: no {right} of it expires on {day} or later; {known}. Follow its contracts by name"
        )
    spot = _spot(family, day)
    if spot is None or spot.instrument_id not in offered.closes_paise:
        name = own.underlying if spot is None else spot.symbol
        raise InvalidInput(
            f"{asked}: strikes are chosen by the last close of {name} before the day, and {offered.feed} has none; "
            f"name the contract with Symbol({living[0][1].symbol!r})"
        )
    expiry = find_expiry(role, [expiry for expiry, _ in living], family, day=day, asked=asked)
    by_strike = {one.strike_paise or 0: one for one_expires, one in living if one_expires == expiry}
    strikes = sorted(by_strike)
    # The exchange's interval is the narrowest gap: what lies between two known strikes further apart is not known here.
    interval = min((after - before for before, after in pairwise(strikes)), default=0)
    close = offered.closes_paise[spot.instrument_id]
    wanted = at_the_money(close, strikes[0], interval) + role.steps * interval
    if wanted in by_strike and (interval or (not role.steps and len(strikes) == 1)):
        return by_strike[wanted]
    near = by_strike[min(strikes, key=lambda strike: (abs(strike - wanted), strike))]
    raise InvalidInput(
        f"{asked} that expires on {expiry}: at {close / 100:.2f} that is strike {wanted / 100:g}, which is "
        f"not among the {len(strikes)} known from {strikes[0] / 100:g} to {strikes[-1] / 100:g}; the nearest is "
        f"{near.symbol}"
    )


def at_the_money(price_paise: int, strike_paise: int, interval_paise: int) -> int:
    """The strike nearest to a price, of those that lie so many intervals from `strike_paise`; of two, the lower."""
    if not interval_paise:
        return strike_paise
    below = strike_paise + (price_paise - strike_paise) // interval_paise * interval_paise
    return below if price_paise - below <= below + interval_paise - price_paise else below + interval_paise


def _require_offered(needs: Needs, own: Instrument, offered: Offered, what: str) -> None:
    if needs.quotes is True and offered.depth is not None and own.symbol not in offered.depth:
        if not offered.depth:
            raise InvalidInput(f"{what} needs the depth of {own.symbol}: {offered.feed} has no depth: {_WHO_HAS_DEPTH}")
        raise InvalidInput(
            f"{what} needs the depth of {own.symbol}, which {offered.feed} does not follow in full"
            f"{nearest(own.symbol, offered.depth)}: add it to TRADEBUS_FULL_SYMBOLS"
        )
    if needs.chain is True and offered.chains is not None and own.underlying not in offered.chains:
        read = f"it reads those of {', '.join(sorted(offered.chains))}" if offered.chains else _WHO_HAS_CHAINS
        raise InvalidInput(
            f"{what} needs the option chain of {own.underlying}: {offered.feed} has no such option chain: {read}"
        )
    if needs.flow is True:
        raise InvalidInput(
            f"{what} needs the order flow of {own.underlying}'s future: {offered.feed} has none, nor has another yet: "
            f"{_NEAREST_TO_FLOW}"
        )


def _family(own: Instrument, instruments: InstrumentMaster) -> list[Instrument]:
    return [one for one in instruments if one.underlying == own.underlying]


def _family_options(family: Iterable[Instrument], right: str) -> list[Instrument]:
    options = [one for one in family if one.kind == "OPTION" and one.right == right and one.expiry is not None]
    return sorted(options, key=lambda one: (one.expiry or date.min, one.symbol))


def _spot(family: Sequence[Instrument], day: date) -> Instrument | None:
    """Whose price says where the money is."""
    spots = [one for one in family if one.kind in ("INDEX", "EQUITY")]
    return next(iter(spots or [one for _, one in _living(family, "FUTURE", day)]), None)


def _living(family: Iterable[Instrument], kind: str, day: date) -> list[tuple[date, Instrument]]:
    """Those of a kind that have not expired, with their expiries, the nearest first. A future that says none is the
    front month, one contract after the other."""
    living: list[tuple[date, bool, str, Instrument]] = []
    for one in family:
        expiry = one.expiry
        if expiry is None and kind == one.kind == "FUTURE" and day > date.min:
            expiry = front_month_expiry(one.underlying, day)
        if one.kind == kind and expiry is not None and expiry >= day:
            living.append((expiry, one.expiry is None, one.symbol, one))
    return [(expiry, one) for expiry, _, _, one in sorted(living, key=lambda each: each[:3])]


def _shown(family: Sequence[Instrument]) -> str:
    names = [f"{one.symbol} ({one.kind.lower()})" for one in family[:5]]
    return f"known are {', '.join(names)}" if names else "none is known"

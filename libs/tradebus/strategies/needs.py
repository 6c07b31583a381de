"""What a strategy needs beside its own symbol's candles, said as data.

    class Spread(Strategy[Parameters]):
        NEEDS = Needs(instruments=(Future(), Symbol("INDIA VIX")), timeframes_seconds=(300, 900))

A role says which instrument is meant by its place, so that one strategy trades any underlying:

    Underlying()   the index or stock the own symbol stands for      "underlying"
    Future()       its nearest future that has not expired           "future"
    Call(+1)       the call one strike above the money               "call+1"
    Put(-2)        the put two strikes below it                      "put-2"
    Symbol("X")    that very instrument; several make a universe     "X"

`resolve` finds them. Invariant (tested): every role is found, or InvalidInput names the first that is not and the
nearest that is.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.contracts.records import TIMEFRAMES_SECONDS
from tradebus.kernel.errors import InvalidInput, nearest

STEPS_MAX = 20
ROLES_MAX = 600


@dataclass(frozen=True, slots=True)
class Underlying:
    @property
    def name(self) -> str:
        return "underlying"


@dataclass(frozen=True, slots=True)
class Future:
    @property
    def name(self) -> str:
        return "future"


@dataclass(frozen=True, slots=True)
class Call:
    """`steps` strikes from the money, at the newest price of the underlying when a day begins; + is above it."""

    steps: int = 0

    @property
    def name(self) -> str:
        return f"call{self.steps:+d}"


@dataclass(frozen=True, slots=True)
class Put:
    """As Call."""

    steps: int = 0

    @property
    def name(self) -> str:
        return f"put{self.steps:+d}"


@dataclass(frozen=True, slots=True)
class Symbol:
    symbol: str

    @property
    def name(self) -> str:
        return self.symbol


Role = Underlying | Future | Call | Put | Symbol
_KINDS: dict[str, Callable[..., Role]] = {
    "underlying": Underlying, "future": Future, "call": Call, "put": Put, "symbol": Symbol
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Needs:
    """`timeframes_seconds` are further ones, of the own symbol; every role comes in all timeframes asked for."""

    instruments: tuple[Role, ...] = ()
    timeframes_seconds: tuple[int, ...] = ()
    quotes: bool = False  # depth and totals of the own symbol: context.quote
    chain: bool = False  # the option chain of the own symbol's underlying: context.put_call_ratio

    def problem(self) -> str | None:
        """What is wrong with it, None where nothing is: it comes from a user's class."""
        roles: Any = self.instruments
        timeframes: Any = self.timeframes_seconds
        if not isinstance(roles, tuple) or not isinstance(timeframes, tuple):
            return "NEEDS: instruments and timeframes_seconds must be tuples"
        for role in roles:
            if not isinstance(role, Role):
                return f"NEEDS: {role!r} is no role; roles are Underlying, Future, Call, Put and Symbol"
            if isinstance(role, Call | Put) and (type(role.steps) is not int or abs(role.steps) > STEPS_MAX):
                return f"NEEDS: {type(role).__name__} steps must be a whole number within ±{STEPS_MAX}"
            if isinstance(role, Symbol) and (not isinstance(role.symbol, str) or not role.symbol):
                return "NEEDS: Symbol needs a symbol"
        if len(roles) > ROLES_MAX or len({role.name for role in roles}) < len(roles):
            return f"NEEDS: at most {ROLES_MAX} instruments, each once"
        bad = [seconds for seconds in timeframes if seconds not in TIMEFRAMES_SECONDS]
        if bad:
            return f"NEEDS: timeframes_seconds must be of {TIMEFRAMES_SECONDS}, got {bad[0]!r}"
        return None

    def as_json(self) -> dict[str, Any]:
        kinds = {kind: name for name, kind in _KINDS.items()}
        return {
            "instruments": [
                [kinds[type(role)], getattr(role, "steps", getattr(role, "symbol", None))] for role in self.instruments
            ],
            "timeframes_seconds": list(self.timeframes_seconds),
            "quotes": self.quotes,
            "chain": self.chain,
        }

    @classmethod
    def from_json(cls, data: Any) -> "Needs":
        """What `as_json` made. Raises ValueError or KeyError for anything else."""
        roles = tuple(_KINDS[kind]() if value is None else _KINDS[kind](value) for kind, value in data["instruments"])
        made = cls(roles, tuple(data["timeframes_seconds"]), bool(data["quotes"]), bool(data["chain"]))
        if (problem := made.problem()) is not None:
            raise ValueError(problem)
        return made


@dataclass(frozen=True, slots=True)
class Series:
    """One stream of candles a strategy hears beside its own: whose, by which role, of which timeframe."""

    role: str
    symbol: str
    timeframe_seconds: int

    @property
    def order(self) -> tuple[int, int, str, str]:
        """Which comes first of the candles that close at one instant: `OWN_ORDER`, the own one, last."""
        return (0, self.timeframe_seconds, self.symbol, self.role)


OWN_ORDER = (1,)


def resolve(
    needs: Needs, own: Instrument, *, own_timeframe_seconds: int, instruments: InstrumentMaster, day: date, what: str
) -> dict[tuple[int, int], Series]:
    """The series `needs` asks for, by (timeframe, instrument). `what` begins the error of what cannot be met."""
    if needs.quotes or needs.chain:
        which = "the depth of its symbol" if needs.quotes else "an option chain"
        raise InvalidInput(f"{what} needs {which}, which no feed brings to strategies yet; candles and ticks are there")
    timeframes = tuple(dict.fromkeys((own_timeframe_seconds, *needs.timeframes_seconds)))
    found = {
        (seconds, own.instrument_id): Series("own", own.symbol, seconds)
        for seconds in timeframes
        if seconds != own_timeframe_seconds
    }
    for role in needs.instruments:
        instrument = find_role(role, own, instruments=instruments, day=day, what=what)
        for seconds in timeframes:
            if (seconds, instrument.instrument_id) != (own_timeframe_seconds, own.instrument_id):
                found.setdefault((seconds, instrument.instrument_id), Series(role.name, instrument.symbol, seconds))
    return found


def find_role(role: Role, own: Instrument, *, instruments: InstrumentMaster, day: date, what: str) -> Instrument:
    """The instrument a role means for the own symbol on a day."""
    if isinstance(role, Symbol):
        if role.symbol not in instruments:
            names = [one.symbol for one in instruments]
            raise InvalidInput(f"{what} needs {role.symbol!r}, which is not known{nearest(role.symbol, names)}")
        return instruments.find(role.symbol)
    family = [one for one in instruments if one.underlying == own.underlying]
    if isinstance(role, Underlying):
        spot = [one for one in family if one.kind in ("INDEX", "EQUITY")]
        if spot:
            return spot[0]
        raise InvalidInput(f"{what} needs the underlying of {own.symbol}: {_offered(family)}")
    if isinstance(role, Future):
        futures = _living(family, "FUTURE", day)
        if futures:
            return futures[0]
        raise InvalidInput(f"{what} needs a future of {own.underlying} that has not expired: {_offered(family)}")
    raise InvalidInput(
        f"{what} needs {role.name} of {own.underlying}: strikes are chosen as the price moves, which no feed offers to "
        f"a strategy's candles yet; name the contract with Symbol(...). {_offered(_living(family, 'OPTION', day))}"
    )


def _living(family: Iterable[Instrument], kind: str, day: date) -> list[Instrument]:
    """Those of a kind that have not expired, the nearest expiry first."""
    living = [(one.expiry, one.symbol, one) for one in family if one.kind == kind and one.expiry and one.expiry >= day]
    return [one for _, _, one in sorted(living, key=lambda each: each[:2])]


def _offered(family: Sequence[Instrument]) -> str:
    names = [f"{one.symbol} ({one.kind.lower()})" for one in family[:5]]
    return f"known are {', '.join(names)}" if names else "none is known"

"""What a strategy needs beside its own symbol's candles, said as data.

    class Spread(Strategy[Parameters]):
        NEEDS = Needs(instruments=(Future(), Symbol("INDIA VIX")), timeframes_seconds=(300, 900))

A role says which instrument is meant by its place, so that one strategy trades any underlying:

    Underlying()   the index or stock the own symbol stands for      "underlying"
    Future()       its nearest future that has not expired           "future"
    Call(+1)       the call one strike above the money               "call+1"
    Put(-2)        the put two strikes below it                      "put-2"
    Symbol("X")    that very instrument; several make a universe     "X"

A contract is that of the nearest expiry, unless another is asked for:

    Call(+1, expiry=NEXT)       the expiry after the nearest         "call+1@next"
    Put(0, expiry=MONTHLY)      the month's own, not a weekly one    "put+0@monthly"
    Future(expiry=NEXT_MONTHLY) that of the month after              "future@next_monthly"

`roles.resolve` finds them. Depth, the option chain and the order flow may be OPTIONAL: shown where the feed has them,
done without where it has not.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Literal

from tradebus.contracts.records import TIMEFRAMES_SECONDS
from tradebus.strategies.raised import in_words

OPTIONAL: Final = "optional"
Wanted = bool | Literal["optional"]

STEPS_MAX = 20
ROLES_MAX = 600
SYMBOL_CHARACTERS_MAX = 100


@dataclass(frozen=True, slots=True)
class Underlying:
    @property
    def name(self) -> str:
        return "underlying"


class Expiry(StrEnum):
    """Which of a contract's expiries, of those that have not passed: one expires at the end of its day."""

    NEAREST = "nearest"
    NEXT = "next"  # the one that follows the nearest
    MONTHLY = "monthly"  # of the month, or of the month after once this one's has passed
    NEXT_MONTHLY = "next_monthly"  # the monthly one that follows


NEAREST: Final = Expiry.NEAREST
NEXT: Final = Expiry.NEXT
MONTHLY: Final = Expiry.MONTHLY
NEXT_MONTHLY: Final = Expiry.NEXT_MONTHLY


@dataclass(frozen=True, slots=True)
class Future:
    expiry: Expiry = field(default=NEAREST, kw_only=True)

    @property
    def name(self) -> str:
        return f"future{_suffix(self.expiry)}"


@dataclass(frozen=True, slots=True)
class Call:
    """`steps` strikes from the money, + above it; the money is the underlying's last close before the day on which the
    session is taken up."""

    steps: int = 0
    expiry: Expiry = field(default=NEAREST, kw_only=True)

    @property
    def name(self) -> str:
        return f"call{self.steps:+d}{_suffix(self.expiry)}"


@dataclass(frozen=True, slots=True)
class Put:
    """As Call."""

    steps: int = 0
    expiry: Expiry = field(default=NEAREST, kw_only=True)

    @property
    def name(self) -> str:
        return f"put{self.steps:+d}{_suffix(self.expiry)}"


def _suffix(expiry: Expiry) -> str:
    return "" if expiry is NEAREST else f"@{expiry}"


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
_NAMES = {kind: name for name, kind in _KINDS.items()}


def role_as_json(role: Role) -> list[Any]:
    said = [_NAMES[type(role)], getattr(role, "steps", getattr(role, "symbol", None))]
    expiry: Expiry = getattr(role, "expiry", NEAREST)
    return said if expiry is NEAREST else [*said, expiry.value]


def role_from_json(data: Any) -> Role:
    """What `role_as_json` made. Raises ValueError, TypeError or KeyError for anything else."""
    kind, value, *choice = data
    given = () if value is None else (value,)
    (expiry,) = choice or (None,)
    role = _KINDS[kind](*given) if expiry is None else _KINDS[kind](*given, expiry=Expiry(expiry))
    if (problem := role_problem(role)) is not None:
        raise ValueError(problem)
    return role


def role_problem(role: Any) -> str | None:
    """What is wrong with a role, None where nothing is: a user's code may give anything."""
    if type(role) not in _NAMES:
        return "it is no role; roles are Underlying, Future, Call, Put and Symbol"
    if isinstance(role, Call | Put) and (type(role.steps) is not int or abs(role.steps) > STEPS_MAX):
        return f"{type(role).__name__} steps must be a whole number within ±{STEPS_MAX}"
    if isinstance(role, Future | Call | Put) and type(role.expiry) is not Expiry:
        return f"{type(role).__name__} expiry must be NEAREST, NEXT, MONTHLY or NEXT_MONTHLY"
    if isinstance(role, Symbol) and (type(role.symbol) is not str or not 0 < len(role.symbol) <= SYMBOL_CHARACTERS_MAX):
        return f"Symbol needs a symbol of at most {SYMBOL_CHARACTERS_MAX} characters"
    return None


@dataclass(frozen=True, slots=True)
class Needs:
    """`timeframes_seconds` are further ones, of the own symbol; every role comes in all timeframes asked for.

    `quotes`, `chain` and `flow`: True where nothing is to be entered without, OPTIONAL where it is only better to have
    it. No feed brings the order flow yet."""

    instruments: tuple[Role, ...] = ()
    timeframes_seconds: tuple[int, ...] = ()
    quotes: Wanted = False  # depth and totals of the own symbol: context.quote
    chain: Wanted = False  # the option chain of the own symbol's underlying: context.chain, put_call_ratio
    flow: Wanted = False  # the order flow of the underlying's future: context.flow

    def problem(self) -> str | None:
        """What is wrong with it, None where nothing is: it comes from a user's class."""
        roles: Any = self.instruments
        timeframes: Any = self.timeframes_seconds
        if not isinstance(roles, tuple) or not isinstance(timeframes, tuple):
            return "NEEDS: instruments and timeframes_seconds must be tuples"
        for role in roles:
            if (problem := role_problem(role)) is not None:
                return f"NEEDS: {in_words(role)}: {problem}"
        for name in ("quotes", "chain", "flow"):
            if not _is_wanted(getattr(self, name)):
                return f"NEEDS: {name} must be True, False or OPTIONAL, got {in_words(getattr(self, name))}"
        if len(roles) > ROLES_MAX or len({role.name for role in roles}) < len(roles):
            return f"NEEDS: at most {ROLES_MAX} instruments, each once"
        bad = [seconds for seconds in timeframes if type(seconds) is not int or seconds not in TIMEFRAMES_SECONDS]
        if bad:
            return f"NEEDS: timeframes_seconds must be of {TIMEFRAMES_SECONDS}, got {in_words(bad[0])}"
        if len(set(timeframes)) < len(timeframes):
            return f"NEEDS: timeframes_seconds must be of {TIMEFRAMES_SECONDS}, each once"
        return None

    def as_json(self) -> dict[str, Any]:
        return {
            "instruments": [role_as_json(role) for role in self.instruments],
            "timeframes_seconds": list(self.timeframes_seconds),
            "quotes": self.quotes,
            "chain": self.chain,
            "flow": self.flow,
        }

    @classmethod
    def from_json(cls, data: Any) -> "Needs":
        """What `as_json` made. Raises ValueError or KeyError for anything else."""
        roles = tuple(role_from_json(role) for role in data["instruments"])
        made = cls(roles, tuple(data["timeframes_seconds"]), data["quotes"], data["chain"], data["flow"])
        if (problem := made.problem()) is not None:
            raise ValueError(problem)
        return made


def _is_wanted(value: Any) -> bool:
    return isinstance(value, bool) or value == OPTIONAL


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
